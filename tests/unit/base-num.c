/* Numbers from text, and maps. */
#include "base/map.h"
#include "base/num.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void only_whole_plain_numbers(void **state)
{
	static const char *const bad[] = {"",
					  " 1",
					  "1 ",
					  "+1",
					  "-1",
					  "0x1",
					  "1.0",
					  "1e3",
					  "a",
					  "1\n",
					  "\xd9\xa1",
					  "256",
					  "18446744073709551616",
					  "99999999999999999999"};
	uint64_t v = 77;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (num_u64(bad[i], 255, &v) == 0)
			fail_msg("accepted \"%s\"", bad[i]);
		assert_int_equal(v, 77);
	}
	assert_int_equal(num_u64("255", 255, &v), 0);
	assert_int_equal(v, 255);
	assert_int_equal(num_u64("000", 255, &v), 0);
	assert_int_equal(v, 0);
	assert_int_equal(num_u64("18446744073709551615", UINT64_MAX, &v), 0);
	assert_true(v == UINT64_MAX);
}

static void modes_are_octal(void **state)
{
	unsigned m = 1;

	(void)state;
	assert_int_equal(num_mode("0640", &m), 0);
	assert_int_equal(m, 0640);
	assert_int_equal(num_mode("4755", &m), 0);
	assert_int_equal(m, 04755);
	assert_int_equal(num_mode("10000", &m), -1);
	assert_int_equal(num_mode("0o644", &m), -1);
	assert_int_equal(num_mode("648", &m), -1);
	assert_int_equal(num_mode("", &m), -1);
	assert_int_equal(m, 04755);
}

static void units(void **state)
{
	uint64_t v = 5;

	(void)state;
	assert_int_equal(num_bytes("7", &v), 0);
	assert_int_equal(v, 7);
	assert_int_equal(num_bytes("512M", &v), 0);
	assert_int_equal(v, 536870912);
	assert_int_equal(num_bytes("16777215T", &v), 0);
	assert_int_equal(num_bytes("1K", &v), 0);
	assert_int_equal(v, 1024);
	v = 5;
	assert_int_equal(num_bytes("16777216T", &v), -1); /* 2^64 */
	assert_int_equal(num_bytes("1k", &v), -1);
	assert_int_equal(num_bytes("1KB", &v), -1);
	assert_int_equal(num_bytes("K", &v), -1);
	assert_int_equal(num_duration_ms("5", &v), -1);
	assert_int_equal(num_duration_ms("5 s", &v), -1);
	assert_int_equal(num_duration_ms("-5s", &v), -1);
	assert_int_equal(num_duration_ms("6000000000000000h", &v), -1);
	assert_int_equal(v, 5);
	assert_int_equal(num_duration_ms("20m", &v), 0);
	assert_int_equal(v, 1200000);
	assert_int_equal(num_duration_ms("300ms", &v), 0);
	assert_int_equal(v, 300);
	assert_int_equal(num_duration_ms("2h", &v), 0);
	assert_int_equal(v, 7200000);
}

static void sizes_for_people(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} t[] = {{0, "0 B"},
		 {999, "999 B"},
		 {1000, "1.0 kB"},
		 {999949, "999.9 kB"},
		 {999950, "1.0 MB"},
		 {1400000000, "1.4 GB"},
		 {UINT64_MAX, "18.4 EB"}};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		char *s = num_human(t[i].bytes);

		assert_string_equal(s, t[i].text);
		free(s);
	}
}

static void count_free(void *p)
{
	*(int *)p += 1;
}

static void maps_remember_and_iterate_by_key(void **state)
{
	struct map m = {0};
	int vals[1000] = {0}, other = 0;
	const char **keys;
	char key[16];

	(void)state;
	assert_null(map_get(&m, "x"));
	assert_false(map_has(&m, "x"));
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(key, sizeof(key), "%d", i * 7 % 1000);
		assert_null(map_put(&m, key, &vals[i * 7 % 1000]));
	}
	assert_int_equal(m.n, 1000);
	assert_ptr_equal(map_get(&m, "42"), &vals[42]);
	assert_null(map_get(&m, "1000"));
	assert_ptr_equal(map_put(&m, "42", &other), &vals[42]);
	assert_int_equal(m.n, 1000);
	assert_null(map_put(&m, "null", NULL));
	assert_true(map_has(&m, "null"));
	assert_null(map_put(&m, "", &other));
	keys = map_keys(&m);
	assert_string_equal(keys[0], "");
	assert_string_equal(keys[1], "0");
	for (size_t i = 1; i < m.n; i++)
		assert_true(strcmp(keys[i - 1], keys[i]) < 0);
	free(keys);
	assert_ptr_equal(map_put(&m, "null", &other), NULL);
	map_release(&m, count_free);
	assert_int_equal(other, 3);
	assert_int_equal(vals[7], 1);
	map_release(&m, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(only_whole_plain_numbers),
	    cmocka_unit_test(modes_are_octal),
	    cmocka_unit_test(units),
	    cmocka_unit_test(sizes_for_people),
	    cmocka_unit_test(maps_remember_and_iterate_by_key),
	};

	return cmocka_run_group_tests_name("base-num", tests, NULL, NULL);
}
