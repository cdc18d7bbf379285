/* Locks: one holder, told by its process id, and what a dead one leaves. */
#include "sys/fs.h"
#include "sys/lock.h"
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { LONG_MS = INT_MAX }; /* who waits so long where nothing comes is ended by the test's limit */

static char scratch[] = "/tmp/sys-lock.XXXXXX";
static int top = -1;

static int setup(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	return mkdtemp(scratch) != NULL ? fs_open_dir(AT_FDCWD, scratch, &top, &e) : -1;
}

static int teardown(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	(void)close(top);
	return fs_rmtree(AT_FDCWD, scratch, &e);
}

/* A process that has the lock until a byte comes, or the end; `heir`: it dies at once, and one that
 * it forked has the lock until then and a little longer. */
struct holder {
	pid_t pid;
	int go;
};

static void hold(int go, int said, bool heir)
{
	struct err e = ERR_INIT;
	int fd = -1;
	char byte;

	if (lock_take(top, "lock", &fd, &e) != 0)
		_exit(1);
	if (heir && fork() != 0)
		_exit(0);
	(void)!write(said, "", 1);
	(void)!read(go, &byte, 1);
	if (heir)
		(void)usleep(100000);
	_exit(0);
}

static struct holder start(bool heir)
{
	struct holder h;
	int go[2], said[2];
	char byte;

	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	assert_int_equal(pipe2(said, O_CLOEXEC), 0);
	h.pid = fork();
	if (h.pid == 0) {
		(void)close(go[1]);
		hold(go[0], said[1], heir);
	}
	(void)close(go[0]);
	(void)close(said[1]);
	assert_int_equal(read(said[0], &byte, 1), 1);
	(void)close(said[0]);
	h.go = go[1];
	return h;
}

static void one_holder(void **state)
{
	struct holder h = start(false);
	struct err e = ERR_INIT;
	char words[32];
	int fd = -1;

	(void)state;
	(void)snprintf(words, sizeof(words), "held by process %d", (int)h.pid);
	assert_int_equal(lock_take(top, "lock", &fd, &e), -1);
	assert_int_equal(e.kind, ERR_BUSY);
	assert_non_null(strstr(e.msg, words));
	assert_int_equal(lock_holder(top, "lock"), h.pid);
	/* one who lives is not waited for */
	assert_int_equal(lock_inherit(top, "lock", LONG_MS, &fd, &e), -1);
	assert_int_equal(e.kind, ERR_BUSY);
	assert_int_equal(fd, -1);
	(void)close(h.go);
	assert_int_equal(waitpid(h.pid, NULL, 0), h.pid);
	assert_int_equal(lock_holder(top, "lock"), 0);
	assert_int_equal(lock_inherit(top, "lock", 0, &fd, &e), 0);
	assert_int_equal(lock_holder(top, "lock"), getpid());
	(void)close(fd);
}

static void what_a_dead_one_forked_is_waited_for(void **state)
{
	struct holder h = start(true);
	struct err e = ERR_INIT;
	int fd = -1;

	(void)state;
	assert_int_equal(waitpid(h.pid, NULL, 0), h.pid);
	assert_int_equal(lock_take(top, "lock", &fd, &e), -1);
	assert_int_equal(lock_inherit(top, "lock", 1, &fd, &e), -1);
	assert_int_equal(e.kind, ERR_BUSY);
	(void)close(h.go);
	assert_int_equal(lock_inherit(top, "lock", LONG_MS, &fd, &e), 0);
	assert_int_equal(lock_holder(top, "lock"), getpid());
	(void)close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_holder),
	    cmocka_unit_test(what_a_dead_one_forked_is_waited_for),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
