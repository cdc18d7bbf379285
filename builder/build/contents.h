/* contents.h - what a stage made: every entry of its tree with the digest of its bytes. Its own
 * digest is the stage's output, by which the stages above are keyed: what comes out the same makes
 * nothing run. */
#ifndef BUILD_CONTENTS_H
#define BUILD_CONTENTS_H

#include "archive/tree.h"
#include "base/err.h"
#include "base/map.h"
#include "form/digest.h"
#include <stdint.h>

struct contents {
	struct tree tree;
	struct digest *digests; /* one an entry; of a regular file its bytes' */
	struct map hidden;      /* paths: with a value only what is below them is hidden */
	struct digest output;
	bool loaded;
	char *text; /* of one that was read from a file: paths, links and names lie in it */
};

/* Which times of files belong to the output. */
struct contents_times {
	bool kept;     /* those up to `epoch`; later ones count as it */
	int64_t epoch; /* of the image */
};

/* Reads the tree of an overlay's upper directory: what is hidden by it counts too, directories'
 * times do not. What no layer takes (sockets, pipes, other attributes) does not count. */
int contents_scan(const char *tree, const struct contents_times *t, struct contents *ret,
		  struct err *e) MUST_CHECK;

/* Its entries and what is hidden by it, and nothing of what is in its files: no digests. */
int contents_look(const char *tree, struct contents *ret, struct err *e) MUST_CHECK;

/* Keeps it in a file, which is not synced: it lies beside the tree. What is damaged is not read:
 * ERR_VERIFY. */
int contents_save(const struct contents *c, const char *path, struct err *e) MUST_CHECK;
int contents_load(const char *path, struct contents *ret, struct err *e) MUST_CHECK;

/* The digest of a regular file's bytes, or NULL. */
const struct digest *contents_find(const struct contents *c, const char *path);

/* What is visible of some trees that lie over each other. */
struct contents_seen {
	size_t tree; /* the number of the one it comes from */
	const struct tree_entry *en;
};
struct contents_view {
	struct contents_seen
	    *v; /* by path, as in a tree; the entries are borrowed from the trees */
	size_t n;
};

/* What is to be seen when the tree, of that number, lies over what was to be seen before. */
void contents_lay(const struct contents_view *below, const struct contents *top, size_t number,
		  struct contents_view *ret);
void contents_view_release(struct contents_view *view);

/* What an overlay shows of n trees, the lowest first: the index of it, as tree_scan would make it.
 */
void contents_merge(const struct contents *v, size_t n, struct tree *ret);

void contents_release(struct contents *c);

#endif
