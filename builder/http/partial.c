#include "http/partial.h"

#include "base/fault.h"
#include "base/log.h"
#include "sys/fs.h"
#include "sys/lock.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *lock_name(const struct partial *p)
{
	return mem_format("%s.lock", digest_hex(&p->want).s);
}

/* A holder may remove the lock's file: then ours is a lock on nothing, and another may have a new
 * one. */
static int take_lock(struct partial *p, const char *name, struct err *e)
{
	struct stat ours, there;

	for (;;) {
		if (lock_take(p->dir_fd, name, &p->lock_fd, e) != 0)
			return -1;
		if (fstat(p->lock_fd, &ours) == 0 &&
		    fstatat(p->dir_fd, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
		    ours.st_ino == there.st_ino && ours.st_dev == there.st_dev)
			return 0;
		fd_closep(&p->lock_fd);
	}
}

static int place(struct partial *p, bool own, struct err *e)
{
	char *lock SCOPED(mem_freep) = lock_name(p);

	if (fs_open_dir(store_fd(p->s), "partial", &p->dir_fd, e) != 0)
		return -1;
	if (take_lock(p, lock, e) == 0) {
		p->path = store_partial_path(p->s, &p->want);
		return 0;
	}
	if (e->kind != ERR_BUSY || !own || store_scratch(p->s, "fetch", &p->scratch, e) != 0)
		return -1;
	p->path = mem_format("%s/file", p->scratch);
	return 0;
}

static int open_file(struct partial *p, int flags, struct err *e)
{
	struct stat st;

	fd_closep(&p->fd);
	p->fd = open(p->path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC | flags, 0600);
	if (p->fd < 0 || fstat(p->fd, &st) != 0)
		return err_sys(e, "open %s", p->path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_FAIL, "%s: not a file", p->path);
	p->have = (uint64_t)st.st_size;
	fault_point("partial open");
	return 0;
}

int partial_open(struct partial *p, bool own, struct err *e)
{
	if (place(p, own, e) == 0 && open_file(p, 0, e) == 0)
		return 0;
	partial_close(p);
	return -1;
}

int partial_write(struct partial *p, const void *data, size_t n, struct err *e)
{
	if (p->size != 0 && n > p->size - p->have)
		return err_set(e, ERR_VERIFY, "wants %s of %llu bytes, got more",
			       digest_text(&p->want).s, (unsigned long long)p->size);
	if (fs_write_all(p->fd, data, n, e) != 0)
		return err_in(e, "%s", p->path);
	p->have += n;
	return 0;
}

int partial_restart(struct partial *p, struct err *e)
{
	return open_file(p, O_TRUNC, e);
}

int partial_keep(struct partial *p, struct err *e)
{
	int rc = store_adopt(p->s, p->path, &p->want, p->size, e);

	if (rc == 0 || e->kind == ERR_VERIFY)
		p->have = 0;
	return rc;
}

/* Nothing to go on from: leave no file and no lock. */
static void clear(struct partial *p)
{
	char *lock SCOPED(mem_freep) = lock_name(p);

	(void)unlink(p->path);
	(void)unlinkat(p->dir_fd, lock, 0);
}

void partial_close(struct partial *p)
{
	struct err quiet = ERR_INIT;

	if (p->scratch != NULL && store_scratch_drop(p->s, p->scratch, &quiet) != 0)
		log_debug("%s", quiet.msg);
	if (p->path != NULL && p->lock_fd >= 0 && p->have == 0)
		clear(p);
	free(p->scratch);
	free(p->path);
	p->scratch = p->path = NULL;
	fd_closep(&p->fd);
	fd_closep(&p->dir_fd);
	fd_closep(&p->lock_fd);
	p->have = 0;
}
