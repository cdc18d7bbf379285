#include "archive/copy.h"

#include "archive/beneath.h"
#include "archive/tree.h"
#include "base/map.h"
#include "sys/fs.h"
#include "sys/intr.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define BYTES_MAX   (UINT64_C(64) << 30)
#define ENTRIES_MAX UINT64_C(4000000)

enum { NAMES_MAX = 64 << 10, VALUE_MAX = 64 << 10 }; /* xattr(7) */

/* What a directory gets when all of its content is there. */
struct later {
	char *path;
	struct stat st;
};

struct copying {
	dev_t dev;
	struct beneath to;
	uint64_t bytes, entries; /* that are left */
	struct map names;        /* of files that have several: the first of them, by inode */
	struct later *later;
	size_t later_n, later_cap;
};

static void copying_release(struct copying *c)
{
	for (size_t i = 0; i < c->later_n; i++)
		free(c->later[i].path);
	free(c->later);
	map_release(&c->names, free);
	beneath_release(&c->to);
}

static int copy_xattr(int from, int to, const char *name, struct err *e)
{
	char *val SCOPED(mem_freep) = mem_zalloc(VALUE_MAX);
	ssize_t n = fgetxattr(from, name, val, VALUE_MAX);

	if (n < 0)
		return err_sys(e, "read attribute %s", name);
	return fsetxattr(to, name, val, (size_t)n, 0) == 0 ? 0
							   : err_sys(e, "set attribute %s", name);
}

static int copy_xattrs(int from, int to, struct err *e)
{
	char *list SCOPED(mem_freep) = mem_zalloc(NAMES_MAX + 1);
	ssize_t n = flistxattr(from, list, NAMES_MAX);

	if (n < 0 && errno == ENOTSUP)
		return 0;
	if (n < 0)
		return err_sys(e, "list attributes");
	for (const char *at = list; at < list + n; at += strlen(at) + 1)
		if (tree_keeps_xattr(at) && copy_xattr(from, to, at, e) != 0)
			return -1;
	return 0;
}

/* All but the attributes, which a directory has before. */
static int finish(int fd, const struct stat *st, struct err *e)
{
	const struct timespec times[2] = {st->st_mtim, st->st_mtim};

	/* a change of owner takes set-id bits away */
	if (fchown(fd, st->st_uid, st->st_gid) != 0)
		return err_sys(e, "change owner to %u:%u", st->st_uid, st->st_gid);
	if (fchmod(fd, st->st_mode & 07777) != 0)
		return err_sys(e, "change mode");
	return futimens(fd, times) == 0 ? 0 : err_sys(e, "set time");
}

/* Opens what was seen, and nothing that took its place. */
static int open_seen(const struct fs_entry *en, int flags, int *ret, struct err *e)
{
	int fd SCOPED(fd_closep) =
	    openat(en->parent_fd, en->name, flags | O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		return err_sys(e, "open");
	if (st.st_ino != en->st.st_ino || st.st_dev != en->st.st_dev ||
	    (st.st_mode & S_IFMT) != (en->st.st_mode & S_IFMT))
		return err_set(e, ERR_RECIPE, "it changed while it was copied");
	*ret = STEAL_FD(fd);
	return 0;
}

static int copy_file(struct copying *c, const struct fs_entry *en, int dir, const char *name,
		     struct err *e)
{
	int from SCOPED(fd_closep) = -1, to SCOPED(fd_closep) = -1;
	uint64_t n = 0;

	if ((uint64_t)en->st.st_size > c->bytes)
		return err_set(e, ERR_RECIPE, "more bytes in all files than is allowed");
	c->bytes -= (uint64_t)en->st.st_size;
	if (open_seen(en, 0, &from, e) != 0)
		return -1;
	to = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (to < 0)
		return err_sys(e, "create");
	if (fs_copy_fd(from, to, &n, e) != 0)
		return -1;
	if (n != (uint64_t)en->st.st_size)
		return err_set(e, ERR_RECIPE, "it changed while it was copied");
	/* in this order: a change of owner takes capabilities away */
	if (finish(to, &en->st, e) != 0 || copy_xattrs(from, to, e) != 0)
		return -1;
	return 0;
}

static int copy_dir(struct copying *c, const struct fs_entry *en, int dir, const char *name,
		    struct err *e)
{
	int from SCOPED(fd_closep) = -1, to SCOPED(fd_closep) = -1;

	if (en->st.st_dev != c->dev)
		return err_set(e, ERR_RECIPE, "it is a file system of its own");
	if (open_seen(en, O_DIRECTORY, &from, e) != 0)
		return -1;
	if (mkdirat(dir, name, 0700) != 0)
		return err_sys(e, "make directory");
	to = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (to < 0)
		return err_sys(e, "open directory");
	if (copy_xattrs(from, to, e) != 0)
		return -1;
	if (c->later_n == c->later_cap) {
		c->later_cap = c->later_cap ? c->later_cap * 2 : 64;
		c->later = mem_resize(c->later, c->later_cap, sizeof(*c->later));
	}
	c->later[c->later_n++] = (struct later){mem_strdup(en->path), en->st};
	return 0;
}

static int copy_symlink(const struct fs_entry *en, int dir, const char *name, struct err *e)
{
	const struct timespec times[2] = {en->st.st_mtim, en->st.st_mtim};
	char target[PATH_MAX + 1];
	ssize_t n = readlinkat(en->parent_fd, en->name, target, sizeof(target) - 1);

	if (n < 0)
		return err_sys(e, "read symlink");
	target[n] = '\0';
	if (symlinkat(target, dir, name) != 0)
		return err_sys(e, "make symlink");
	if (fchownat(dir, name, en->st.st_uid, en->st.st_gid, AT_SYMLINK_NOFOLLOW) != 0)
		return err_sys(e, "change owner");
	return utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : err_sys(e, "set time");
}

/* 1 = it was a further name of a file that is there already, and is done. */
static int link_known(struct copying *c, const struct fs_entry *en, int dir, const char *name,
		      struct err *e)
{
	char *key SCOPED(mem_freep) = NULL;
	const char *first;

	if (S_ISDIR(en->st.st_mode) || en->st.st_nlink < 2)
		return 0;
	key = mem_format("%llx:%llx", (unsigned long long)en->st.st_dev,
			 (unsigned long long)en->st.st_ino);
	first = map_get(&c->names, key);
	if (first == NULL) {
		(void)map_put(&c->names, key, mem_strdup(en->path));
		return 0;
	}
	return linkat(c->to.root, first, dir, name, 0) == 0 ? 1 : err_sys(e, "make link");
}

static int place(struct copying *c, const struct fs_entry *en, struct err *e)
{
	mode_t type = en->st.st_mode & S_IFMT;
	const char *name;
	int dir, known;

	if (intr_pending())
		return intr_err(e);
	if (c->entries-- == 0)
		return err_set(e, ERR_RECIPE, "more entries than are allowed");
	if (type != S_IFREG && type != S_IFDIR && type != S_IFLNK)
		return 0;
	if (beneath_parent(&c->to, en->path, &dir, &name, e) != 0)
		return -1;
	known = link_known(c, en, dir, name, e);
	if (known != 0)
		return known < 0 ? -1 : 0;
	if (type == S_IFDIR)
		return copy_dir(c, en, dir, name, e);
	return type == S_IFREG ? copy_file(c, en, dir, name, e) : copy_symlink(en, dir, name, e);
}

static int one(void *ctx, const struct fs_entry *en, struct err *e)
{
	return place(ctx, en, e) == 0 ? 0 : err_in(e, "%.200s", en->path);
}

static int finish_dirs(struct copying *c, struct err *e)
{
	/* they came before what they hold */
	for (size_t i = c->later_n; i-- > 0;) {
		int fd SCOPED(fd_closep) = openat(c->to.root, c->later[i].path,
						  O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		if (fd < 0)
			return err_sys(e, "open %.200s", c->later[i].path);
		if (finish(fd, &c->later[i].st, e) != 0)
			return err_in(e, "%.200s", c->later[i].path);
	}
	return 0;
}

int copy_tree(int from, int to, const struct copy_limits *l, struct err *e)
{
	struct copying c SCOPED(copying_release) = {
	    .to = BENEATH_INIT(to, false),
	    .bytes = l->bytes_max != 0 ? l->bytes_max : BYTES_MAX,
	    .entries = l->entries_max != 0 ? l->entries_max : ENTRIES_MAX};
	struct stat top;

	if (fstat(from, &top) != 0)
		return err_sys(e, "look at a directory");
	c.dev = top.st_dev;
	return fs_walk(from, one, &c, e) != 0 || finish_dirs(&c, e) != 0 ||
		       copy_xattrs(from, to, e) != 0 || finish(to, &top, e) != 0
		   ? -1
		   : 0;
}
