/* sys: times as text. */
#include "sys/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void reads_what_it_writes(void **state)
{
	static const int64_t times[] = {0, 951782400, 1700000000, 253402300799};

	(void)state;
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		char *text = clock_rfc3339(times[i]);
		int64_t got = -1;

		assert_int_equal(clock_parse(text, &got), 0);
		assert_int_equal(got, times[i]);
		free(text);
	}
}

static void knows_zones_and_fractions(void **state)
{
	static const char *const same[] = {
	    "2023-11-14T22:13:20Z",           "2023-11-14T22:13:20z",
	    "2023-11-14T22:13:20.123456789Z", "2023-11-15T00:13:20+02:00",
	    "2023-11-14T16:43:20.5-05:30",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		int64_t got = -1;

		assert_int_equal(clock_parse(same[i], &got), 0);
		assert_int_equal(got, 1700000000);
	}
}

static void refuses_other_texts(void **state)
{
	static const char *const bad[] = {
	    "",
	    "now",
	    "2023-11-14",
	    "2023-11-14T22:13:20",
	    "2023-11-14 22:13:20Z",
	    "2023-13-14T22:13:20Z",
	    "2023-11-32T22:13:20Z",
	    "23-11-14T22:13:20Z",
	    "+2023-11-14T22:13:20Z",
	    "2023-11-14T22:13:20Zx",
	    "2023-11-14T22:13:20+2",
	    "2023-11-14T 2:13:20Z",
	};
	int64_t got = 77;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(clock_parse(bad[i], &got), -1);
	assert_int_equal(got, 77);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reads_what_it_writes),
	    cmocka_unit_test(knows_zones_and_fractions),
	    cmocka_unit_test(refuses_other_texts),
	};

	return cmocka_run_group_tests_name("sys-clock", tests, NULL, NULL);
}
