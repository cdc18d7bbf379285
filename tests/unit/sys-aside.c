/* sys/aside: a function in a child process, its result, and its end. */
#include "sys/aside.h"

#include "sys/intr.h"
#include "sys/lock.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static int good(void *arg, struct err *e)
{
	(void)e;
	*(int *)arg = 2; /* in the child's memory only */
	return 0;
}

static int bad(void *arg, struct err *e)
{
	(void)arg;
	(void)err_set(e, ERR_STEP, "test x: exit status 3");
	return err_hint(e, "look at it");
}

static int dies(void *arg, struct err *e)
{
	(void)arg;
	(void)e;
	(void)raise(SIGKILL);
	return 0;
}

static int silent(void *arg, struct err *e)
{
	(void)arg;
	(void)e;
	return -1;
}

/* Says when it is at it, and ends only by a signal. */
static int waits(void *arg, struct err *e)
{
	(void)!write(*(int *)arg, "x", 1);
	for (int i = 0; i < 600 && !intr_pending(); i++)
		(void)usleep(100000);
	return intr_pending() ? intr_err(e) : 0;
}

static void its_result_is_ours(void **state)
{
	struct aside a = {0};
	struct err e = ERR_INIT;
	int n = 1;

	(void)state;
	assert_int_equal(aside_join(&a, &e), 0);
	assert_int_equal(aside_start(good, &n, &a, &e), 0);
	assert_int_equal(aside_join(&a, &e), 0);
	assert_int_equal(n, 1);
	assert_int_equal(aside_start(bad, NULL, &a, &e), 0);
	assert_int_equal(aside_join(&a, &e), -1);
	assert_int_equal(e.kind, ERR_STEP);
	assert_string_equal(e.msg, "test x: exit status 3");
	assert_string_equal(e.hint, "look at it");
}

static void a_death_is_an_error(void **state)
{
	struct aside a = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(aside_start(dies, NULL, &a, &e), 0);
	assert_int_equal(aside_join(&a, &e), -1);
	assert_string_equal(e.msg, "a child process died (status 9)");
	assert_int_equal(aside_start(silent, NULL, &a, &e), 0);
	assert_int_equal(aside_join(&a, &e), -1);
	assert_string_equal(e.msg, "a child process died (status 256)");
}

static void one_that_nobody_can_wait_for_is_an_error(void **state)
{
	struct aside a = {0};
	struct err e = ERR_INIT;

	(void)state;
	(void)signal(SIGCHLD, SIG_IGN);
	assert_int_equal(aside_start(bad, NULL, &a, &e), 0);
	assert_int_equal(aside_join(&a, &e), -1);
	(void)signal(SIGCHLD, SIG_DFL);
	assert_string_equal(e.msg, "wait for a child process: No child processes");
}

static void it_can_be_stopped(void **state)
{
	struct aside a = {0};
	struct err e = ERR_INIT;
	int up[2];
	pid_t pid;
	char c;

	(void)state;
	assert_int_equal(pipe2(up, O_CLOEXEC), 0);
	assert_int_equal(aside_start(waits, &up[1], &a, &e), 0);
	pid = a.pid;
	assert_int_equal(read(up[0], &c, 1), 1);
	aside_stop(&a);
	assert_int_equal(a.pid, 0);
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(errno, ESRCH);
	aside_stop(&a);
	(void)close(up[0]);
	(void)close(up[1]);
}

struct outliving {
	int say, gone; /* it writes there, when this has come to its end */
};

/* Says which of its descriptors are open, when who started it is dead. */
static int outlives(void *arg)
{
	const struct outliving *x = arg;
	char c, said[] = "0000";

	if (read(x->gone, &c, 1) != 0)
		return -1;
	said[0] = fcntl(STDIN_FILENO, F_GETFD) >= 0 ? '1' : '0';
	said[1] = fcntl(200, F_GETFD) >= 0 ? '1' : '0';
	said[2] = getsid(0) != getpid() && getpgrp() != getpid() ? '1' : '0';
	return write(x->say, said, 4) == 4 ? 0 : -1;
}

static void one_outlives_us(void **state)
{
	int said[2], life[2], status = 0;
	char text[5] = "";
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(said, O_CLOEXEC), 0);
	assert_int_equal(pipe2(life, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		struct outliving x = {said[1], life[0]};
		const int keep[] = {said[1], life[0]};
		struct err e = ERR_INIT;

		_exit(dup2(said[1], 200) == 200 && aside_outlive(outlives, &x, keep, 2, &e) == 0
			  ? 0
			  : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	(void)close(life[1]);
	(void)close(said[1]);
	assert_int_equal(read(said[0], text, 4), 4);
	assert_string_equal(text, "1010");
	(void)close(life[0]);
	(void)close(said[0]);
}

static int is_done(void *arg)
{
	(void)arg;
	return 0;
}

/* A lock that was held at its beginning is free as soon as who took it says so. */
static void what_outlives_us_holds_no_lock(void **state)
{
	char dir[] = "/tmp/sys-aside-XXXXXX";
	struct err e = ERR_INIT;
	int at;

	(void)state;
	assert_non_null(mkdtemp(dir));
	at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(at >= 0);
	for (int i = 0; i < 300; i++) {
		int lock = -1, again;

		assert_int_equal(lock_take(at, "lock", &lock, &e), 0);
		assert_int_equal(aside_outlive(is_done, NULL, NULL, 0, &e), 0);
		(void)close(lock);
		again = openat(at, "lock", O_RDWR | O_CLOEXEC);
		assert_int_equal(flock(again, LOCK_EX | LOCK_NB), 0);
		(void)close(again);
	}
	assert_int_equal(unlinkat(at, "lock", 0), 0);
	(void)close(at);
	assert_int_equal(rmdir(dir), 0);
}

/* In a process of its own: the signal stays pending for good. */
static void a_signal_is_passed_on(void **state)
{
	int status = 0;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		struct aside a = {0};
		struct err e = ERR_INIT;
		int up[2];
		char c;

		intr_install();
		if (pipe2(up, O_CLOEXEC) != 0 || aside_start(waits, &up[1], &a, &e) != 0 ||
		    read(up[0], &c, 1) != 1)
			_exit(1);
		(void)raise(SIGTERM);
		_exit(aside_join(&a, &e) == -1 &&
			      strcmp(e.msg, "interrupted by signal 15; nothing was changed") == 0
			  ? 0
			  : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(its_result_is_ours),
	    cmocka_unit_test(a_death_is_an_error),
	    cmocka_unit_test(one_that_nobody_can_wait_for_is_an_error),
	    cmocka_unit_test(it_can_be_stopped),
	    cmocka_unit_test(a_signal_is_passed_on),
	    cmocka_unit_test(one_outlives_us),
	    cmocka_unit_test(what_outlives_us_holds_no_lock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
