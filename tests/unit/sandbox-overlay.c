/* Overlays: any bytes in paths, many layers, twice in a row, seen by nobody else. */
#include "base/strv.h"
#include "sandbox/sandbox.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char scratch[] = "/tmp/sandbox-overlay.XXXXXX";

static int setup(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	return mkdtemp(scratch) != NULL ? sandbox_enter(&e) : -1;
}

static int teardown(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	return fs_rmtree(AT_FDCWD, scratch, &e);
}

/* scratch/name as a new directory; the caller owns the text. */
static char *dir(const char *name)
{
	char *path = mem_format("%s/%s", scratch, name);
	struct err e = ERR_INIT;

	assert_int_equal(fs_mkdirs(AT_FDCWD, path, 0755, &e), 0);
	return path;
}

static void put(const char *in, const char *name, const char *text)
{
	char *path = mem_format("%s/%s", in, name);
	struct err e = ERR_INIT;

	if (fs_put_path(path, text, strlen(text), 0644, &e) != 0)
		fail_msg("%s", e.msg);
	free(path);
}

static void assert_text(const char *in, const char *name, const char *wanted)
{
	char *path = mem_format("%s/%s", in, name);
	struct buf b = BUF_INIT(4096);
	struct err e = ERR_INIT;

	if (fs_get(AT_FDCWD, path, &b, &e) != 0)
		fail_msg("%s", e.msg);
	assert_string_equal(b.data, wanted);
	buf_release(&b);
	free(path);
}

static void ok(int rc, const struct err *e)
{
	if (rc != 0)
		fail_msg("%s", e->msg);
}

static void paths_of_any_bytes_and_twice(void **state)
{
	char *top = dir("top:1,lowerdir=x\\y\n"), *bottom = dir("bottom,\xff:"), *at = dir("a:t");
	char *upper = dir("upper,:\\"), *work = dir("wo:rk,"), *gone = dir("bottom,\xff:/gone");
	const char *lower[] = {top, bottom};
	struct err e = ERR_INIT;
	struct stat st;

	(void)state;
	put(top, "f", "top");
	put(bottom, "f", "bottom");
	put(bottom, "g", "bottom");
	ok(sandbox_overlay(lower, 2, upper, work, at, &e), &e);
	assert_text(at, "f", "top");
	assert_text(at, "g", "bottom");
	put(at, "g", "upper");
	free(gone);
	gone = mem_format("%s/gone", at);
	assert_int_equal(rmdir(gone), 0);
	ok(sandbox_unmount(at, &e), &e);
	assert_text(bottom, "g", "bottom");
	assert_text(upper, "g", "upper");
	free(gone);
	gone = mem_format("%s/gone", upper);
	assert_int_equal(lstat(gone, &st), 0);
	assert_true(S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0));
	/* what was written is there the second time, too */
	ok(sandbox_overlay(lower, 2, upper, work, at, &e), &e);
	assert_text(at, "g", "upper");
	ok(sandbox_unmount(at, &e), &e);
	for (size_t i = 0; i < 6; i++)
		free((char *[]){top, bottom, at, upper, work, gone}[i]);
}

static void read_only_views(void **state)
{
	char *one = dir("one"), *two = dir("two"), *at = dir("view");
	char *in = mem_format("%s/new", at);
	const char *lower[] = {one, two};
	struct err e = ERR_INIT;

	(void)state;
	put(one, "f", "1");
	for (size_t n = 1; n <= 2; n++) {
		ok(sandbox_overlay(lower, n, NULL, NULL, at, &e), &e);
		assert_text(at, "f", "1");
		assert_int_equal(mkdir(in, 0755), -1);
		assert_int_equal(errno, EROFS);
		ok(sandbox_unmount(at, &e), &e);
	}
	free(one);
	free(two);
	free(at);
	free(in);
}

static void views_that_are_mounted_nowhere(void **state)
{
	char *one = dir("v1"), *two = dir("v2");
	const char *lower[] = {one, two};
	const char *gone[] = {one, "/nonexistent/layer"};
	struct err e = ERR_INIT;

	(void)state;
	put(one, "f", "1");
	for (size_t n = 1; n <= 2; n++) {
		struct buf mounts[2] = {BUF_INIT(1 << 20), BUF_INIT(1 << 20)};
		struct buf text = BUF_INIT(100);
		int fd = -1;

		ok(fs_get(AT_FDCWD, "/proc/self/mounts", &mounts[0], &e), &e);
		ok(sandbox_overlay_view(lower, n, &fd, &e), &e);
		ok(fs_get(AT_FDCWD, "/proc/self/mounts", &mounts[1], &e), &e);
		assert_string_equal(mounts[0].data, mounts[1].data);
		ok(fs_get(fd, "f", &text, &e), &e);
		assert_string_equal(text.data, "1");
		assert_int_equal(mkdirat(fd, "new", 0755), -1);
		assert_int_equal(errno, EROFS);
		assert_int_equal(close(fd), 0);
		buf_release(&mounts[0]);
		buf_release(&mounts[1]);
		buf_release(&text);
	}
	assert_int_equal(sandbox_overlay_view(gone, 2, &(int){-1}, &e), -1);
	assert_string_equal(e.msg, "open directory /nonexistent/layer: No such file or directory");
	free(one);
	free(two);
}

static void as_many_layers_as_the_kernel_takes(void **state)
{
	struct strv layers = {0};
	char *at = dir("many"), name[32];
	struct err e = ERR_INIT;

	(void)state;
	for (int i = 0; i < 500; i++) {
		(void)snprintf(name, sizeof(name), "layer%03d", i);
		strv_take(&layers, dir(name));
		put(layers.v[i], name, name);
	}
	ok(sandbox_overlay((const char *const *)layers.v, layers.n, NULL, NULL, at, &e), &e);
	assert_text(at, "layer000", "layer000");
	assert_text(at, "layer499", "layer499");
	ok(sandbox_unmount(at, &e), &e);
	strv_add(&layers, scratch);
	assert_int_equal(
	    sandbox_overlay((const char *const *)layers.v, layers.n, NULL, NULL, at, &e), -1);
	assert_string_equal(e.msg, "overlay: 501 lower directories; 1 to 500 are possible");
	strv_release(&layers);
	free(at);
}

static void refusals_name_what_is_wrong(void **state)
{
	char *at = dir("at"), *upper = dir("u");
	const char *lower[] = {scratch, "/nonexistent/layer"};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(sandbox_overlay(lower, 0, NULL, NULL, at, &e), -1);
	assert_int_equal(sandbox_overlay(lower, 2, NULL, NULL, at, &e), -1);
	assert_string_equal(e.msg, "open directory /nonexistent/layer: No such file or directory");
	assert_int_equal(sandbox_overlay(lower, 1, upper, NULL, at, &e), -1);
	assert_string_equal(e.msg, "overlay: upper and work directories go together");
	assert_int_equal(sandbox_overlay(lower, 1, NULL, NULL, "/nonexistent/at", &e), -1);
	assert_non_null(strstr(e.msg, "/nonexistent/at: No such file"));
	assert_int_equal(sandbox_unmount(at, &e), -1);
	assert_non_null(strstr(e.msg, at));
	free(at);
	free(upper);
}

static bool mounted(const char *mounts, const char *what)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 20);
	struct err e = ERR_INIT;

	ok(fs_get(AT_FDCWD, mounts, &b, &e), &e);
	return strstr(b.data, what) != NULL;
}

static void nobody_else_sees_it(void **state)
{
	char *one = dir("o1"), *two = dir("o2"), *at = dir("private");
	const char *lower[] = {one, two};
	struct err e = ERR_INIT;

	(void)state;
	ok(sandbox_overlay(lower, 2, NULL, NULL, at, &e), &e);
	assert_true(mounted("/proc/self/mounts", at));
	assert_false(mounted("/proc/1/mounts", at));
	ok(sandbox_unmount(at, &e), &e);
	assert_false(mounted("/proc/self/mounts", at));
	free(one);
	free(two);
	free(at);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(paths_of_any_bytes_and_twice),
	    cmocka_unit_test(read_only_views),
	    cmocka_unit_test(views_that_are_mounted_nowhere),
	    cmocka_unit_test(as_many_layers_as_the_kernel_takes),
	    cmocka_unit_test(refusals_name_what_is_wrong),
	    cmocka_unit_test(nobody_else_sees_it),
	};

	return cmocka_run_group_tests_name("sandbox-overlay", tests, setup, teardown);
}
