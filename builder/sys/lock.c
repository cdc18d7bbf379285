#include "sys/lock.h"

#include "base/num.h"
#include "sys/clock.h"
#include "sys/intr.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

enum { TRIES = 3, TRY_US = 2000, NAP_US = 20000 };

static int open_lock(int dirfd, const char *name, int how, int *ret_fd, struct err *e)
{
	int fd SCOPED(fd_closep) = openat(dirfd, name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	char pid[24] = "";
	uint64_t holder;

	if (fd < 0)
		return err_sys(e, "open lock %s", name);
	/* who asks for its holder has it for a moment */
	for (int i = 0; i < TRIES; i++) {
		if (flock(fd, how | LOCK_NB) == 0) {
			*ret_fd = STEAL_FD(fd);
			return 0;
		}
		if (errno != EWOULDBLOCK)
			break;
		(void)usleep(TRY_US);
	}
	if (errno != EWOULDBLOCK)
		return err_sys(e, "lock %s", name);
	(void)!pread(fd, pid, sizeof(pid) - 1, 0);
	if (num_u64(pid, INT32_MAX, &holder) != 0)
		holder = 0;
	(void)err_set(e, ERR_BUSY, "%s: held by process %llu", name, (unsigned long long)holder);
	return err_hint(e, "wait for it to end, or use another output directory");
}

int lock_holder(int dirfd, const char *name)
{
	int fd SCOPED(fd_closep) =
	    openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char pid[24] = "";
	uint64_t holder;

	if (fd < 0 || flock(fd, LOCK_SH | LOCK_NB) == 0 || errno != EWOULDBLOCK)
		return 0;
	(void)!pread(fd, pid, sizeof(pid) - 1, 0);
	return num_u64(pid, INT_MAX, &holder) == 0 && holder > 0 ? (int)holder : INT_MAX;
}

int lock_share(int dirfd, const char *name, int *ret_fd, struct err *e)
{
	return open_lock(dirfd, name, LOCK_SH, ret_fd, e);
}

int lock_take(int dirfd, const char *name, int *ret_fd, struct err *e)
{
	int fd SCOPED(fd_closep) = -1;
	char pid[24];
	int n = snprintf(pid, sizeof(pid), "%ld", (long)getpid());

	if (open_lock(dirfd, name, LOCK_EX, &fd, e) != 0)
		return -1;
	if (ftruncate(fd, 0) != 0 || pwrite(fd, pid, (size_t)n, 0) != n)
		return err_sys(e, "write lock %s", name);
	*ret_fd = STEAL_FD(fd);
	return 0;
}

int lock_wait(int dirfd, const char *name, uint64_t ms, int *ret_fd, struct err *e)
{
	const uint64_t until = clock_mono_ms() + ms;

	for (;;) {
		struct err why = ERR_INIT;

		if (lock_take(dirfd, name, ret_fd, &why) == 0)
			return 0;
		if (why.kind != ERR_BUSY || clock_mono_ms() >= until) {
			*e = why;
			return -1;
		}
	}
}

int lock_inherit(int dirfd, const char *name, uint64_t ms, int *ret_fd, struct err *e)
{
	const uint64_t until = clock_mono_ms() + ms;

	for (;;) {
		struct err why = ERR_INIT;
		int holder;

		if (lock_take(dirfd, name, ret_fd, &why) == 0)
			return 0;
		holder = lock_holder(dirfd, name);
		if (why.kind != ERR_BUSY || clock_mono_ms() >= until || intr_pending() ||
		    (holder != 0 && (kill(holder, 0) == 0 || errno != ESRCH))) {
			*e = why;
			return -1;
		}
		(void)usleep(NAP_US);
	}
}
