/* build/gates: which entries of a tree decide what every gate says. */
#include "build/reads.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(programs_are_where_distributions_have_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
