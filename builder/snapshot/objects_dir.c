/* objects_dir.c - objects as files, put by link(2): a name is there with all its bytes, or not. */
#include "snapshot/objects.h"

#include "base/fault.h"
#include "sys/fs.h"
#include "sys/lock.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LIST_MAX = 4 << 20 };

struct place {
	int fd;
	int lock_fd;
	bool writing;
};

static void place_free(void *ctx)
{
	struct place *p = ctx;

	fd_closep(&p->fd);
	fd_closep(&p->lock_fd);
	free(p);
}

/* The directory that an object is in, and its name there. */
static int open_folder(const struct place *p, const char *name, bool make, int *ret_fd,
		       const char **ret_name)
{
	const char *slash = strchr(name, '/');
	char *folder SCOPED(mem_freep) =
	    slash != NULL ? mem_strndup(name, (size_t)(slash - name)) : mem_strdup(".");
	int fd;

	*ret_name = slash != NULL ? slash + 1 : name;
	if (make && slash != NULL && mkdirat(p->fd, folder, 0700) == 0)
		(void)fsync(p->fd);
	fd = openat(p->fd, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	*ret_fd = fd;
	return fd < 0 ? -1 : 0;
}

static int copy_to(void *ctx, int fd, struct err *e)
{
	return fs_copy_fd(*(int *)ctx, fd, NULL, e);
}

/* Gives the file its name unless something has it. A file system that can do neither has no other
 * way than to look first. */
static int name_new(int dirfd, const char *temp, const char *name)
{
	if (renameat2(dirfd, temp, dirfd, name, RENAME_NOREPLACE) == 0 || errno == EEXIST)
		return 0;
	if (linkat(dirfd, temp, dirfd, name, 0) == 0 || errno == EEXIST)
		return 0;
	if (faccessat(dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	return renameat(dirfd, temp, dirfd, name);
}

/* Of a file system without nameless files, or another one than the repository's. */
static int put_copy(int dirfd, const char *name, int fd, struct err *e)
{
	const struct fs_filler f = {copy_to, &fd};
	char *temp SCOPED(mem_freep) = mem_format(".%s.%d-%d", name, (int)getpid(), fd);
	int rc;

	if (faccessat(dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	if (fs_put_with(dirfd, temp, 0400, &f, e) != 0)
		return -1;
	rc = name_new(dirfd, temp, name) == 0 ? 0 : err_sys(e, "name the copy");
	(void)unlinkat(dirfd, temp, 0);
	return rc;
}

static int place_put(void *ctx, const char *name, int fd, uint64_t size, struct err *e)
{
	struct place *p = ctx;
	char *self SCOPED(mem_freep) = mem_format("/proc/self/fd/%d", fd);
	int dirfd SCOPED(fd_closep) = -1;
	const char *last;

	(void)size;
	if (open_folder(p, name, true, &dirfd, &last) != 0)
		return err_sys(e, "open its directory");
	if (fsync(fd) != 0)
		return err_sys(e, "sync");
	fault_point("snapshot object");
	if (linkat(AT_FDCWD, self, dirfd, last, AT_SYMLINK_FOLLOW) != 0 && errno != EEXIST) {
		if (errno != EXDEV && errno != ENOENT && errno != EPERM)
			return err_sys(e, "link");
		if (put_copy(dirfd, last, fd, e) != 0)
			return -1;
	}
	return fsync(dirfd) == 0 ? 0 : err_sys(e, "sync its directory");
}

/* What a disk or a file system will not give out of one object is its fault, as wrong bytes are:
 * the rest is of use all the same. What the process lacks is not. */
static int unreadable(const char *name, const char *what, struct err *e)
{
	int errnum = errno;

	(void)err_sys(e, "%s", what);
	if (strchr(name, '/') != NULL && errnum != EMFILE && errnum != ENFILE && errnum != ENOMEM &&
	    errnum != EINTR)
		e->kind = ERR_VERIFY;
	return -1;
}

static int place_read(void *ctx, const char *name, uint64_t from, struct object_part *part,
		      struct err *e)
{
	struct place *p = ctx;
	int dirfd SCOPED(fd_closep) = -1;
	int fd SCOPED(fd_closep) = -1;
	const char *last;
	ssize_t r;

	if (open_folder(p, name, false, &dirfd, &last) != 0)
		return errno == ENOENT ? 1 : err_sys(e, "open its directory");
	fd = openat(dirfd, last, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 1 : unreadable(name, "open", e);
	while (part->got < part->n) {
		r = pread(fd, (char *)part->p + part->got, part->n - part->got,
			  (off_t)(from + part->got));
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return unreadable(name, "read", e);
		if (r == 0)
			break;
		part->got += (size_t)r;
	}
	return 0;
}

static int place_list(void *ctx, const char *folder, struct object_list *ret, struct err *e)
{
	struct place *p = ctx;
	struct strv names SCOPED(strv_release) = {0};
	int dirfd SCOPED(fd_closep) =
	    openat(p->fd, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (dirfd < 0)
		return errno == ENOENT ? 0 : err_sys(e, "open");
	if (fs_list(dirfd, ".", &names, e) != 0)
		return -1;
	for (size_t i = 0; i < names.n && i < LIST_MAX; i++) {
		struct stat st;

		if (names.v[i][0] == '.' ||
		    fstatat(dirfd, names.v[i], &st, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		if (ret->n == ret->cap)
			ret->v = mem_resize(ret->v, ret->cap = ret->cap * 2 + 16, sizeof(*ret->v));
		/* of what is no file nothing is to be had */
		ret->v[ret->n++] = (struct object){mem_strdup(names.v[i]),
						   S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0,
						   (int64_t)st.st_mtime};
	}
	return 0;
}

static int place_remove(void *ctx, const char *name, struct err *e)
{
	struct place *p = ctx;
	int dirfd SCOPED(fd_closep) = -1;
	const char *last;

	if (open_folder(p, name, false, &dirfd, &last) != 0)
		return errno == ENOENT ? 0 : err_sys(e, "open its directory");
	if (unlinkat(dirfd, last, 0) != 0 && errno != ENOENT)
		return err_sys(e, "remove");
	fault_point("snapshot removal");
	return fsync(dirfd) == 0 ? 0 : err_sys(e, "sync its directory");
}

static int place_may_remove(void *ctx, struct err *e)
{
	(void)ctx;
	(void)e;
	return 0;
}

static int place_temp(void *ctx, int *ret_fd, struct err *e)
{
	struct place *p = ctx;
	char name[] = "/var/tmp/posmedia-pack.XXXXXX";
	int fd = openat(p->fd, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0400);

	if (fd < 0 && errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT)
		return err_sys(e, "make a file in the repository");
	if (fd < 0) {
		fd = mkostemp(name, O_CLOEXEC);
		if (fd < 0)
			return err_sys(e, "make a file in /var/tmp");
		(void)unlink(name);
	}
	*ret_fd = fd;
	return 0;
}

/* Who only reads makes no lock where there is none; who may only read cannot have one, and needs
 * none where nobody can remove anything. A writer without one would lose its packs to a pruning. */
static int place_lock(void *ctx, bool alone, struct err *e)
{
	struct place *p = ctx;
	struct err why = ERR_INIT;
	int rc;

	if (!alone && !p->writing && faccessat(p->fd, "lock", F_OK, AT_SYMLINK_NOFOLLOW) != 0)
		return 0;
	rc = alone ? lock_take(p->fd, "lock", &p->lock_fd, &why)
		   : lock_share(p->fd, "lock", &p->lock_fd, &why);
	if (rc == 0 || (!alone && !p->writing && why.kind != ERR_BUSY))
		return 0;
	*e = why;
	return why.kind == ERR_BUSY ? err_hint(e, "wait until it has ended") : -1;
}

/* Makes the directory, so that its name is on disk before anything in it is. */
static int make_place(const char *path, struct err *e)
{
	char *up SCOPED(mem_freep) = NULL;
	size_t n = strlen(path);
	int fd SCOPED(fd_closep) = -1;

	if (mkdir(path, 0700) != 0)
		return errno == EEXIST ? 0 : err_sys(e, "make the directory %s", path);
	while (n > 1 && path[n - 1] == '/')
		n--;
	while (n > 0 && path[n - 1] != '/')
		n--;
	up = n > 0 ? mem_strndup(path, n) : mem_strdup(".");
	if (fs_open_dir(AT_FDCWD, up, &fd, e) != 0)
		return -1;
	return fsync(fd) == 0 ? 0 : err_sys(e, "sync %s", up);
}

int objects_dir(const char *path, bool make, struct objects *o, struct err *e)
{
	static const struct objects_ops ops = {place_put,    place_read,       place_list,
					       place_remove, place_may_remove, place_temp,
					       place_lock,   place_free};
	struct place *p;
	int fd;

	if (make && make_place(path, e) != 0)
		return -1;
	if (fs_open_dir(AT_FDCWD, path, &fd, e) != 0)
		return -1;
	p = mem_zalloc(sizeof(*p));
	p->fd = fd;
	p->lock_fd = -1;
	p->writing = make;
	o->ops = &ops;
	o->ctx = p;
	return 0;
}
