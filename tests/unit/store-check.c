/* Wrong blobs: found, named, moved away whole, also by a process that is killed on the way. */
#define POSMEDIA_FAULTS
#include "store/check.c" /* with its crash points, which the library does not have */

#include <setjmp.h>
#include <stdarg.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { DIED = 86 }; /* base/fault.c */

struct fixture {
	char dir[64];
	struct store *s;
	struct digest good, bad;
};

static int setup(void **state)
{
	struct fixture *f = mem_zalloc(sizeof(*f));
	char *path SCOPED(mem_freep) = NULL;
	struct err e = ERR_INIT;

	memcpy(f->dir, "/tmp/posmedia-check.XXXXXX", 27);
	if (mkdtemp(f->dir) == NULL || store_open(f->dir, &f->s, &e) != 0 ||
	    store_put_bytes(f->s, "good", 4, &f->good, &e) != 0 ||
	    store_put_bytes(f->s, "bad", 3, &f->bad, &e) != 0)
		return -1;
	path = store_blob_path(f->s, &f->bad);
	*state = f;
	return fs_put_path(path, "bat", 3, 0644, &e);
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;

	store_free(f->s);
	assert_int_equal(fs_rmtree(AT_FDCWD, f->dir, &e), 0);
	free(f);
	return 0;
}

static void add_strangers(const struct fixture *f)
{
	char *name SCOPED(mem_freep) = mem_format("%s/" BLOBS "/README", f->dir);
	struct digest pipe = digest_of("pipe", 4);
	char *path SCOPED(mem_freep) = store_blob_path(f->s, &pipe);
	struct err e = ERR_INIT;

	assert_int_equal(fs_put_path(name, "", 0, 0644, &e), 0);
	assert_int_equal(mkfifo(path, 0644), 0);
}

static const char *why(const struct store_report *r, const char *name)
{
	for (size_t i = 0; i < r->wrong_n; i++)
		if (strcmp(r->wrong[i].name, name) == 0)
			return r->wrong[i].why;
	return NULL;
}

static bool aside(const struct fixture *f, const char *name)
{
	char *path SCOPED(mem_freep) = mem_format("%s/damaged/%s", f->dir, name);
	struct stat st;

	return lstat(path, &st) == 0;
}

static void wrong_ones_are_named(void **state)
{
	struct fixture *f = *state;
	struct digest bat = digest_of("bat", 3);
	struct store_report r SCOPED(store_report_release) = {0};
	struct err e = ERR_INIT;

	add_strangers(f);
	assert_int_equal(store_check(f->s, false, &r, &e), 0);
	assert_int_equal(r.blobs, 1);
	assert_int_equal(r.bytes, 4);
	assert_int_equal(r.wrong_n, 3);
	assert_non_null(strstr(why(&r, digest_hex(&f->bad).s), digest_hex(&bat).s));
	assert_string_equal(why(&r, "README"), "is no digest");
	assert_true(store_has(f->s, &f->bad, NULL));
	assert_false(aside(f, "README"));
}

static void repair_moves_them_away(void **state)
{
	struct fixture *f = *state;
	struct store_report first SCOPED(store_report_release) = {0};
	struct store_report then SCOPED(store_report_release) = {0};
	struct err e = ERR_INIT;

	add_strangers(f);
	assert_int_equal(store_check(f->s, true, &first, &e), 0);
	assert_int_equal(first.wrong_n, 3);
	assert_false(store_has(f->s, &f->bad, NULL));
	assert_true(aside(f, digest_hex(&f->bad).s));
	assert_true(aside(f, "README"));
	assert_int_equal(store_check(f->s, false, &then, &e), 0);
	assert_int_equal(then.wrong_n, 0);
	assert_int_equal(then.blobs, 1);
}

static void litter_is_told_and_no_fault(void **state)
{
	struct fixture *f = *state;
	char *partial SCOPED(mem_freep) = store_partial_path(f->s, &f->good);
	char *lock SCOPED(mem_freep) = mem_format("%s.lock", partial);
	char *put SCOPED(mem_freep) = NULL;
	struct store_report r SCOPED(store_report_release) = {0};
	struct err e = ERR_INIT;
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	put = mem_format("%s/tmp/put.%ld.0", f->dir, (long)pid);
	assert_int_equal(fs_put_path(partial, "go", 2, 0600, &e), 0);
	assert_int_equal(fs_put_path(lock, "", 0, 0600, &e), 0);
	assert_int_equal(fs_put_path(put, "", 0, 0600, &e), 0);
	assert_int_equal(store_check(f->s, true, &r, &e), 0);
	assert_int_equal(r.partial_n, 1);
	assert_int_equal(r.leftovers.n, 1);
	assert_int_equal(r.wrong_n, 1); /* the one of every fixture */
}

static void a_look_before_use(void **state)
{
	struct fixture *f = *state;
	struct digest none = digest_of("none", 4);
	char *path SCOPED(mem_freep) = store_blob_path(f->s, &f->bad);
	struct err e = ERR_INIT;
	bool moved = true;

	assert_int_equal(store_recheck(f->s, &f->good, &moved, &e), 0);
	assert_false(moved);
	assert_int_equal(store_recheck(f->s, &none, &moved, &e), 0);
	assert_false(moved);
	for (int i = 0; i < 2; i++) { /* the second time something lies in damaged/ */
		assert_int_equal(store_recheck(f->s, &f->bad, &moved, &e), 0);
		assert_true(moved);
		assert_false(store_has(f->s, &f->bad, NULL));
		assert_true(aside(f, digest_hex(&f->bad).s));
		assert_int_equal(fs_put_path(path, "bax", 3, 0644, &e), 0);
	}
	assert_true(store_has(f->s, &f->good, NULL));
}

static int repair_dying_at(const struct fixture *f, unsigned n)
{
	struct store_report r SCOPED(store_report_release) = {0};
	struct err e = ERR_INIT;
	char at[16];
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		(void)snprintf(at, sizeof(at), "%u", n);
		(void)setenv("POSMEDIA_DIE_AT", at, 1);
		(void)close(STDERR_FILENO);
		_exit(store_check(f->s, true, &r, &e) == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void killed_at_every_step(void **state)
{
	struct fixture *f = *state;
	int status;
	unsigned n = 0;

	add_strangers(f);
	while ((status = repair_dying_at(f, ++n)) != 0) {
		assert_int_equal(status, DIED);
		assert_true(n < 10);
		assert_true(store_has(f->s, &f->good, NULL));
		/* in one place or the other */
		assert_int_not_equal(store_has(f->s, &f->bad, NULL),
				     aside(f, digest_hex(&f->bad).s));
	}
	assert_true(n > 2);
	assert_false(store_has(f->s, &f->bad, NULL));
	assert_true(aside(f, "README"));
}

static void alone_or_together(void **state)
{
	struct fixture *f = *state;
	int a SCOPED(fd_closep) = -1, b SCOPED(fd_closep) = -1, c SCOPED(fd_closep) = -1;
	struct err e = ERR_INIT;

	assert_int_equal(store_share(f->s, &a, &e), 0);
	assert_int_equal(store_share(f->s, &b, &e), 0);
	assert_int_equal(store_alone(f->s, &c, &e), -1);
	assert_int_equal(e.kind, ERR_BUSY);
	fd_closep(&a);
	assert_int_equal(store_alone(f->s, &c, &e), -1);
	fd_closep(&b);
	assert_int_equal(store_alone(f->s, &c, &e), 0);
}

static void who_shares_waits_for_who_cleans(void **state)
{
	struct fixture *f = *state;
	int alone SCOPED(fd_closep) = -1, shared SCOPED(fd_closep) = -1;
	struct err e = ERR_INIT;
	int ready[2];
	char c = 0;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		bool ok = store_alone(f->s, &alone, &e) == 0 && write(ready[1], "x", 1) == 1;

		(void)usleep(200000);
		_exit(ok ? 0 : 1);
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_int_equal(store_share(f->s, &shared, &e), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	(void)close(ready[0]);
	(void)close(ready[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(wrong_ones_are_named, setup, teardown),
	    cmocka_unit_test_setup_teardown(repair_moves_them_away, setup, teardown),
	    cmocka_unit_test_setup_teardown(litter_is_told_and_no_fault, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_look_before_use, setup, teardown),
	    cmocka_unit_test_setup_teardown(killed_at_every_step, setup, teardown),
	    cmocka_unit_test_setup_teardown(alone_or_together, setup, teardown),
	    cmocka_unit_test_setup_teardown(who_shares_waits_for_who_cleans, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
