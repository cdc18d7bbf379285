/* JSON: what is refused, and bytes that never change. */
#include "form/json.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct jval *parse(const char *text)
{
	struct jval *v = NULL;
	struct err e = ERR_INIT;

	if (jval_parse(text, strlen(text), "t.json", &v, &e) != 0)
		fail_msg("%s", e.msg);
	return v;
}

static void refused(const char *text, const char *says)
{
	struct jval *v = NULL;
	struct err e = ERR_INIT;

	if (jval_parse(text, strlen(text), "t.json", &v, &e) == 0)
		fail_msg("accepted %s", text);
	assert_null(v);
	assert_int_equal(e.kind, ERR_RECIPE);
	if (strncmp(e.msg, says, strlen(says)) != 0)
		fail_msg("%s: %s", text, e.msg);
}

static void bad_texts_have_positions(void **state)
{
	(void)state;
	refused("", "t.json:1:0: ");
	refused("{\"a\": 1,\n \"a\": 2}", "t.json:2:4: duplicate");
	refused("{\"a\": 1} x", "t.json:1:10: ");
	refused("{\"a\": 1,}", "t.json:1:9: ");
	refused("[1, 2", "t.json:1:5: ");
	refused("\"text\"", "t.json:1:6: ");
	refused("{a: 1}", "t.json:1:2: ");
	refused("['a']", "t.json:1:2: ");
	refused("[1] // x", "t.json:1:5: ");
	refused("[\"\xff\"]", "t.json:1:");
	refused("[\"\\ud800\"]", "t.json:1:");
	refused("[\"\\u0000\"]", "t.json:1:");
	refused("[99999999999999999999]", "t.json:1:");
	refused("[01]", "t.json:1:");
	refused("[NaN]", "t.json:1:");
}

static char *nested(size_t depth)
{
	char *s = mem_zalloc(2 * depth + 2);

	memset(s, '[', depth);
	s[depth] = '1';
	memset(s + depth + 1, ']', depth);
	return s;
}

static void nesting_and_size_have_limits(void **state)
{
	static const size_t depths[] = {65, 2000, 100000};
	struct jval *v = NULL;
	struct err e = ERR_INIT;
	char *s = nested(64);
	size_t n = ((size_t)64 << 20) + 1;

	(void)state;
	v = parse(s);
	jval_free(v);
	free(s);
	for (size_t i = 0; i < 3; i++) {
		s = nested(depths[i]);
		refused(s, "t.json:1:");
		free(s);
	}
	s = mem_zalloc(n);
	memset(s, ' ', n);
	assert_int_equal(jval_parse(s, n, "big.json", &v, &e), -1);
	assert_string_equal(e.msg, "big.json: larger than 67108864 bytes");
	free(s);
}

static void written(const struct jval *v, const char *wanted)
{
	struct buf b = BUF_INIT(10000);

	jval_write(v, &b);
	assert_string_equal(b.data, wanted);
	buf_release(&b);
}

static void bytes_are_stable(void **state)
{
	struct jval *v =
	    parse("{ \"b\" : [1, true, null, {}],\r\n \"a\": \"\\u00e4/\\\"\\n\", \"B\": "
		  "-5 }");
	struct buf b = BUF_INIT(10000);

	(void)state;
	written(v, "{\"B\":-5,\"a\":\"\xc3\xa4/\\\"\\n\",\"b\":[1,true,null,{}]}");
	jval_write_pretty(v, &b);
	assert_string_equal(b.data,
			    "{\n \"B\": -5,\n \"a\": \"\xc3\xa4/\\\"\\n\",\n \"b\": [\n  1,\n  "
			    "true,\n  null,\n  {}\n ]\n}\n");
	buf_release(&b);
	jval_free(v);
}

static void made_values(void **state)
{
	struct jval *o = jval_object(), *a = jval_array(), *copy;

	(void)state;
	jval_put_text(o, "t", "x");
	jval_put_text(o, "t", "y");
	jval_put_int(o, "i", INT64_MIN);
	jval_put(o, "b", jval_bool(true));
	jval_put(o, "n", jval_null());
	jval_push(a, jval_textn("a\0b", 3));
	jval_push(a, jval_text("caf\xe9"));     /* Latin-1 */
	jval_push(a, jval_text("caf\xc3\xa9")); /* UTF-8 */
	jval_put(o, "a", a);
	jval_put_text(o, "k\xff", "v"); /* a key is text, too */
	jval_put_int(o, "gone", 1);
	jval_del(o, "gone");
	written(o, "{\"a\":[\"a\\u0000b\",\"caf?\",\"caf\xc3\xa9\"],\"b\":true,\"i\":"
		   "-9223372036854775808,\"k?\":\"v\",\"n\":null,\"t\":\"y\"}");
	copy = jval_ref(o);
	jval_freep(&o);
	assert_null(o);
	assert_string_equal(jval_get_str(copy, "t"), "y");
	jval_free(copy);
	jval_free(NULL);
}

static void lenders_check_types(void **state)
{
	struct jval *v = parse("{\"s\": \"x\", \"i\": 7, \"r\": 7.5, \"t\": true, \"l\": [1, 2]}");
	int64_t i = 3;

	(void)state;
	assert_null(jval_get(NULL, "s"));
	assert_null(jval_get(v, "absent"));
	assert_null(jval_get(jval_get(v, "s"), "x"));
	assert_null(jval_get_str(v, "i"));
	assert_null(jval_at(v, 0));
	assert_null(jval_at(jval_get(v, "l"), 2));
	assert_int_equal(jval_get_int(v, "r", &i), -1);
	assert_int_equal(jval_get_int(v, "s", &i), -1);
	assert_int_equal(jval_get_int(NULL, "i", &i), -1);
	assert_int_equal(i, 3);
	assert_int_equal(jval_get_int(v, "i", &i), 0);
	assert_int_equal(i, 7);
	assert_true(jval_get_bool(v, "t"));
	assert_false(jval_get_bool(v, "i"));
	assert_false(jval_get_bool(NULL, "t"));
	assert_true(jval_is_object(v));
	assert_false(jval_is_array(v));
	assert_false(jval_is_object(NULL));
	assert_int_equal(jval_len(v), 5);
	assert_int_equal(jval_len(jval_get(v, "l")), 2);
	assert_int_equal(jval_len(jval_get(v, "s")), 0);
	assert_int_equal(jval_len(NULL), 0);
	jval_free(v);
}

static void embedded_nul_is_no_string(void **state)
{
	struct jval *v = jval_textn("safe\0../../evil", 15);

	(void)state;
	assert_null(jval_str(v));
	assert_null(jval_str(NULL));
	jval_free(v);
}

static int collect(void *ctx, const char *key, struct jval *val)
{
	buf_addf(ctx, "%s=%zu ", key, jval_len(val));
	return strcmp(key, "c") == 0 ? 9 : 0;
}

static void members_come_in_byte_order(void **state)
{
	struct jval *v = parse("{\"d\": 1, \"b\": [1], \"c\": [1, 2], \"A\": []}");
	struct jval *same = parse("{\"A\": [], \"b\": [1], \"c\": [1, 2], \"d\": 1}");
	struct buf b = BUF_INIT(100);

	(void)state;
	assert_int_equal(jval_each(v, collect, &b), 9);
	assert_string_equal(b.data, "A=0 b=1 c=2 ");
	assert_true(jval_equal(v, same));
	jval_put_int(same, "d", 2);
	assert_false(jval_equal(v, same));
	assert_int_equal(jval_each(NULL, collect, &b), 0);
	buf_release(&b);
	jval_free(v);
	jval_free(same);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(bad_texts_have_positions),
	    cmocka_unit_test(nesting_and_size_have_limits),
	    cmocka_unit_test(bytes_are_stable),
	    cmocka_unit_test(made_values),
	    cmocka_unit_test(lenders_check_types),
	    cmocka_unit_test(embedded_nul_is_no_string),
	    cmocka_unit_test(members_come_in_byte_order),
	};

	return cmocka_run_group_tests_name("form-json", tests, NULL, NULL);
}
