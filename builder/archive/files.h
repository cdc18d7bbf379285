/* files.h - a handful of small files in memory: out of a tar that a stranger made, and into one; or
 * out of a stranger's tree. */
#ifndef ARCHIVE_FILES_H
#define ARCHIVE_FILES_H

#include "base/buf.h"
#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct small_file {
	char *path;        /* relative, of plain components */
	mode_t mode;       /* with its type: a regular file or a directory */
	uint32_t uid, gid; /* as the archive has them */
	char *data;        /* n bytes, and a NUL behind them */
	size_t n;
};

struct files {
	struct small_file *v; /* in the order in which they came */
	size_t n;
};

struct files_want {
	const char *below; /* put before each path of the archive, "var/lib"; "" = nothing */
	/* Which of the files, by their paths with `below`; the others are left alone. */
	bool (*wants)(void *ctx, const char *path);
	/* Of a tree: whether such a directory may have some. NULL = each may. */
	bool (*enters)(void *ctx, const char *path);
	void *ctx;
	uint64_t bytes_max;   /* of all that are wanted */
	uint64_t entries_max; /* of the archive, or in what is entered of the tree */
	size_t files_max;     /* that the set may have then; 0 = 4096 */
};

/* Reads a tar from the beginning of a file, in a sandbox_worker, and adds what is wanted of
 * the regular files; whatever else has such a name is left out. Their set-id and sticky bits are
 * dropped. More than the limits allow, a path that leaves the tree, or damage: ERR_RECIPE. */
int files_read(int fd, const struct files_want *w, struct files *ret, struct err *e) MUST_CHECK;

/* Adds what is wanted of a tree that may be in use: of the file or directory `at`, an absolute path
 * whose links lead nowhere but into the tree, and of all below it that is of the same mount; no
 * link is followed there, and nothing but regular files is opened. What is not there is none.
 * `below` is not used. More than the limits allow is ERR_RECIPE. */
int files_look(int rootfd, const char *at, const struct files_want *w, struct files *ret,
	       struct err *e) MUST_CHECK;

/* The file of that path, or NULL. */
const struct small_file *files_find(const struct files *f, const char *path);

/* Adds a copy, in place of the one of that path. */
void files_put(struct files *f, const struct small_file *one);

/* The same with a text, for a file of that mode. */
void files_put_text(struct files *f, const struct small_file *like, const char *text);

/* Appends a tar of them all; past ret->max is ERR_FAIL. */
int files_tar(const struct files *f, struct buf *ret, struct err *e) MUST_CHECK;

/* Writes them all into a tree whose users have our numbers: the tar unpacked, but for a reader, who
 * sees each file as it was or whole. Links above a file lead nowhere but into the tree, one in its
 * place is replaced. Directories that are missing are made, 0755. Nothing is waited for on its way
 * to the disk. */
int files_lay(int rootfd, const struct files *f, struct err *e) MUST_CHECK;

/* Accepts a zeroed struct. */
void files_release(struct files *f);

#endif
