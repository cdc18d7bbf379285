#include "sys/fs.h"

#include "base/fault.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

int fs_write_all(int fd, const void *p, size_t n, struct err *e)
{
	const char *at = p;

	while (n > 0) {
		ssize_t w = write(fd, at, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return err_sys(e, "write");
		at += w;
		n -= (size_t)w;
	}
	return 0;
}

int fs_read_all(int fd, void *p, size_t n, struct err *e)
{
	char *at = p;

	while (n > 0) {
		ssize_t r = read(fd, at, n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return err_sys(e, "read");
		if (r == 0)
			return err_set(e, ERR_FAIL, "ends %zu bytes early", n);
		at += r;
		n -= (size_t)r;
	}
	return 0;
}

/* A file that nobody sees before it is whole, to be put in place of dirfd/name. */
struct put {
	int dirfd;
	const char *name;
	int fd;
	char *tmp; /* its name; NULL while it has none, so that a crash leaves nothing */
};

static void put_release(struct put *p)
{
	if (p->tmp != NULL)
		(void)unlinkat(p->dirfd, p->tmp, 0);
	free(p->tmp);
	fd_closep(&p->fd);
}

static void put_forget_name(struct put *p)
{
	free(p->tmp);
	p->tmp = NULL;
}

/* The n-th temporary name. Another process may have our number, in a container or before a crash:
 * a name that is taken is left alone. */
static char *put_name(const struct put *p, unsigned n)
{
	return mem_format(".%s.new.%ld.%u", p->name, (long)getpid(), n);
}

static int put_open(struct put *p, mode_t mode, struct err *e)
{
	p->fd = openat(p->dirfd, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, mode);
	for (unsigned n = 0; p->fd < 0; n++) { /* a file system without O_TMPFILE */
		p->tmp = put_name(p, n);
		p->fd = openat(p->dirfd, p->tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
		if (p->fd < 0)
			put_forget_name(p);
		if (p->fd < 0 && errno != EEXIST)
			return err_sys(e, "create %s", p->name);
	}
	return 0;
}

static int put_link(struct put *p, struct err *e)
{
	char *self SCOPED(mem_freep) = mem_format("/proc/self/fd/%d", p->fd);

	for (unsigned n = 0; p->tmp == NULL; n++) {
		char *tmp SCOPED(mem_freep) = put_name(p, n);

		if (linkat(AT_FDCWD, self, p->dirfd, tmp, AT_SYMLINK_FOLLOW) == 0)
			p->tmp = STEAL(tmp);
		else if (errno != EEXIST)
			return err_sys(e, "link %s", p->name);
	}
	return 0;
}

static int sync_fd(int fd, bool sync, const char *what, struct err *e)
{
	return !sync || fsync(fd) == 0 ? 0 : err_sys(e, "sync %s", what);
}

static int put_file(struct put *to, mode_t mode, const struct fs_filler *f, bool sync,
		    struct err *e)
{
	struct put put SCOPED(put_release) = *to;
	const char *name = to->name;
	int dirfd = to->dirfd;

	if (dirfd < 0)
		return err_set(e, ERR_FAIL, "%s: needs an open directory", name);
	if (put_open(&put, mode, e) != 0)
		return -1;
	fault_point("created");
	if (f->fill(f->ctx, put.fd, e) != 0)
		return err_in(e, "%s", name);
	if (sync_fd(put.fd, sync, name, e) != 0)
		return -1;
	fault_point("written");
	if (put_link(&put, e) != 0)
		return -1;
	fault_point("linked");
	if (renameat(dirfd, put.tmp, dirfd, name) != 0)
		return err_sys(e, "rename %s", name);
	put_forget_name(&put);
	fault_point("renamed");
	return sync_fd(dirfd, sync, "the directory", e) == 0 ? 0 : err_in(e, "%s", name);
}

int fs_put_with(int dirfd, const char *name, mode_t mode, const struct fs_filler *f, struct err *e)
{
	struct put to = {dirfd, name, -1, NULL};

	return put_file(&to, mode, f, true, e);
}

int fs_put_with_unsynced(int dirfd, const char *name, mode_t mode, const struct fs_filler *f,
			 struct err *e)
{
	struct put to = {dirfd, name, -1, NULL};

	return put_file(&to, mode, f, false, e);
}

struct bytes {
	const void *p;
	size_t n;
};

static int fill_bytes(void *ctx, int fd, struct err *e)
{
	const struct bytes *b = ctx;

	return fs_write_all(fd, b->p, b->n, e);
}

int fs_put(int dirfd, const char *name, const void *p, size_t n, mode_t mode, struct err *e)
{
	struct bytes b = {p, n};
	const struct fs_filler f = {fill_bytes, &b};

	return fs_put_with(dirfd, name, mode, &f, e);
}

int fs_put_path(const char *path, const void *p, size_t n, mode_t mode, struct err *e)
{
	char *dir SCOPED(mem_freep) = fs_dirname(path);
	char *name SCOPED(mem_freep) = fs_basename(path);
	int fd SCOPED(fd_closep) = -1;

	if (fs_open_dir(AT_FDCWD, dir, &fd, e) != 0)
		return -1;
	return fs_put(fd, name, p, n, mode, e);
}

int fs_put_unsynced(const char *path, const void *p, size_t n, mode_t mode, struct err *e)
{
	char *dir SCOPED(mem_freep) = fs_dirname(path);
	char *name SCOPED(mem_freep) = fs_basename(path);
	struct bytes b = {p, n};
	const struct fs_filler f = {fill_bytes, &b};
	int fd SCOPED(fd_closep) = -1;

	if (fs_open_dir(AT_FDCWD, dir, &fd, e) != 0)
		return -1;
	return fs_put_with_unsynced(fd, name, mode, &f, e);
}

static int get(int fd, const char *name, struct buf *ret, struct err *e)
{
	size_t before = ret->len;
	char chunk[8192];
	ssize_t r;

	while ((r = read(fd, chunk, sizeof(chunk))) != 0) {
		if (r < 0 && errno == EINTR)
			continue;
		if (r > 0)
			buf_add(ret, chunk, (size_t)r);
		if (r > 0 && !buf_over(ret))
			continue;
		(void)(r < 0 ? err_sys(e, "read %s", name)
			     : err_set(e, ERR_RECIPE, "%s: larger than %zu bytes", name, ret->max));
		buf_cut(ret, before);
		return -1;
	}
	return 0;
}

int fs_get(int dirfd, const char *name, struct buf *ret, struct err *e)
{
	int fd SCOPED(fd_closep) = openat(dirfd, name, O_RDONLY | O_CLOEXEC);

	return fd >= 0 ? get(fd, name, ret, e) : err_sys(e, "open %s", name);
}

int fs_get_file(int dirfd, const char *name, struct buf *ret, struct err *e)
{
	int fd SCOPED(fd_closep) = openat(dirfd, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		return err_sys(e, "open %s", name);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_FAIL, "%s is no file", name);
	return get(fd, name, ret, e);
}

int fs_open_dir(int dirfd, const char *path, int *ret_fd, struct err *e)
{
	int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "open directory %s", path);
	*ret_fd = fd;
	return 0;
}

int fs_mkdirs(int dirfd, const char *path, mode_t mode, struct err *e)
{
	char *copy SCOPED(mem_freep) = mem_strdup(path);
	struct stat st;

	for (char *at = copy; *at != '\0';) {
		char *slash = strchr(at + 1, '/');

		if (slash != NULL)
			*slash = '\0';
		if (mkdirat(dirfd, copy, mode) != 0 && errno != EEXIST)
			return err_sys(e, "make directory %s", copy);
		if (slash == NULL)
			break;
		*slash = '/';
		at = slash;
	}
	if (fstatat(dirfd, path, &st, 0) != 0 || !S_ISDIR(st.st_mode))
		return err_set(e, ERR_FAIL, "%s: not a directory", path);
	return 0;
}

/* A tree that is being removed. */
struct removal {
	int top;
	dev_t dev;           /* stay on this */
	unsigned long moved; /* directories brought up to the top */
};

enum { REMOVAL_DEPTH = 64 };

/* Brings a directory that lies deep up to the top, whose next round finds it: so neither stack nor
 * descriptors run out however deep a hostile program made its tree. */
static bool bring_up(struct removal *r, int fd, const char *name)
{
	char *to SCOPED(mem_freep) = mem_format(".removed.%lu", r->moved);

	if (renameat(fd, name, r->top, to) != 0)
		return false;
	r->moved++;
	return true;
}

static int remove_below(struct removal *r, int fd, int depth, struct err *e);

/* A directory, unless something is mounted there, from this file system or another. */
static int open_removed(int fd, const char *name)
{
	const struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
				     .resolve = RESOLVE_NO_XDEV};

	return fs_openat2(fd, name, &how);
}

/* Two may remove the same tree at once: what the other has removed is gone all the same. */
static int not_removed(const char *name, struct err *e)
{
	if (errno == EXDEV)
		return err_set(e, ERR_FAIL, "remove %s: a file system is mounted there", name);
	return errno == ENOENT ? 0 : err_sys(e, "remove %s", name);
}

static int remove_one(struct removal *r, int fd, const char *name, int depth, struct err *e)
{
	int sub SCOPED(fd_closep) = -1;
	struct stat st;

	if (unlinkat(fd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return err_sys(e, "remove %s", name);
	sub = open_removed(fd, name);
	if (sub < 0)
		return not_removed(name, e);
	if (fstat(sub, &st) != 0)
		return err_sys(e, "remove %s", name);
	if (st.st_dev != r->dev)
		return err_set(e, ERR_FAIL, "remove %s: a file system is mounted there", name);
	if (depth >= REMOVAL_DEPTH && bring_up(r, fd, name))
		return 0;
	if (remove_below(r, sub, depth + 1, e) != 0)
		return err_in(e, "%s", name);
	return unlinkat(fd, name, AT_REMOVEDIR) == 0 ? 0 : not_removed(name, e);
}

static int remove_below(struct removal *r, int fd, int depth, struct err *e)
{
	struct strv names SCOPED(strv_release) = {0};
	struct err why = ERR_INIT;

	/* of a directory that the other has removed nothing is to be read */
	if (fs_list(fd, ".", &names, &why) != 0 && why.sys != ENOENT)
		return *e = why, -1;
	for (size_t i = 0; i < names.n; i++)
		if (remove_one(r, fd, names.v[i], depth, e) != 0)
			return -1;
	return 0;
}

void fs_spread(int dirfd)
{
	int flags = 0;

	if (ioctl(dirfd, FS_IOC_GETFLAGS, &flags) != 0 || (flags & FS_TOPDIR_FL) != 0)
		return;
	flags |= FS_TOPDIR_FL;
	(void)ioctl(dirfd, FS_IOC_SETFLAGS, &flags);
}

int fs_rmtree(int dirfd, const char *name, struct err *e)
{
	int fd SCOPED(fd_closep) = -1;
	unsigned long moved_before;
	struct removal r = {0};
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? 0 : err_sys(e, "remove %s", name);
	if (!S_ISDIR(st.st_mode))
		return unlinkat(dirfd, name, 0) == 0 ? 0 : not_removed(name, e);
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return not_removed(name, e);
	r.top = fd;
	r.dev = st.st_dev;
	do {
		moved_before = r.moved;
		if (remove_below(&r, fd, 0, e) != 0)
			return err_in(e, "%s", name);
	} while (r.moved != moved_before);
	return unlinkat(dirfd, name, AT_REMOVEDIR) == 0 ? 0 : not_removed(name, e);
}

/* Calls fn for every name in the open directory from where it was read to, in the order of the
 * disk.
 */
static int each_name(int fd, void (*fn)(void *ctx, const struct dirent64 *de), void *ctx)
{
	union {
		char bytes[16384];
		struct dirent64 first; /* for its alignment */
	} chunk;
	ssize_t n;

	while ((n = getdents64(fd, &chunk, sizeof(chunk))) > 0)
		for (ssize_t at = 0; at < n;) {
			const struct dirent64 *de = (const void *)(chunk.bytes + at);

			at += de->d_reclen;
			if (strcmp(de->d_name, ".") != 0 && strcmp(de->d_name, "..") != 0)
				fn(ctx, de);
		}
	return n == 0 ? 0 : -1;
}

static void take_name(void *ctx, const struct dirent64 *de)
{
	strv_add(ctx, de->d_name);
}

/* The names of an open directory that was not read yet. */
static int list_open(int fd, const char *path, struct strv *ret, struct err *e)
{
	if (each_name(fd, take_name, ret) != 0)
		return err_sys(e, "list %s", path);
	strv_sort(ret);
	return 0;
}

int fs_list(int dirfd, const char *path, struct strv *ret, struct err *e)
{
	int fd SCOPED(fd_closep) = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? err_sys(e, "list %s", path) : list_open(fd, path, ret, e);
}

static void take_typed(void *ctx, const struct dirent64 *de)
{
	struct fs_names *names = ctx;

	if (names->n == names->cap) {
		names->cap = names->cap == 0 ? 32 : 2 * names->cap;
		names->v = mem_resize(names->v, names->cap, sizeof(*names->v));
	}
	names->v[names->n++] = (struct fs_name){mem_strdup(de->d_name), de->d_type};
}

static int by_name(const void *a, const void *b)
{
	const struct fs_name *x = a, *y = b;

	return strcmp(x->name, y->name);
}

int fs_list_types(int fd, struct fs_names *ret, struct err *e)
{
	if (each_name(fd, take_typed, ret) != 0)
		return err_sys(e, "list a directory");
	if (ret->n > 1)
		qsort(ret->v, ret->n, sizeof(*ret->v), by_name);
	return 0;
}

void fs_names_release(struct fs_names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->v[i].name);
	free(names->v);
	*names = (struct fs_names){0};
}

int fs_copy_fd(int from, int to, uint64_t *ret_bytes, struct err *e)
{
	enum { CHUNK = 1 << 18 };
	char *chunk SCOPED(mem_freep) = NULL;
	uint64_t total = 0;
	ssize_t r;

	while ((r = copy_file_range(from, NULL, to, NULL, 1 << 30, 0)) > 0)
		total += (uint64_t)r;
	if (total == 0) { /* not possible here, or a file of /proc, which seems empty to it */
		chunk = mem_zalloc(CHUNK);
		while ((r = read(from, chunk, CHUNK)) != 0) {
			if (r < 0 && errno == EINTR)
				continue;
			if (r < 0 || fs_write_all(to, chunk, (size_t)r, e) != 0)
				break;
			total += (uint64_t)r;
		}
	}
	if (r < 0)
		return err_sys(e, "copy");
	if (r > 0)
		return -1;
	if (ret_bytes != NULL)
		*ret_bytes = total;
	return 0;
}

struct walk {
	int (*fn)(void *, const struct fs_entry *, struct err *);
	void *ctx;
	bool types_only;
	bool living; /* what is gone when it is its turn was never there */
};

static bool is_gone(const struct walk *w, struct err *e)
{
	if (!w->living || (e->sys != ENOENT && e->sys != ENOTDIR && e->sys != ELOOP))
		return false;
	*e = (struct err)ERR_INIT;
	return true;
}

static int stat_entry(const struct walk *w, struct fs_entry *en, unsigned char type, struct err *e)
{
	if (w->types_only && type != DT_UNKNOWN) {
		en->st.st_mode = (mode_t)DTTOIF(type);
		return 0;
	}
	return fstatat(en->parent_fd, en->name, &en->st, AT_SYMLINK_NOFOLLOW) == 0
		   ? 0
		   : err_sys(e, "stat %s", en->path);
}

static int walk_dir(const struct walk *w, int fd, const char *prefix, struct err *e);

static int walk_below(const struct walk *w, const struct fs_entry *en, struct err *e)
{
	int fd SCOPED(fd_closep) =
	    openat(en->parent_fd, en->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0)
		return walk_dir(w, fd, en->path, e);
	(void)err_sys(e, "open %s", en->path);
	return is_gone(w, e) ? 0 : -1;
}

static int walk_dir(const struct walk *w, int fd, const char *prefix, struct err *e)
{
	struct fs_names names SCOPED(fs_names_release) = {0};

	if (fs_list_types(fd, &names, e) != 0)
		return is_gone(w, e) ? 0 : err_in(e, "%s", prefix[0] ? prefix : ".");
	for (size_t i = 0; i < names.n; i++) {
		const char *name = names.v[i].name;
		char *path SCOPED(mem_freep) =
		    mem_format("%s%s%s", prefix, prefix[0] ? "/" : "", name);
		struct fs_entry en = {.path = path, .parent_fd = fd, .name = name};
		int rc;

		if (strlen(path) >= PATH_MAX)
			return err_set(e, ERR_FAIL, "%.64s...: deeper than a path can be long",
				       path);
		if (stat_entry(w, &en, names.v[i].type, e) != 0) {
			if (is_gone(w, e))
				continue;
			return -1;
		}
		rc = w->fn(w->ctx, &en, e);
		if (rc < 0)
			return -1;
		if (rc == 0 && S_ISDIR(en.st.st_mode) && walk_below(w, &en, e) != 0)
			return -1;
	}
	return 0;
}

static int walk_from(int dirfd, const struct walk *w, struct err *e)
{
	int fd SCOPED(fd_closep) = -1;

	/* where the caller's has been read to is the caller's */
	return fs_open_dir(dirfd, ".", &fd, e) == 0 ? walk_dir(w, fd, "", e) : -1;
}

int fs_walk(int dirfd, int (*fn)(void *, const struct fs_entry *, struct err *), void *ctx,
	    struct err *e)
{
	return walk_from(dirfd, &(struct walk){.fn = fn, .ctx = ctx}, e);
}

int fs_walk_living(int dirfd, int (*fn)(void *, const struct fs_entry *, struct err *), void *ctx,
		   struct err *e)
{
	return walk_from(dirfd, &(struct walk){.fn = fn, .ctx = ctx, .living = true}, e);
}

int fs_walk_types(int dirfd, int (*fn)(void *, const struct fs_entry *, struct err *), void *ctx,
		  struct err *e)
{
	return walk_from(dirfd, &(struct walk){.fn = fn, .ctx = ctx, .types_only = true}, e);
}
