/* fs.h - files and directories by directory descriptor: atomic puts, sorted walks, no symlink
 * surprises. A dirfd is an open directory; AT_FDCWD is accepted where nothing has to be synced. */
#ifndef SYS_FS_H
#define SYS_FS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/strv.h"
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* Replaces dirfd/name with n bytes: temp file, fsync, rename, fsync of the directory. A reader
 * sees the old bytes or the new ones, never a part. dirfd must be an open directory: it is synced.
 * name is a plain component. A crash leaves nothing else behind, but for a file `.NAME.new.*` where
 * the file system has no O_TMPFILE or the moment was unlucky. */
int fs_put(int dirfd, const char *name, const void *p, size_t n, mode_t mode,
	   struct err *e) MUST_CHECK;

/* The same with what fill() writes to the open file; when that fails nothing is put. */
struct fs_filler {
	int (*fill)(void *ctx, int fd, struct err *e);
	void *ctx;
};
int fs_put_with(int dirfd, const char *name, mode_t mode, const struct fs_filler *f,
		struct err *e) MUST_CHECK;

/* Same by path: opens the parent directory (which must exist) itself. */
int fs_put_path(const char *path, const void *p, size_t n, mode_t mode, struct err *e) MUST_CHECK;

/* The same without waiting for the disk, for what can be made again and is checked when it is read:
 * a kill leaves the old bytes or the new ones, but a power cut may leave an empty file or none. */
int fs_put_unsynced(const char *path, const void *p, size_t n, mode_t mode,
		    struct err *e) MUST_CHECK;
int fs_put_with_unsynced(int dirfd, const char *name, mode_t mode, const struct fs_filler *f,
			 struct err *e) MUST_CHECK;

/* Appends the whole of dirfd/name to *ret. Past ret->max: kind ERR_RECIPE, nothing is kept from
 * the file being half read. */
int fs_get(int dirfd, const char *name, struct buf *ret, struct err *e) MUST_CHECK;

/* The same of a regular file; anything else is an error, and a pipe is not waited for. */
int fs_get_file(int dirfd, const char *name, struct buf *ret, struct err *e) MUST_CHECK;

/* Writes or reads all n bytes at the descriptor's position, through EINTR. fs_read_all returns an
 * error at an early end. */
int fs_write_all(int fd, const void *p, size_t n, struct err *e) MUST_CHECK;
int fs_read_all(int fd, void *p, size_t n, struct err *e) MUST_CHECK;

/* Opens a directory (O_PATH is not used: the result can be synced and listed). */
int fs_open_dir(int dirfd, const char *path, int *ret_fd, struct err *e) MUST_CHECK;

/* openat2(2), again when the kernel could not tell whether a ".." led out of the tree because
 * something anywhere was renamed or mounted meanwhile (EAGAIN). Returns the descriptor, or -1 with
 * errno set. */
struct open_how;
int fs_openat2(int dirfd, const char *path, const struct open_how *how);

/* Opens path as a process with rootfd as its "/" would: absolute symlinks and ".." stay inside
 * (openat2(2), RESOLVE_IN_ROOT). errno is kept for the caller; -1 and *e on failure. */
int fs_open_in_root(int rootfd, const char *path, int flags, int *ret_fd, struct err *e) MUST_CHECK;

/* mkdir -p as that process would do it, for an absolute path. The components that were missing are
 * appended to *made (may be NULL), without leading slash, the deepest last. */
int fs_mkdirs_in_root(int rootfd, const char *path, mode_t mode, struct strv *made,
		      struct err *e) MUST_CHECK;

/* mkdir -p; existing directories are kept as they are. */
int fs_mkdirs(int dirfd, const char *path, mode_t mode, struct err *e) MUST_CHECK;

/* Tells ext4 that what is made in this directory are unrelated trees (chattr(1), T): each goes to a
 * part of the disk of its own, so that a new one need not pass by the inodes of one that was just
 * removed, which takes a second for a thousand. Other file systems do not care. */
void fs_spread(int dirfd);

/* Removes dirfd/name and everything below it, without following symlinks and without crossing
 * into another mounted file system. Absent is success. Any depth. */
int fs_rmtree(int dirfd, const char *name, struct err *e) MUST_CHECK;

/* Names in a directory in byte order, without "." and "..". */
int fs_list(int dirfd, const char *path, struct strv *ret, struct err *e) MUST_CHECK;

/* The same of an open directory that nobody has read from yet, with the type of each as readdir(3)
 * has it: DT_UNKNOWN where the file system does not say. */
struct fs_name {
	char *name;
	unsigned char type;
};
struct fs_names {
	struct fs_name *v;
	size_t n, cap;
};
int fs_list_types(int fd, struct fs_names *ret, struct err *e) MUST_CHECK;
void fs_names_release(struct fs_names *names);

/* Copies the bytes of one open file to another (reflink or copy_file_range where it can). */
int fs_copy_fd(int from, int to, uint64_t *ret_bytes, struct err *e) MUST_CHECK;

/* One entry of a walk. */
struct fs_entry {
	const char *path; /* relative to the walk's root, without leading "/" or "./" */
	int parent_fd;    /* the open directory that holds it */
	const char *name; /* its name there */
	struct stat st;   /* lstat */
};

/* Calls fn for every entry below dirfd (not for the root itself), parents before children,
 * siblings in byte order of their names, symlinks not followed. A path of PATH_MAX bytes or more is
 * an error. fn returns 0 to go on, 1 not to
 * enter this directory, -1 with *e set to stop. */
int fs_walk(int dirfd, int (*fn)(void *ctx, const struct fs_entry *en, struct err *e), void *ctx,
	    struct err *e) MUST_CHECK;

/* The same of a tree that is used meanwhile: what goes away is left out. */
int fs_walk_living(int dirfd, int (*fn)(void *ctx, const struct fs_entry *en, struct err *e),
		   void *ctx, struct err *e) MUST_CHECK;

/* The same for who wants only the type of each entry: of st there may be nothing else. */
int fs_walk_types(int dirfd, int (*fn)(void *ctx, const struct fs_entry *en, struct err *e),
		  void *ctx, struct err *e) MUST_CHECK;

/* The directory part of path ("." when there is none) and the last component; the caller owns
 * them. */
char *fs_dirname(const char *path) MUST_CHECK;
char *fs_basename(const char *path) MUST_CHECK;

/* dir/name, or name alone when it is absolute; the caller owns it. */
char *fs_join(const char *dir, const char *name) MUST_CHECK;

/* Whether a path is a directory's, or below it: both absolute, and without links and dots. */
bool fs_within(const char *path, const char *dir) MUST_CHECK;

/* Whether p is a relative path of plain components: not empty, no leading '/', no "", "." or ".."
 * component. What archives and recipes may name inside a tree. */
bool fs_relative_ok(const char *p) MUST_CHECK;

#endif
