/* Byte strings and lists. */
#include "base/buf.h"
#include "base/strv.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void grows_to_its_limit_and_no_further(void **state)
{
	struct buf b = BUF_INIT(100);

	(void)state;
	assert_string_equal(b.data, "");
	for (int i = 0; i < 100; i++)
		buf_add(&b, "x", 1);
	assert_int_equal(b.len, 100);
	assert_int_equal(strlen(b.data), 100);
	assert_false(buf_over(&b));
	buf_add(&b, "y", 1);
	assert_true(buf_over(&b));
	assert_int_equal(b.len, 100);
	assert_null(strchr(b.data, 'y'));
	buf_release(&b);
	assert_false(buf_over(&b));
}

/* What came after a refused append would otherwise stand in its place. */
static void a_refusal_sticks(void **state)
{
	struct buf b = BUF_INIT(10);

	(void)state;
	buf_add(&b, "12345678901", 11);
	buf_add(&b, "1", 1);
	buf_addf(&b, "%d", 2);
	assert_true(buf_over(&b));
	assert_string_equal(b.data, "");
	buf_cut(&b, 5);
	assert_false(buf_over(&b));
	buf_addf(&b, "%s", "1234567890");
	assert_string_equal(b.data, "1234567890");
	buf_cut(&b, 99);
	assert_int_equal(b.len, 10);
	buf_cut(&b, 3);
	assert_string_equal(b.data, "123");
	buf_release(&b);
}

static void formats_and_keeps_any_bytes(void **state)
{
	struct buf b = BUF_INIT(1000);

	(void)state;
	buf_addf(&b, "%s-%d", "a", 7);
	buf_addf(&b, "%s", "");
	buf_add(&b, NULL, 0);
	buf_add(&b, "\0\xff", 2);
	assert_int_equal(b.len, 5);
	assert_memory_equal(b.data, "a-7\0\xff", 6);
	buf_release(&b);
}

static void take_hands_out(void **state)
{
	struct buf b = BUF_INIT(100);
	char *empty = buf_take(&b), *text;

	(void)state;
	assert_string_equal(empty, "");
	empty[0] = '\0'; /* ours, not the shared one */
	free(empty);
	buf_add(&b, "text", 4);
	text = buf_take(&b);
	assert_string_equal(text, "text");
	assert_int_equal(b.len, 0);
	assert_int_equal(b.max, 100);
	free(text);
	buf_release(&b);
}

static void lists_grow_sort_and_drop_repeats(void **state)
{
	struct strv l = {0}, copy = {0};

	(void)state;
	strv_sort(&l);
	strv_uniq(&l);
	assert_null(l.v);
	for (int i = 99; i >= 0; i--)
		strv_addf(&l, "%02d", i / 2);
	strv_add(&l, "\xff");
	strv_take(&l, mem_strdup("A"));
	assert_null(l.v[l.n]);
	strv_sort(&l);
	assert_string_equal(l.v[0], "00");
	assert_string_equal(l.v[100], "A");
	assert_string_equal(l.v[101], "\xff"); /* bytes, not a locale's order */
	strv_uniq(&l);
	assert_int_equal(l.n, 52);
	assert_null(l.v[52]);
	assert_true(strv_has(&l, "49"));
	assert_false(strv_has(&l, "50"));
	strv_extend(&copy, &l);
	assert_int_equal(copy.n, 52);
	assert_ptr_not_equal(copy.v[0], l.v[0]);
	strv_release(&l);
	assert_int_equal(l.n, 0);
	strv_release(&copy);
	strv_release(&copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(grows_to_its_limit_and_no_further), cmocka_unit_test(a_refusal_sticks),
	    cmocka_unit_test(formats_and_keeps_any_bytes),       cmocka_unit_test(take_hands_out),
	    cmocka_unit_test(lists_grow_sort_and_drop_repeats),
	};

	return cmocka_run_group_tests_name("base-buf", tests, NULL, NULL);
}
