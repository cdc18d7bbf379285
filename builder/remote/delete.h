/* delete.h - removing images from a repository that is open. */
#ifndef REMOTE_DELETE_H
#define REMOTE_DELETE_H

#include "remote/artifact.h"

/* Who removes images one after the other; released by removal_release. */
struct removal {
	struct registry *r;
	/* what must stay, whoever attached it to what goes; NULL: nothing */
	bool (*needed)(const void *ctx, const struct digest *d);
	const void *ctx;
	struct strv tags;      /* all of the repository, once they are asked for */
	struct digest *stands; /* what each stands for, when it is known */
	bool *known;
};

/* Removes a manifest by digest and what is attached to it; the digests are appended to *ret. What
 * is not there any more is no error. Who may push can list anything as a referrer and give anything
 * the tag of signatures: what is not attached by its own content stays, with a warning. */
int delete_image(struct removal *x, const struct digest *d, struct strv *ret,
		 struct err *e) MUST_CHECK;

void removal_release(struct removal *x);

#endif
