#include "apply/job.h"

#include "base/log.h"
#include "sys/fs.h"
#include "sys/intr.h"
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

bool job_stop(struct job *j)
{
	struct err e = ERR_INIT;

	if (!intr_pending())
		return __atomic_load_n(&j->failed, __ATOMIC_RELAXED);
	(void)intr_err(&e);
	job_fail(j, &e);
	return true;
}

void job_fail(struct job *j, const struct err *e)
{
	if (!__atomic_exchange_n(&j->failed, true, __ATOMIC_RELAXED))
		j->err = *e;
}

const char *job_name(const struct job *j, size_t i)
{
	const char *path = j->want->v[i].path, *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

int job_open(const struct job *j, size_t i, int flags, mode_t mode)
{
	const char *path = j->want->v[i].path;
	const struct open_how how = {
	    .flags = (unsigned)(flags | O_NOFOLLOW | O_CLOEXEC),
	    .mode = mode,
	    .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
	};

	return fs_openat2(j->root, *path != '\0' ? path : ".", &how);
}

int job_mounted(const char *doing, const char *path, struct err *e)
{
	(void)err_set(e, ERR_BUSY, "%s %s: a file system is mounted there", doing, path);
	e->sys = EXDEV;
	return err_hint(e, "unmount it and repeat");
}

int job_err(const struct job *j, size_t i, const char *doing, struct err *e)
{
	const char *path = j->want->v[i].path;
	int sys = errno;

	path = *path != '\0' ? path : ".";
	if (sys == EXDEV)
		return job_mounted(doing, path, e);
	(void)err_sys(e, "%s %s", doing, path);
	if (sys == ENOSPC || sys == EDQUOT)
		(void)err_hint(e, "make room and repeat: what is written stays");
	if (sys != ETXTBSY)
		return -1;
	e->kind = ERR_BUSY;
	return err_hint(e, "end the program that runs from there");
}

int job_parent(const struct job *j, size_t i, int *ret, struct err *e)
{
	size_t parent = j->slots[i].parent;
	int fd = job_open(j, parent, O_RDONLY | O_DIRECTORY, 0);

	if (fd < 0)
		return job_err(j, parent, "open", e);
	*ret = fd;
	return 0;
}

void job_changed(struct job *j, size_t i)
{
	if (!j->slots[i].changed)
		__atomic_add_fetch(&j->result.changed, 1, __ATOMIC_RELAXED);
	j->slots[i].changed = true;
}

void job_progress(struct job *j, uint64_t files, uint64_t bytes)
{
	uint64_t f = __atomic_add_fetch(&j->files, files, __ATOMIC_RELAXED);
	uint64_t b = __atomic_add_fetch(&j->bytes, bytes, __ATOMIC_RELAXED);

	if (j->o->progress != NULL)
		j->o->progress(j->o->ctx, f, b,
			       __atomic_load_n(&j->result.bytes_written, __ATOMIC_RELAXED));
}

struct job_fd_path job_fd_path(int fd)
{
	struct job_fd_path p;

	(void)snprintf(p.s, sizeof(p.s), "/proc/self/fd/%d", fd);
	return p;
}

void job_mutable(int fd)
{
	int flags = 0;

	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) != 0 ||
	    (flags & (FS_IMMUTABLE_FL | FS_APPEND_FL)) == 0)
		return;
	flags &= ~(FS_IMMUTABLE_FL | FS_APPEND_FL);
	(void)ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

/* An entry, unless something is mounted there. Returns the descriptor or -1 and errno. */
static int open_here(int dirfd, const char *name, int flags)
{
	const struct open_how how = {
	    .flags = (unsigned)(flags | O_RDONLY | O_NOFOLLOW | O_CLOEXEC),
	    .resolve = RESOLVE_NO_XDEV,
	};

	return fs_openat2(dirfd, name, &how);
}

/* What stands in the way of removing an entry. Returns whether it can be looked into. */
static bool free_entry(const struct job *j, int dirfd, const char *name)
{
	int fd SCOPED(fd_closep) = open_here(dirfd, name, O_PATH);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0 || (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode)))
		return false;
	if (!j->mighty && S_ISDIR(st.st_mode) && (st.st_mode & S_IRWXU) != S_IRWXU)
		(void)chmod(job_fd_path(fd).s, S_IRWXU);
	fd_closep(&fd);
	fd = open_here(dirfd, name, O_NONBLOCK | O_NOCTTY);
	if (fd >= 0)
		job_mutable(fd);
	return fd >= 0;
}

static int count_one(void *ctx, const struct fs_entry *en, struct err *e)
{
	(void)en;
	(void)e;
	(*(uint64_t *)ctx)++;
	return 0;
}

/* As far as it can be read: what cannot be may be removed all the same. */
static uint64_t count_below(int fd)
{
	struct err e = ERR_INIT;
	uint64_t n = 0;

	if (fd >= 0 && fs_walk_types(fd, count_one, &n, &e) != 0)
		log_debug("%s", e.msg);
	return n;
}

static int free_one(void *ctx, const struct fs_entry *en, struct err *e)
{
	const struct job *j = ctx;

	(void)e;
	if (!S_ISDIR(en->st.st_mode) && !S_ISREG(en->st.st_mode))
		return 0;
	return free_entry(j, en->parent_fd, en->name) ? 0 : 1;
}

static int free_all(struct job *j, int dirfd, const char *name, struct err *e)
{
	int fd SCOPED(fd_closep) = -1;

	if (!free_entry(j, dirfd, name))
		return 0;
	fd = open_here(dirfd, name, O_DIRECTORY);
	return fd >= 0 ? fs_walk_types(fd, free_one, j, e) : 0;
}

int job_remove(struct job *j, int dirfd, const char *name, struct err *e)
{
	int fd SCOPED(fd_closep) = open_here(dirfd, name, O_DIRECTORY);
	struct err first = ERR_INIT;

	if (fd < 0 && errno == EXDEV)
		return job_mounted("remove", name, e);
	__atomic_add_fetch(&j->result.removed, 1 + count_below(fd), __ATOMIC_RELAXED);
	if (j->o->dry_run || fs_rmtree(dirfd, name, &first) == 0)
		return 0;
	if (free_all(j, dirfd, name, e) != 0)
		return err_in(e, "remove %s", name);
	return fs_rmtree(dirfd, name, e);
}
