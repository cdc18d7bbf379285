/* cutover: an order to who stays at the door stays until he has seen it. */
#include "cutover/back.h"

#include "sys/fs.h"
#include "sys/lock.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char path[32];
static int dir;

static int enter(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	(void)snprintf(path, sizeof(path), "/tmp/cutover-door-XXXXXX");
	return mkdtemp(path) == NULL || fs_open_dir(AT_FDCWD, path, &dir, &e) != 0;
}

static int leave(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	(void)close(dir);
	return fs_rmtree(AT_FDCWD, path, &e);
}

static bool is_told(void)
{
	return faccessat(dir, "door-end", F_OK, 0) == 0;
}

static void stays_for_who_does_not_go(void **state)
{
	int him SCOPED(fd_closep) = -1;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(lock_take(dir, "door", &him, &e), 0);
	assert_int_equal(cut_door_end(dir, 20, &e), -1);
	assert_int_equal(e.kind, ERR_BUSY);
	assert_true(is_told());
	fd_closep(&him);
	/* what he left is nobody else's */
	assert_int_equal(cut_door_end(dir, 20, &e), 0);
	assert_false(is_told());
}

static void to_nobody_is_none(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(cut_door_end(dir, 20, &e), 0);
	assert_false(is_told());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(stays_for_who_does_not_go, enter, leave),
	    cmocka_unit_test_setup_teardown(to_nobody_is_none, enter, leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
