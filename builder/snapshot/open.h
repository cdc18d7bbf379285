/* open.h - a snapshot that is read. For the files of snapshot/ only. */
#ifndef SNAPSHOT_OPEN_H
#define SNAPSHOT_OPEN_H

#include "snapshot/items.h"

struct snapshot {
	struct snapshot_repo *r;
	struct body body;
	struct manifest m;
	struct items contents;
	const uint8_t **items; /* of each entry of the manifest; NULL = it has no content */
	struct apply_content content;
};

/* Reads the snapshot of exactly that id. ERR_VERIFY when it is damaged. */
int snapshot_load(struct snapshot_repo *r, const char *id, struct snapshot **ret,
		  struct err *e) MUST_CHECK;

/* What apply_tree is given, of a snapshot. */
struct apply_content content_of(struct snapshot *s);

/* Which entries of the manifest have content of which something is missing or bad, as far as that
 * is known: an array of s->m.n, which the caller frees; other names of such files too. */
int snapshot_find_lost(struct snapshot *s, bool **ret, struct err *e) MUST_CHECK;

/* Reads each pack (a NULL set), or the segments of a set of r->segments_n, and marks the bad ones.
 * What is found is appended to *faults, a line each. */
int check_segments(struct snapshot_repo *r, const bool *set, struct strv *faults,
		   struct err *e) MUST_CHECK;

#endif
