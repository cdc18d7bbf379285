/* keep.h - what lies in a store, what of it is still needed, and the end of the rest.
 *
 * Needed are: the packages, media and recorded bodies of locks, and the packages of the last locks
 * of each recipe that the store itself remembers, with these; the images, with their stages, what
 * was captured of those and the records of their steps, that the last builds made or found up to
 * date; what tags of layouts name; stages, captures and records made since the last build that went
 * through; decompressed packages of locks, and downloads to be resumed for one. A layout holds
 * copies of its own: nothing that is removed here can break an image. Images that were pulled to be
 * staged are not needed: they can be pulled again. */
#ifndef KEEP_KEEP_H
#define KEEP_KEEP_H

#include "base/strv.h"
#include "form/json.h"
#include "store/store.h"

enum keep_kind {
	KEEP_IMAGE,    /* blobs and records of remembered images, and of layouts */
	KEEP_STAGE,    /* and what each is known to make */
	KEEP_CAPTURE,  /* output of steps, with its records */
	KEEP_UNPACKED, /* packages, decompressed */
	KEEP_PACKAGE,
	KEEP_LOCK, /* that were built or made here */
	KEEP_MEDIUM,
	KEEP_RECORDED, /* bodies that steps fetched, and the records that name them */
	KEEP_OTHER,    /* blobs that no lock and no image names */
	KEEP_PARTIAL,
	KEEP_DAMAGED,
	KEEP_LEFTOVER, /* of processes that are no more */
	KEEP_KINDS
};

struct keep_opts {
	const struct strv *locks;   /* paths; a lock that cannot be read is an error */
	const struct strv *layouts; /* directories */
	size_t builds;              /* how many of the last builds count */
	size_t remembered;          /* and of the locks of each recipe, beside those given */
};

struct keep_item {
	enum keep_kind kind;
	char *path; /* relative to the store */
	uint64_t bytes;
	bool needed;
};

struct keep_list {
	struct keep_item *v; /* in the order in which they may be removed */
	size_t n;
};

/* Lists the store, which the caller shares or has alone. Changes nothing. */
int keep_scan(struct store *s, const struct keep_opts *o, struct keep_list *ret,
	      struct err *e) MUST_CHECK;
void keep_release(struct keep_list *l);

/* Removes what is not needed, one by one: a kill leaves each whole or gone, and what is left says
 * nothing that is not so. The caller has the store alone. Progress: "gc". */
int keep_remove(struct store *s, const struct keep_list *l, struct err *e) MUST_CHECK;

/* "images", "stages", …: as the verbs print them. */
const char *keep_kind_name(enum keep_kind k);

struct keep_sum {
	size_t n;
	uint64_t bytes;
};

/* How much there is of a kind, needed or not. */
struct keep_sum keep_sum(const struct keep_list *l, enum keep_kind k, bool needed);

#endif
