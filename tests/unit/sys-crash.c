/* fs_put and fs_put_unsynced, killed at every one of its steps: the old bytes or the new ones, and
 * the way is free. */
#define POSMEDIA_FAULTS
#include "sys/fs.c" /* with its crash points, which the library does not have */

#include <setjmp.h>
#include <stdarg.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { DIED = 86 }; /* base/fault.c */

static char scratch[] = "/tmp/sys-crash.XXXXXX";

typedef int put_fn(const char *path, const void *p, size_t n, mode_t mode, struct err *e);
static put_fn *put = fs_put_path;

static int setup(void **state)
{
	(void)state;
	return mkdtemp(scratch) != NULL ? 0 : -1;
}

static int teardown(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	return fs_rmtree(AT_FDCWD, scratch, &e);
}

/* Puts text in a process that dies at its n-th step. Returns its exit status. */
static int put_dying_at(const char *path, const char *text, unsigned n)
{
	struct err e = ERR_INIT;
	char at[16];
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		(void)snprintf(at, sizeof(at), "%u", n);
		(void)setenv("POSMEDIA_DIE_AT", at, 1);
		(void)close(STDERR_FILENO);
		_exit(put(path, text, strlen(text), 0644, &e) == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static bool holds(const char *path, const char *text)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(100);
	struct err e = ERR_INIT;

	return fs_get(AT_FDCWD, path, &b, &e) == 0 && strcmp(b.data, text) == 0;
}

static void old_or_new_at_every_step(void **state)
{
	char *path = mem_format("%s/file", scratch);
	struct err e = ERR_INIT;
	unsigned deaths = 0, replaced = 0;

	(void)state;
	for (;; deaths++) {
		int status;

		if (fs_put_path(path, "old", 3, 0644, &e) != 0)
			fail_msg("%s", e.msg);
		status = put_dying_at(path, "new", deaths + 1);
		if (status == 0)
			break;
		assert_int_equal(status, DIED);
		assert_true(holds(path, "old") || holds(path, "new"));
		replaced += holds(path, "new");
	}
	assert_true(holds(path, "new"));
	assert_int_equal(deaths, 4);
	assert_int_equal(replaced, 1); /* only after the rename */
	free(path);
}

static void a_new_file_is_there_whole_or_not(void **state)
{
	char *path = mem_format("%s/new", scratch);
	struct err e = ERR_INIT;

	(void)state;
	for (unsigned n = 1;; n++) {
		int status = put_dying_at(path, "new", n);

		if (status == 0)
			break;
		assert_int_equal(status, DIED);
		assert_true(access(path, F_OK) != 0 || holds(path, "new"));
		assert_int_equal(fs_rmtree(AT_FDCWD, path, &e), 0);
	}
	assert_true(holds(path, "new"));
	free(path);
}

static void unsynced(void **state)
{
	put = fs_put_unsynced;
	old_or_new_at_every_step(state);
	put = fs_put_path;
}

/* Between its two names a file can be seen under the first: the only litter there may be. */
static void litter_only_from_one_step(void **state)
{
	char *dir = mem_format("%s/litter", scratch), *path = mem_format("%s/f", dir);
	struct strv names = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(mkdir(dir, 0755), 0);
	for (unsigned n = 1; n <= 4; n++)
		(void)put_dying_at(path, "new", n);
	assert_int_equal(fs_list(AT_FDCWD, dir, &names, &e), 0);
	assert_int_equal(names.n, 2);
	assert_int_equal(strncmp(names.v[0], ".f.new.", 7), 0);
	assert_string_equal(names.v[1], "f");
	strv_release(&names);
	free(dir);
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(old_or_new_at_every_step),
	    cmocka_unit_test(unsynced),
	    cmocka_unit_test(a_new_file_is_there_whole_or_not),
	    cmocka_unit_test(litter_only_from_one_step),
	};

	return cmocka_run_group_tests_name("sys-crash", tests, setup, teardown);
}
