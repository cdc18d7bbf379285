/* build/reads: which entries of a tree decide what a program says. */
#include "build/reads.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static void programs_are_where_distributions_have_them(void **state)
{
	static const char *const yes[] = {
	    "usr/bin/a", "usr/lib32/a.so", "usr/libx32/a.so",   "bin",
	    "bin/a",     "sbin/a",         "lib/x/a.so",        "lib64/ld.so",
	    "libx32/a",  "lib32/a",        "etc/ld.so.preload", "usr/local/x"};
	static const char *const no[] = {"etc/passwd", "opt/bin/a", "library/a", "usr/share/a"};

	(void)state;
	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		assert_true(reads_is_program(yes[i]));
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		assert_false(reads_is_program(no[i]));
}

/* A tree of: what is read, by links on the way; and what is not. */
static struct tree_entry entries[] = {
    {.path = (char *)(uintptr_t) "conf",
     .mode = S_IFLNK | 0777,
     .link = (char *)(uintptr_t) "data/x"},
    {.path = (char *)(uintptr_t) "data", .mode = S_IFDIR | 0755},
    {.path = (char *)(uintptr_t) "data/x", .mode = S_IFREG | 0644},
    {.path = (char *)(uintptr_t) "etc", .mode = S_IFDIR | 0755},
    {.path = (char *)(uintptr_t) "etc/app", .mode = S_IFDIR | 0755},
    {.path = (char *)(uintptr_t) "etc/app/link",
     .mode = S_IFLNK | 0777,
     .link = (char *)(uintptr_t) "../../opt/real"},
    {.path = (char *)(uintptr_t) "etc/loop",
     .mode = S_IFLNK | 0777,
     .link = (char *)(uintptr_t) "/etc/loop/deeper"},
    {.path = (char *)(uintptr_t) "opt", .mode = S_IFDIR | 0755},
    {.path = (char *)(uintptr_t) "opt/other", .mode = S_IFREG | 0644},
    {.path = (char *)(uintptr_t) "opt/real", .mode = S_IFREG | 0644},
    {.path = (char *)(uintptr_t) "opt/run", .mode = S_IFREG | 0755},
};

enum { ENTRIES = sizeof(entries) / sizeof(entries[0]) };

static struct digest of(const char *path, size_t changed, bool programs)
{
	struct origin origins[ENTRIES] = {0};
	struct digest contents[ENTRIES] = {0};
	const struct job j = {.origins = origins};
	const struct tree t = {.v = entries, .n = ENTRIES};
	struct strv paths SCOPED(strv_release) = {0};

	for (size_t i = 0; i < ENTRIES; i++)
		origins[i].content = &contents[i];
	if (changed < ENTRIES)
		contents[changed].b[0] = 1;
	strv_add(&paths, path);
	return programs ? reads_programs(&j, &t) : reads_of(&j, &t, &paths);
}

static bool decides(const char *path, const char *name)
{
	const struct digest was = of(path, ENTRIES, path[0] == '!');

	for (size_t i = 0; i < ENTRIES; i++)
		if (strcmp(entries[i].path, name) == 0) {
			const struct digest is = of(path, i, path[0] == '!');

			return !digest_equal(&was, &is);
		}
	fail_msg("no %s", name);
	return false;
}

static void links_are_followed(void **state)
{
	(void)state;
	assert_true(decides("conf", "data/x"));
	assert_true(decides("etc/app", "opt/real"));
	assert_true(decides("etc/app/link", "opt/real"));
	assert_false(decides("etc/app", "opt/other"));
	assert_false(decides("data", "opt/real"));
	/* by a link above it, that leads round and round: then everything counts */
	assert_true(decides("etc/loop/x", "opt/other"));
}

static void the_root_is_everything(void **state)
{
	(void)state;
	assert_true(decides("", "opt/other"));
	assert_true(decides("", "data/x"));
}

static void what_may_be_executed_is_a_program(void **state)
{
	(void)state;
	assert_true(decides("!", "opt/run"));
	assert_false(decides("!", "opt/real"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(programs_are_where_distributions_have_them),
	    cmocka_unit_test(links_are_followed),
	    cmocka_unit_test(the_root_is_everything),
	    cmocka_unit_test(what_may_be_executed_is_a_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
