/* extract.h - puts the entries of an archive below a root directory. Runs in a worker whose "/" is
 * that root; nothing here relies on it. */
#ifndef ARCHIVE_EXTRACT_H
#define ARCHIVE_EXTRACT_H

#include "archive/beneath.h"
#include "archive/reader.h"
#include "archive/unpack.h"
#include "base/map.h"
#include <sys/types.h>
#include <time.h>

/* What a directory gets when all of its content is there. */
struct extract_dir {
	char *path; /* "" is the root */
	mode_t mode;
	int64_t uid, gid; /* -1 = as it is */
	struct timespec mtime;
	size_t order; /* of appearance: the last one counts */
};

/* The hint of a medium that unpacks to too much of something. */
#define EXTRACT_RAISE "raise limits: %s: of the medium if it is meant"

struct extract {
	int root;
	const struct unpack_opts *o;
	struct reader *r;
	struct beneath dirs;  /* where entries go */
	struct beneath links; /* where hard links point */
	uint64_t bytes, entries;
	struct extract_dir *later;
	size_t later_n, later_cap;
	struct map seen; /* with o->layer: paths that this layer has, and their parents */
};

/* Extracts everything. o has no zeros. Refusals as in unpack.h, with the entry's name. */
int extract_all(struct reader *r, int root, const struct unpack_opts *o, struct err *e) MUST_CHECK;

/* The path of an entry without "./", doubled and trailing slashes; "" is the root itself. What may
 * not be a path below the root: ERR_RECIPE. The caller owns it. */
int extract_path(const char *name, char **ret, struct err *e) MUST_CHECK;

/* The same as this extraction wants it: on a bare disc in lower case, and of a medium without
 * control characters. */
int extract_own_path(const struct extract *x, const char *name, char **ret,
		     struct err *e) MUST_CHECK;

/* Makes room for an entry at path: what is there goes, but for a directory where one comes. */
int extract_clear(struct extract *x, const char *path, bool for_dir, struct err *e) MUST_CHECK;

/* Notes that the layer has this path, so that its whiteouts spare it. */
void extract_note(struct extract *x, const char *path);

/* Applies a whiteout (OCI image-spec, layer.md) when path is one; *ret_was says so. */
int extract_whiteout(struct extract *x, const char *path, bool *ret_was, struct err *e) MUST_CHECK;

/* Creates a regular file with the entry's data and attributes. */
int extract_file(struct extract *x, struct archive_entry *en, const char *path,
		 struct err *e) MUST_CHECK;

/* Writes the data of an entry to fd, within the limits. */
int extract_data(struct extract *x, struct archive_entry *en, int fd, struct err *e) MUST_CHECK;

/* Sets the attributes of the entry that belong to a tree, when owners are kept. */
int extract_xattrs(const struct extract *x, struct archive_entry *en, int fd,
		   struct err *e) MUST_CHECK;

/* The owner of an entry; -1 and -1 when owners are not kept. */
int extract_owner(const struct extract *x, struct archive_entry *en, int64_t *ret_uid,
		  int64_t *ret_gid, struct err *e) MUST_CHECK;

/* The permission bits of an entry, as far as the options keep them. */
mode_t extract_mode(const struct extract *x, struct archive_entry *en);

/* The time of an entry; 1970 when it has none. */
struct timespec extract_mtime(struct archive_entry *en);

#endif
