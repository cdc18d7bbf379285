#include "sys/late.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static double (*root)(double);
static double (*no_such)(double);

static void loads_once_what_is_there(void **state)
{
	static const struct late_call calls[] = {{"cbrt", &root}};
	static struct late l = {.file = "libm.so.6", .calls = calls, .n = 1};
	struct err e = ERR_INIT;

	(void)state;
	root = NULL;
	assert_int_equal(late_need(&l, &e), 0);
	assert_non_null(root);
	assert_true(root(27) > 2.99 && root(27) < 3.01);
	root = NULL;
	assert_true(late_load(&l)); /* and is not asked again */
	assert_null(root);
}

static void says_what_cannot_be_loaded(void **state)
{
	static const struct late_call calls[] = {{"cbrt", &root}};
	static struct late l = {.file = "libposmedia-has-none.so.1", .calls = calls, .n = 1};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(late_need(&l, &e), -1);
	assert_int_equal(e.kind, ERR_FAIL);
	assert_non_null(strstr(e.msg, "libposmedia-has-none.so.1"));
	assert_false(late_load(&l));
}

static void wants_all_of_the_functions(void **state)
{
	static const struct late_call calls[] = {{"cbrt", &root}, {"posmedia_none", &no_such}};
	static struct late l = {.file = "libm.so.6", .calls = calls, .n = 2};

	(void)state;
	assert_false(late_load(&l));
	assert_null(no_such);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(loads_once_what_is_there),
	    cmocka_unit_test(says_what_cannot_be_loaded),
	    cmocka_unit_test(wants_all_of_the_functions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
