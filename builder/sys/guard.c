#include "sys/guard.h"

#include "base/fault.h"
#include "sys/intr.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* A session of its own: what ends the parent's group, or its terminal, must not end this; nor may
 * a signal to all of a service's processes keep it from what it is there for. */
static void watch(int fd, void (*fn)(void *arg), void *arg)
{
	char word;
	ssize_t n;

	(void)setsid();
	intr_ignore();
	fault_none();
	do
		n = read(fd, &word, 1);
	while (n < 0 && errno == EINTR);
	if (n == 0)
		fn(arg);
	_exit(0);
}

int guard_start(void (*fn)(void *arg), void *arg, struct guard *ret, struct err *e)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return err_sys(e, "a pipe");
	pid = fork();
	if (pid == 0) {
		(void)close(ends[1]);
		watch(ends[0], fn, arg);
	}
	fd_closep(&ends[0]);
	if (pid < 0) {
		fd_closep(&ends[1]);
		return err_sys(e, "fork");
	}
	*ret = (struct guard){pid, ends[1]};
	return 0;
}

void guard_done(struct guard *g)
{
	if (g->pid == 0)
		return;
	(void)!write(g->alive, "", 1);
	fd_closep(&g->alive);
	while (waitpid(g->pid, NULL, 0) < 0 && errno == EINTR)
		continue;
	*g = (struct guard){0};
}
