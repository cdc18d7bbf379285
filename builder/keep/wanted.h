/* wanted.h - which blobs and stages somebody still needs. */
#ifndef KEEP_WANTED_H
#define KEEP_WANTED_H

#include "base/map.h"
#include "keep/keep.h"
#include "plan/plan.h"

/* Sets of hex digests: the keys of maps without values. */
struct wanted {
	struct map known[KEEP_KINDS]; /* blobs that something names, by what they are */
	struct map blobs;             /* those needed */
	struct map stages, images;    /* keys of stages and of image records needed */
	struct map records;           /* and of the records of steps */
	struct map captures;          /* keys of captures needed */
	struct map locks;             /* names of remembered locks needed */
	int64_t last_ns;              /* when the last build that went through did so; 0 = never */
};

/* Reads locks, layouts and the remembered images. */
int wanted_collect(struct store *s, const struct keep_opts *o, struct wanted *ret,
		   struct err *e) MUST_CHECK;
void wanted_release(struct wanted *w);

/* What the blob of that name is, and whether it is needed: old images name theirs too. */
enum keep_kind wanted_blob(const struct wanted *w, const char *hex, bool *ret_needed);

#endif
