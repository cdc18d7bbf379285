#include "plan/parts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct jval *parse(const char *text)
{
	struct jval *v = NULL;
	struct err e = ERR_INIT;

	assert_int_equal(jval_parse(text, strlen(text), "test", &v, &e), 0);
	return v;
}

static const struct {
	const char *a, *b, *words;
} rows[] = {
    {"{}", "{}", ""},
    {"{\"package\":{\"openssl:amd64\":\"3.0.15 sha256:1\"}}",
     "{\"package\":{\"openssl:amd64\":\"3.0.16 sha256:2\"}}",
     "package openssl:amd64 3.0.15 -> 3.0.16"},
    {"{\"package\":{\"a\":\"1 sha256:1\"}}", "{\"package\":{\"a\":\"1 sha256:2\"}}",
     "package a changed"},
    {"{\"package\":{\"a\":\"1 x\"}}", "{\"package\":{\"b\":\"1 x\"}}",
     "package b added; package a removed"},
    {"{\"epoch\":1}", "{\"epoch\":2}", "epoch changed"},
    {"{\"overlay\":[{\"etc/motd\":\"sha256:1\"}]}", "{\"overlay\":[{\"etc/motd\":\"sha256:2\"}]}",
     "overlay etc/motd changed"},
    {"{\"overlay\":[{\"a\":\"1\"}]}", "{\"overlay\":[]}", "overlay changed"},
    {"{\"step\":{\"name\":\"x\",\"run\":[\"a\"]}}", "{\"step\":{\"name\":\"x\",\"run\":[\"b\"]}}",
     "step run changed"},
};

static void says_what_differs(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct jval *a SCOPED(jval_freep) = parse(rows[i].a);
		struct jval *b SCOPED(jval_freep) = parse(rows[i].b);
		char *words SCOPED(mem_freep) = parts_diff(a, b);

		assert_string_equal(words, rows[i].words);
	}
}

static void long_differences_are_cut(void **state)
{
	struct jval *a SCOPED(jval_freep) = jval_object(), *b SCOPED(jval_freep) = jval_object();
	char *words SCOPED(mem_freep) = NULL;

	(void)state;
	for (int i = 0; i < 100; i++) {
		char *key SCOPED(mem_freep) = mem_format("package-%d", i);

		jval_put_text(b, key, "1");
	}
	words = parts_diff(a, b);
	assert_true(strlen(words) < 230);
	assert_non_null(strstr(words, "added; and more"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(says_what_differs),
	    cmocka_unit_test(long_differences_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
