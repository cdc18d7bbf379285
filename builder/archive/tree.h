/* tree.h - the index of a root tree: what a layer is made from. Our own, never the overlay's. */
#ifndef ARCHIVE_TREE_H
#define ARCHIVE_TREE_H

#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct tree_xattr {
	char *name; /* sorted */
	uint8_t *val;
	size_t len;
};

struct tree_entry {
	char *path;        /* relative to the root, no leading slash */
	mode_t mode;       /* type and permission bits */
	uint32_t uid, gid; /* as seen by us */
	uint64_t size;     /* regular files only */
	int64_t mtime;     /* whole seconds; the caller may change it before packing */
	char *link;        /* symlinks: the target; else NULL */
	uint64_t inode;    /* equal for hard links of one file; 0 when the file has one name */
	size_t xattrs_n;
	struct tree_xattr *xattrs;
	bool whiteout; /* not in the tree: an empty file of that name is written */
	int layer;     /* which layer takes it; the caller's; starts as 0; < 0 = in none */
};

struct tree {
	struct tree_entry *v; /* in byte order of path (strcmp on the whole path) */
	size_t n, cap;
};

/* Indexes everything below rootfd, staying on any file system mounted there. Sockets and FIFOs
 * and device nodes are left out and counted in *ret_left_out (may be NULL). Attributes are those
 * of tree_keeps_xattr. */
int tree_scan(int rootfd, struct tree *ret, size_t *ret_left_out, struct err *e) MUST_CHECK;

/* The same with all attributes that the kernel shows of files and directories, access control
 * lists among them, but for an overlay's marks: of data, not of an image. */
int tree_scan_all(int rootfd, struct tree *ret, size_t *ret_left_out, struct err *e) MUST_CHECK;

/* Whether an attribute belongs to the tree: file capabilities and user.*; security labels, ACLs and
 * the overlay's own marks do not. */
bool tree_keeps_xattr(const char *name);

/* Adds a whiteout (image-spec, layer.md) of a path, for the given layer. The tree is in order
 * again after tree_sort: entries move. */
void tree_hide(struct tree *t, const char *path, int layer);
void tree_sort(struct tree *t);

/* Whether two entries have the same attributes. */
bool tree_same_xattrs(const struct tree_entry *a, const struct tree_entry *b);

/* Finds a path; NULL when absent. */
struct tree_entry *tree_find(const struct tree *t, const char *path);

void tree_release(struct tree *t);

#endif
