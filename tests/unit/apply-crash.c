/* apply_tree, killed at every one of its steps, and run again: the target is the source. With its
 * crash points, which the library does not have. */
#define POSMEDIA_FAULTS
#include "apply/apply.c"
#include "apply/attrs.c"
#include "apply/content.c"
#include "apply/file.c"
#include "apply/job.c"
#include "apply/look.c"
#include "apply/memory.c"
#include "apply/plan.c"
#include "apply/special.c"
#include "apply/write.c"

#include "apply-lib.h"

#include <sys/wait.h>

enum { DIED = 86, MIB = 1 << 20 };

/* What a target may have to become something else, in one small tree; `day` 0 and 1. */
static void make_tree(int d, unsigned day)
{
	put_bytes(d, "records", 300000, 1);
	put_bytes(d, "same", 50000, 2);
	put_text(d, "small", day == 0 ? "one" : "other");
	make_dir(d, "a");
	put_text(d, "a/f", "f");
	put_text(d, "link1", "linked");
	assert_int_equal(linkat(d, "link1", d, day == 0 ? "link2" : "a/link", 0), 0);
	put_text(d, "apart", "linked");
	assert_int_equal(symlinkat(day == 0 ? "a" : "same", d, "symlink"), 0);
	if (day == 0) {
		make_dir(d, "gone");
		put_text(d, "gone/f", "f");
		make_dir(d, "swap");
		put_text(d, "swap/f", "f");
		return;
	}
	put_at(d, "records", "changed", 7, 100000);
	put_at(d, "records", "grows", 5, 400000);
	put_text(d, "swap", "no directory");
	make_dir(d, "new");
	make_dir(d, "new/below");
	put_bytes(d, "new/below/f", 20000, 3);
	assert_int_equal(mkfifoat(d, "new/fifo", 0600), 0);
	assert_int_equal(fchmodat(d, "a/f", 04711, 0), 0);
	set_time(d, "a", 1000000000, 5);
	set_time(d, ".", 1000000000, 7);
}

static void empty(int d)
{
	struct strv names SCOPED(strv_release) = {0};
	struct err e = ERR_INIT;

	assert_int_equal(fs_list(d, ".", &names, &e), 0);
	for (size_t i = 0; i < names.n; i++)
		assert_int_equal(fs_rmtree(d, names.v[i], &e), 0);
}

/* Runs in a process that dies at a step, by number or by name. Returns its exit status. */
static int run_dying_at(const struct bed *b, const char *at, unsigned threads)
{
	struct run run = {.memory = true, .threads = threads};
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		(void)setenv("POSMEDIA_DIE_AT", at, 1);
		(void)close(STDERR_FILENO);
		_exit(run_apply(b, &run) == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* The day before, as this program left it; then the next, with deaths. */
static unsigned die_and_repeat(const struct bed *b, unsigned step, unsigned threads)
{
	unsigned deaths = 0;

	for (unsigned n = 1;; n += step) {
		char *at SCOPED(mem_freep) = mem_format("%u", n);
		char *third SCOPED(mem_freep) = mem_format("%u", n / 3);
		int status;

		empty(b->src);
		make_tree(b->src, 0);
		(void)applies(b, true);
		empty(b->src);
		make_tree(b->src, 1);
		status = run_dying_at(b, at, threads);
		if (status == 0)
			return deaths;
		assert_int_equal(status, DIED);
		deaths++;
		if (n % 3 == 0) /* and again, on the way */
			(void)run_dying_at(b, third, threads);
		(void)applies(b, n % 2 == 0);
	}
}

static void killed_at_every_step(void **state)
{
	assert_true(die_and_repeat(*state, 1, 1) > 30);
}

static void killed_among_threads(void **state)
{
	assert_true(die_and_repeat(*state, 3, 4) > 10);
}

/* After a power cut a file that was being written may have its old times, and other content: the
 * memory of what was to be written is not believed. */
static void a_power_cut(void **state)
{
	const struct bed *b = *state;
	struct apply_memory *m = NULL;
	struct err e = ERR_INIT;
	struct stat st;

	empty(b->src);
	make_tree(b->src, 0);
	(void)applies(b, true);
	put_at(b->src, "records", "changed", 7, 100000);
	st = stat_of(b->dst, "records");
	assert_int_equal(apply_memory_load(b->top, "memory", &m, &e), 0);
	assert_non_null(memory_find(m, &st));
	apply_memory_free(m);
	assert_int_equal(run_dying_at(b, "intended", 1), DIED);
	assert_int_equal(apply_memory_load(b->top, "memory", &m, &e), 0);
	assert_null(memory_find(m, &st));
	st = stat_of(b->dst, "same");
	assert_non_null(memory_find(m, &st));
	apply_memory_free(m);
	(void)applies(b, true);
	st = stat_of(b->dst, "records");
	assert_int_equal(apply_memory_load(b->top, "memory", &m, &e), 0);
	assert_non_null(memory_find(m, &st));
	apply_memory_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(killed_at_every_step, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(killed_among_threads, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(a_power_cut, bed_setup, bed_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
