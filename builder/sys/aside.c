#include "sys/aside.h"

#include "sys/intr.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void release(struct aside *a)
{
	if (a->error != NULL)
		(void)munmap(a->error, sizeof(*a->error));
	*a = (struct aside){0};
}

int aside_start(int (*fn)(void *arg, struct err *e), void *arg, struct aside *ret, struct err *e)
{
	struct aside a = {0};
	pid_t self = getpid();

	a.error =
	    mmap(NULL, sizeof(*a.error), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (a.error == MAP_FAILED)
		return err_sys(e, "share memory with a child");
	*a.error = (struct err)ERR_INIT;
	a.pid = fork();
	if (a.pid == 0) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != self)
			_exit(1);
		_exit(fn(arg, a.error) == 0 ? 0 : 1);
	}
	if (a.pid < 0) {
		(void)err_sys(e, "fork");
		release(&a);
		return -1;
	}
	*ret = a;
	return 0;
}

static int wait_for(pid_t pid, int *ret)
{
	bool told = false;

	for (;;) {
		if (intr_pending() && !told) {
			(void)kill(pid, SIGTERM);
			told = true;
		}
		if (waitpid(pid, ret, 0) == pid)
			return 0;
		if (errno != EINTR)
			return -1;
	}
}

int aside_join(struct aside *a, struct err *e)
{
	int status = 0, rc = 0;

	if (a->pid == 0)
		return 0;
	if (wait_for(a->pid, &status) != 0)
		rc = err_sys(e, "wait for a child process");
	else if (!WIFEXITED(status) || WEXITSTATUS(status) > 1 ||
		 (WEXITSTATUS(status) == 1 && a->error->msg[0] == '\0'))
		rc = err_set(e, ERR_FAIL, "a child process died (status %d)", status);
	else if (WEXITSTATUS(status) == 1)
		rc = (*e = *a->error, -1);
	release(a);
	return rc;
}

void aside_stop(struct aside *a)
{
	if (a->pid == 0)
		return;
	(void)kill(a->pid, SIGKILL);
	while (waitpid(a->pid, NULL, 0) < 0 && errno == EINTR)
		;
	release(a);
}

static void close_others(const int *keep, size_t keep_n)
{
	unsigned from = 3, next;

	do {
		next = UINT_MAX;
		for (size_t i = 0; i < keep_n; i++)
			if (keep[i] >= 0 && (unsigned)keep[i] >= from && (unsigned)keep[i] < next)
				next = (unsigned)keep[i];
		if (next > from)
			(void)close_range(from, next == UINT_MAX ? next : next - 1, 0);
		from = next + 1;
	} while (next != UINT_MAX);
}

static int to_nothing(void)
{
	int fd = open("/dev/null", O_RDWR);

	for (int i = 0; i < 3; i++)
		if (fd < 0 || dup2(fd, i) < 0)
			return -1;
	return 0;
}

int aside_outlive(int (*fn)(void *arg), void *arg, const int *keep, size_t keep_n, struct err *e)
{
	int status = 0;
	pid_t pid = fork();

	if (pid < 0)
		return err_sys(e, "fork");
	if (pid == 0) {
		pid_t child;

		(void)setsid();
		if (to_nothing() != 0)
			_exit(1);
		/* before the caller goes on: what he locked is not held by a child that has not
		 * come so far yet */
		close_others(keep, keep_n);
		child = fork();
		if (child != 0)
			_exit(child < 0 ? 1 : 0);
		_exit(fn(arg) == 0 ? 0 : 1);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(e, "wait for a child process");
	return status == 0 ? 0 : err_set(e, ERR_FAIL, "fork: a child process could not make one");
}
