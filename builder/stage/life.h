/* life.h - start, stop and end of what was staged. See posmedia-stage(1). */
#ifndef STAGE_LIFE_H
#define STAGE_LIFE_H

#include "stage/stage.h"

/* Starts the generation that runs at the site by its record, with fresh secrets, and waits until it
 * is well; one that runs is only looked at. That the site was stopped on purpose is forgotten.
 * Nothing staged, another generation that runs, and a container that is gone are ERR_BUSY. What
 * does not get well stays as it is. */
int stage_start_site(const struct site *s, const struct stage_opts *o, struct stage_outcome *ret,
		     struct err *e) MUST_CHECK;

/* Remembers that the site is stopped on purpose, and stops it. Nothing is removed. */
int stage_stop_site(const struct site *s, const struct stage_opts *o, struct stage_outcome *ret,
		    struct err *e) MUST_CHECK;

/* The same as stage_start_site, unless it was stopped on purpose, and stays: with what others
 * stage, stop or start meanwhile; tells systemd how things are. Returns 0 when it was interrupted
 * and has stopped the instance, or when that was destroyed; -1 when the instance ended, or did not
 * get well and was stopped. */
int stage_watch(const struct site *s, const struct stage_opts *o, struct err *e) MUST_CHECK;

struct stage_end {
	const char *confirm; /* the code of the shop, once more */
	bool really;         /* production too */
	const char *archive; /* absolute path of a file that is not there yet; NULL = below the
				state: .destroyed/SHOP-ENV-TIME.tar.zst */
};

struct stage_ended {
	char *archive;        /* NULL = there was nothing to keep */
	struct digest digest; /* of the archive, */
	struct digest tar;    /* and of the tar in it */
	uint64_t size, bytes; /* of both */
	size_t entries, left_out;
	struct strv did; /* one line each, in order; of a dry run, what would be done */
};

/* Stops the site's instances, keeps all of its files in an archive that is read back, and only then
 * removes containers, files and secrets. A kill leaves the files in at least one of the two places,
 * and this may be called again. Without the shop's code, or for production when not `really`, it is
 * ERR_USAGE. */
int stage_destroy(const struct site *s, const struct stage_opts *o, const struct stage_end *end,
		  struct stage_ended *ret, struct err *e) MUST_CHECK;
void stage_ended_release(struct stage_ended *r);

#endif
