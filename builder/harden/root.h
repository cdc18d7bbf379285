/* root.h - files of a root tree: no path, link or ".." leads out of it (openat2(2),
 * RESOLVE_IN_ROOT). Paths are relative to the root, without a leading slash. */
#ifndef HARDEN_ROOT_H
#define HARDEN_ROOT_H

#include "base/buf.h"
#include "base/err.h"
#include "base/strv.h"
#include <sys/stat.h>

enum { ROOT_FILE_MAX = 64 << 20 };

/* Opens a path inside the root. Returns the descriptor, or -1 with errno set. */
int root_open(int rootfd, const char *path, int flags);

/* Opens the directory that holds path and gives the last component (borrowed from path). Returns
 * the descriptor, or -1 with errno set. */
int root_parent(int rootfd, const char *path, const char **ret_name);

/* lstat (follow false) or stat inside the root. Returns 1, or 0 when there is nothing. */
int root_stat(int rootfd, const char *path, bool follow, struct stat *ret);

/* The directory that a path was looked up in last. */
struct root_near {
	int fd;
	char *dir;
};
#define ROOT_NEAR_INIT ((struct root_near){.fd = -1})
void root_near_release(struct root_near *near);

/* root_stat that does not follow, quick for paths of one directory after each other. The
 * directories must stay what they are meanwhile. */
int root_stat_near(int rootfd, struct root_near *near, const char *path, struct stat *ret);

/* Whether path leads to something. */
bool root_has(int rootfd, const char *path);

/* Appends the regular file at path (symlinks inside the root are followed). An absent file is an
 * empty one, *ret_there says which (it may be NULL). */
int root_read(int rootfd, const char *path, struct buf *ret, bool *ret_there,
	      struct err *e) MUST_CHECK;

/* Replaces the file at path by one rename. Owner and mode are kept; a new file is root's with
 * `mode`, and its directories are made. A symlink stays: what it names is replaced. */
int root_write(int rootfd, const char *path, const struct buf *text, mode_t mode,
	       struct err *e) MUST_CHECK;

/* Changes the mode or the owner of what is at path, never through a final symlink. */
int root_chmod(int rootfd, const char *path, mode_t mode, struct err *e) MUST_CHECK;
int root_chown(int rootfd, const char *path, uid_t uid, gid_t gid, struct err *e) MUST_CHECK;

/* Removes what is at path, directories with all below. Absent is success. */
int root_remove(int rootfd, const char *path, struct err *e) MUST_CHECK;

/* Paths that match a pattern, in byte order: * ? and [] within a component (fnmatch(3), a leading
 * dot only by a dot), "**" as a component for any number of directories. Symlinked directories
 * are entered (inside the root) except by "**". */
int root_glob(int rootfd, const char *pattern, struct strv *ret, struct err *e) MUST_CHECK;

/* The same for several patterns, sorted, each path once. */
int root_globs(int rootfd, const struct strv *patterns, struct strv *ret, struct err *e) MUST_CHECK;

/* Whether path matches the pattern (base/glob.h); a leading "**" followed by a slash also matches
 * at the top. */
bool root_match(const char *pattern, const char *path);

#endif
