/* stage: whether an instance is here still, by its mark and the end of its lease. */
#include "stage/closed.h"
#include "stage/leave.h"
#include "stage/parts.h"

#include "sys/aside.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include "sys/lock.h"
#include "sys/self.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { A_WHILE_US = 50000 };

static char dir[32], own[64];
static struct site s = {.shop = (char *)(uintptr_t) "1", .env = SITE_QA};
static struct stage_opts o = {.state = dir, .runtime = dir};

static int enter(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/stage-leave-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	(void)snprintf(own, sizeof(own), "%s/1/qa/.posmedia", dir);
	return fs_mkdirs(AT_FDCWD, own, 0700, &e);
}

static int leave(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	return fs_rmtree(AT_FDCWD, dir, &e);
}

static void put(const char *name, const char *text)
{
	char *path SCOPED(mem_freep) = fs_join(own, name);
	struct err e = ERR_INIT;

	assert_int_equal(fs_put_path(path, text, strlen(text), 0600, &e), 0);
}

static void lease(const char *boot, uint64_t until_ms)
{
	char *text SCOPED(mem_freep) = mem_format("%s %llu\n", boot, (unsigned long long)until_ms);

	put(STAGE_LENT, text);
}

static void is(enum stage_here want)
{
	enum stage_here now = STAGE_HERE;
	struct err e = ERR_INIT;

	assert_int_equal(stage_is_here(&s, &o, &now, &e), 0);
	assert_int_equal(now, want);
}

static void by_its_files(void **state)
{
	char *boot SCOPED(mem_freep) = self_boot_id();
	enum stage_here now;
	struct err e = ERR_INIT;

	(void)state;
	is(STAGE_HERE);
	/* what a reverse that died at its beginning wrote */
	lease(boot, clock_mono_ms() + 60000);
	is(STAGE_HERE);
	put(STAGE_CLOSED, "real\n");
	is(STAGE_HERE);
	put(STAGE_CLOSED, "gone\n");
	is(STAGE_LEAVING);
	lease(boot, clock_mono_ms());
	is(STAGE_LAPSED);
	lease("of-another-boot", clock_mono_ms() + 60000);
	is(STAGE_LAPSED);
	put(STAGE_LENT, "damaged");
	assert_int_equal(stage_is_here(&s, &o, &now, &e), -1);
	assert_int_equal(e.kind, ERR_VERIFY);
}

static void longer_while_it_lasts(void **state)
{
	char *boot SCOPED(mem_freep) = self_boot_id();
	struct err e = ERR_INIT;

	(void)state;
	put(STAGE_CLOSED, "gone\n");
	is(STAGE_LEFT);
	assert_int_equal(stage_leave_longer(&s, &o, 1, &e), 0);
	is(STAGE_LEFT);
	lease(boot, clock_mono_ms() + 60000);
	assert_int_equal(stage_leave_longer(&s, &o, clock_mono_ms() + 90000, &e), 0);
	is(STAGE_LEAVING);
	assert_int_equal(stage_leave_longer(&s, &o, 1, &e), 0);
	is(STAGE_LAPSED);
	/* it may have served meanwhile */
	assert_int_equal(stage_leave_longer(&s, &o, clock_mono_ms() + 90000, &e), -1);
	assert_int_equal(e.kind, ERR_BUSY);
	is(STAGE_LAPSED);
}

/* Of both: arg is the lock of whom they wait for, which a copy of him has too. */
static int makes_longer(void *arg, struct err *e)
{
	fd_closep(arg);
	return stage_leave_longer(&s, &o, clock_mono_ms() + 90000, e);
}

static int comes_back(void *arg, struct err *e)
{
	struct stage st SCOPED(stage_release) = {.s = &s, .o = &o, .ownfd = -1, .lock = -1};

	fd_closep(arg);
	st.own = mem_strdup(own);
	return fs_open_dir(AT_FDCWD, own, &st.ownfd, e) != 0 ? -1 : stage_come_back(&st, e);
}

/* Somebody is at it with the lease as `was`, and makes it `becomes`; who came meanwhile goes by
 * that, or by the end of the mark. */
static void beside(int (*does)(void *arg, struct err *e), uint64_t was, uint64_t becomes, int want)
{
	char *boot SCOPED(mem_freep) = self_boot_id();
	int at SCOPED(fd_closep) = -1, lock SCOPED(fd_closep) = -1;
	struct aside child = {0};
	struct err e = ERR_INIT;

	put(STAGE_CLOSED, "gone\n");
	lease(boot, was);
	assert_int_equal(fs_open_dir(AT_FDCWD, own, &at, &e), 0);
	assert_int_equal(lock_take(at, STAGE_LENT ".lock", &lock, &e), 0);
	assert_int_equal(aside_start(does, &lock, &child, &e), 0);
	(void)usleep(A_WHILE_US);
	if (becomes != 0)
		lease(boot, becomes);
	else
		assert_int_equal(unlinkat(at, STAGE_CLOSED, 0), 0);
	fd_closep(&lock);
	assert_int_equal(aside_join(&child, &e), want);
}

static void not_longer_while_it_comes_back(void **state)
{
	(void)state;
	beside(makes_longer, clock_mono_ms() + 60000, 0, -1);
	is(STAGE_HERE);
}

static void not_back_while_it_is_made_longer(void **state)
{
	(void)state;
	beside(comes_back, clock_mono_ms(), clock_mono_ms() + 60000, 0);
	is(STAGE_LEAVING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(by_its_files, enter, leave),
	    cmocka_unit_test_setup_teardown(longer_while_it_lasts, enter, leave),
	    cmocka_unit_test_setup_teardown(not_longer_while_it_comes_back, enter, leave),
	    cmocka_unit_test_setup_teardown(not_back_while_it_is_made_longer, enter, leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
