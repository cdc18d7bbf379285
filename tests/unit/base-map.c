/* Maps: what was put is found, in the order of the keys, whatever the order it came in. */
#include "base/map.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MANY = 20000 };

static int values[3];

static void put_and_add(void **state)
{
	struct map m = {0};

	(void)state;
	assert_null(map_get(&m, "a"));
	assert_false(map_has(&m, "a"));
	assert_null(map_put(&m, "a", &values[0]));
	assert_ptr_equal(map_put(&m, "a", &values[1]), &values[0]);
	assert_false(map_add(&m, "a", &values[2]));
	assert_ptr_equal(map_get(&m, "a"), &values[1]);
	assert_true(map_add(&m, "", NULL));
	assert_true(map_has(&m, ""));
	assert_false(map_add(&m, "", &values[2]));
	assert_null(map_get(&m, ""));
	assert_int_equal(m.n, 2);
	map_release(&m, NULL);
	assert_false(map_has(&m, "a"));
}

/* Keys are copied, however long and many they are. */
static void many(void **state)
{
	struct map m = {0};
	const char **keys;

	(void)state;
	for (size_t i = 0; i < MANY; i++) {
		char *key = mem_format("%0*zu", (int)(5 + i % 300), i);

		assert_true(map_add(&m, key, &values[i % 3]));
		free(key);
	}
	assert_int_equal(m.n, MANY);
	for (size_t i = 0; i < MANY; i++) {
		char *key = mem_format("%0*zu", (int)(5 + i % 300), i);

		assert_ptr_equal(map_get(&m, key), &values[i % 3]);
		free(key);
	}
	assert_false(map_has(&m, "no"));
	keys = map_keys(&m);
	for (size_t i = 1; i < MANY; i++)
		assert_true(strcmp(keys[i - 1], keys[i]) < 0);
	free(keys);
	map_release(&m, NULL);
}

static void a_very_long_key(void **state)
{
	char *key = mem_zalloc(1 << 20);
	struct map m = {0};

	(void)state;
	memset(key, 'k', (1 << 20) - 1);
	(void)map_put(&m, "short", &values[0]);
	(void)map_put(&m, key, &values[1]);
	(void)map_put(&m, "next", &values[2]);
	assert_ptr_equal(map_get(&m, key), &values[1]);
	key[0] = 'j';
	assert_false(map_has(&m, key));
	assert_ptr_equal(map_get(&m, "next"), &values[2]);
	map_release(&m, NULL);
	free(key);
}

static void values_are_freed(void **state)
{
	struct map m = {0};

	(void)state;
	(void)map_put(&m, "a", mem_strdup("1"));
	(void)map_put(&m, "b", mem_strdup("2"));
	map_release(&m, free);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(put_and_add),
	    cmocka_unit_test(many),
	    cmocka_unit_test(a_very_long_key),
	    cmocka_unit_test(values_are_freed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
