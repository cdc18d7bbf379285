/* delete.h - removing images from a repository that is open. */
#ifndef REMOTE_DELETE_H
#define REMOTE_DELETE_H

#include "remote/artifact.h"

/* Removes a manifest by digest and what is attached to it; the digests are appended to *ret. What
 * is not there any more is no error. */
int delete_image(struct registry *r, const struct digest *d, struct strv *ret,
		 struct err *e) MUST_CHECK;

#endif
