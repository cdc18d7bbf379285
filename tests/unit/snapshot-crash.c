/* Snapshots and prunings, killed at every one of their steps: what was there is there, and the next
 * run does what the killed one was to do. With crash points, which the library does not have: each
 * object is put and removed by one file. */
#define POSMEDIA_FAULTS
#include "snapshot/objects_dir.c"

#include "snapshot-lib.h"

#include <sys/wait.h>

enum { DIED = 86 };

static int try_prune(const struct bed *b, unsigned keep, struct snapshot_pruned *ret, struct err *e)
{
	struct snapshot_repo *r SCOPED(snapshot_repo_closep) = open_repo(b, SNAPSHOT_PRUNE);
	const struct snapshot_keep k = {.newest = keep};

	return snapshot_prune(r, &k, ret, e);
}

/* Runs in a process that dies at a step. Returns its exit status. */
static int run_dying_at(const struct bed *b, unsigned n, bool prune)
{
	char *at SCOPED(mem_freep) = mem_format("%u", n);
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		struct snapshot_result r = {0};
		struct snapshot_pruned p = {0};
		struct err e = ERR_INIT;

		(void)setenv("POSMEDIA_DIE_AT", at, 1);
		(void)close(STDERR_FILENO);
		if (prune)
			_exit(try_prune(b, 1, &p, &e) == 0 ? 0 : 1);
		_exit(try_make(b, &(struct snapshot_opts){0}, &r, &e) == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void begin_anew(const struct bed *b)
{
	struct err e = ERR_INIT;

	assert_int_equal(fs_rmtree(b->top, "repo", &e), 0);
	empty(b->src);
	empty(b->dst);
}

static size_t count(const struct bed *b)
{
	struct snapshot_infos l SCOPED(snapshot_infos_release) = listed(b);

	assert_int_equal(l.missing.n, 0);
	return l.n;
}

static void the_first_is_killed(void **state)
{
	const struct bed *b = *state;
	unsigned n = 1;

	for (int status = DIED; status != 0; n++) {
		begin_anew(b);
		make_tree(b->src);
		status = run_dying_at(b, n, false);
		assert_true(status == DIED || status == 0);
		free(make_one(b));
		assert_int_equal(count(b), status == 0 ? 2 : 1);
		is_whole(b);
		restore(b, NULL);
		assert_int_equal(differences(b), 0);
	}
	assert_true(n > 4);
}

static void the_second_is_killed(void **state)
{
	const struct bed *b = *state;

	for (unsigned n = 1, status = DIED; status != 0; n++) {
		char *first SCOPED(mem_freep) = NULL;
		struct snapshot_result r SCOPED(snapshot_result_release) = {0};
		struct err e = ERR_INIT;

		begin_anew(b);
		make_tree(b->src);
		first = make_one(b);
		put_bytes(b->src, "large", 3000000, 9);
		put_text(b->src, "new", "new");
		status = (unsigned)run_dying_at(b, n, false);
		assert_true(status == DIED || status == 0);
		is_whole(b);
		assert_int_equal(count(b), status == 0 ? 2 : 1);
		assert_int_equal(try_make(b, &(struct snapshot_opts){0}, &r, &e), 0);
		is_whole(b);
		restore(b, first);
		restore(b, NULL);
		assert_int_equal(differences(b), 0);
	}
}

/* What a killed one has put is not put again. */
static void what_was_put_is_used(void **state)
{
	const struct bed *b = *state;
	struct snapshot_result r SCOPED(snapshot_result_release) = {0};

	put_text(b->src, "f", "before");
	free(make_one(b));
	make_tree(b->src);
	assert_int_equal(run_dying_at(b, 2, false), DIED); /* the pack is there, its index not */
	r = make_with(b, &(struct snapshot_opts){0});
	assert_int_equal(r.info.added, 0);
	is_whole(b);
}

static void a_pruning_is_killed(void **state)
{
	const struct bed *b = *state;
	unsigned n = 1;

	for (int status = DIED; status != 0; n++) {
		struct snapshot_pruned p SCOPED(snapshot_pruned_release) = {0};
		struct strv packs SCOPED(strv_release) = {0}, indexes SCOPED(strv_release) = {0};
		struct err e = ERR_INIT;

		begin_anew(b);
		put_bytes(b->src, "f", 1000000, 1);
		free(make_one(b));
		put_bytes(b->src, "f", 1000000, 2);
		free(make_one(b));
		put_bytes(b->src, "f", 1000000, 3);
		free(make_one(b));
		status = run_dying_at(b, n, true);
		assert_true(status == DIED || status == 0);
		is_whole(b);
		restore(b, NULL);
		assert_int_equal(differences(b), 0);
		assert_int_equal(try_prune(b, 1, &p, &e), 0);
		assert_int_equal(count(b), 1);
		objects_of(b, "packs", &packs);
		objects_of(b, "indexes", &indexes);
		assert_int_equal(packs.n, 1);
		assert_int_equal(indexes.n, 1);
		is_whole(b);
		restore(b, NULL);
		assert_int_equal(differences(b), 0);
	}
	assert_true(n > 6);
}

static void not_while_one_is_made(void **state)
{
	const struct bed *b = *state;
	char *where SCOPED(mem_freep) = mem_format("dir:%s/repo", b->dir);
	const struct snapshot_at at = {
	    .where = where, .secret = SECRET, .secret_n = strlen(SECRET), .use = SNAPSHOT_PRUNE};
	struct snapshot_repo *one = open_repo(b, SNAPSHOT_WRITE), *two = NULL;
	struct snapshot_repo *more = open_repo(b, SNAPSHOT_WRITE);
	struct err e = ERR_INIT;

	assert_int_equal(snapshot_repo_open(&at, &two, &e), -1);
	assert_int_equal(e.kind, ERR_BUSY);
	snapshot_repo_close(more);
	snapshot_repo_close(one);
	assert_int_equal(snapshot_repo_open(&at, &two, &e), 0);
	snapshot_repo_close(two);
}

static void nothing_is_removed_from_what_is_damaged(void **state)
{
	const struct bed *b = *state;
	struct strv l SCOPED(strv_release) = {0};
	struct snapshot_pruned p SCOPED(snapshot_pruned_release) = {0};
	char *path SCOPED(mem_freep) = NULL;
	struct err e = ERR_INIT;

	put_text(b->src, "f", "1");
	free(make_one(b));
	put_text(b->src, "f", "2");
	free(make_one(b));
	objects_of(b, "packs", &l);
	path = mem_format("%s/repo/%s", b->dir, l.v[0]);
	assert_int_equal(truncate(path, 100), 0);
	assert_int_equal(try_prune(b, 1, &p, &e), -1);
	assert_int_equal(e.kind, ERR_VERIFY);
	assert_int_equal(count(b), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(the_first_is_killed, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(the_second_is_killed, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(what_was_put_is_used, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(a_pruning_is_killed, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(not_while_one_is_made, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(nothing_is_removed_from_what_is_damaged, bed_setup,
					    bed_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
