/* sys: what acts when we die in the middle. */
#include "sys/guard.h"

#include "sys/intr.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { TO_BOTH = 1000 };

static int ends[2];

static void act(void *arg)
{
	(void)!write(ends[1], intr_pending() ? "i" : arg, 1);
}

/* What a process that begins, and then ends so, makes the guard do: 'x', or 0 for nothing. */
static char after(int how)
{
	char word = 0;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		struct guard g = {0};
		struct err e = ERR_INIT;

		intr_install();
		if (guard_start(act, "x", &g, &e) != 0)
			_exit(9);
		if (how == TO_BOTH) {
			(void)usleep(100000);
			(void)kill(g.pid, SIGTERM);
			how = SIGKILL;
		}
		if (how == 0)
			guard_done(&g);
		else if (how > 0)
			(void)kill(getpid(), how);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	(void)close(ends[1]);
	assert_true(read(ends[0], &word, 1) >= 0);
	(void)close(ends[0]);
	return word;
}

static void acts(void **state)
{
	struct guard none = {0};

	(void)state;
	assert_int_equal(after(0), 0);
	assert_int_equal(after(-1), 'x');
	assert_int_equal(after(SIGKILL), 'x');
	assert_int_equal(after(SIGTERM), 'x');
	assert_int_equal(after(TO_BOTH), 'x');
	guard_done(&none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(acts)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
