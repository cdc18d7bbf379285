/* The little of XML that S3 speaks. */
#include "form/xml.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int leaf(void *ctx, const char *path, const char *text, struct err *e)
{
	(void)e;
	buf_addf(ctx, "%s=%s;", path, text);
	return 0;
}

static int end(void *ctx, const char *path, struct err *e)
{
	if (strcmp(path, "stop") == 0)
		return err_set(e, ERR_FAIL, "stopped");
	buf_addf(ctx, "end %s;", path);
	return 0;
}

static void reads(const char *text, const char *want)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 20);
	const struct xml_reader r = {leaf, end, &b};
	struct err e = ERR_INIT;

	if (xml_read(text, strlen(text), &r, &e) != 0)
		fail_msg("%s: %s", text, e.msg);
	assert_string_equal(b.data, want);
}

static void test_good(void **state)
{
	(void)state;
	reads("<?xml version=\"1.0\"?>\n<a xmlns=\"http://x/\" b='>'>"
	      "<b>1</b><c/><s:d><e>x &lt;&#65;&#xe9;&amp;</e></s:d> </a>\n",
	      "a/b=1;a/c=;a/d/e=x <A\xc3\xa9&;end a/d;end a;");
	reads("<a><!-- <b> --></a>", "a=;");
	reads("<a>&#x1F600;</a>", "a=\xf0\x9f\x98\x80;");
}

static void test_bad(void **state)
{
	static const char *const bad[] = {
	    "",
	    "text",
	    "<a>",
	    "<a></b>",
	    "<a><b></a></b>",
	    "</a>",
	    "<a/><b/>",
	    "<a",
	    "<a b=\"",
	    "<>",
	    "<a>&x;</a>",
	    "<a>&lt</a>",
	    "<a>&#0;</a>",
	    "<a>&#xd800;</a>",
	    "<a>&#x110000;</a>",
	    "<a>&#;</a>",
	    "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>",
	    "<a><![CDATA[x]]></a>",
	    "<a><!-- </a>",
	    "<stop><b/></stop>",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct buf b SCOPED(buf_release) = BUF_INIT(1 << 20);
		const struct xml_reader r = {leaf, end, &b};
		struct err e = ERR_INIT;

		if (xml_read(bad[i], strlen(bad[i]), &r, &e) == 0)
			fail_msg("accepted: %s", bad[i]);
	}
}

static void test_limits(void **state)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 20);
	struct buf text SCOPED(buf_release) = BUF_INIT(1 << 20);
	const struct xml_reader r = {leaf, end, &b};
	struct err e = ERR_INIT;

	(void)state;
	for (int i = 0; i <= XML_DEPTH_MAX; i++)
		buf_add(&text, "<a>", 3);
	assert_int_equal(xml_read(text.data, text.len, &r, &e), -1);
	buf_cut(&text, 3);
	for (int i = 0; i < 70000; i++)
		buf_add(&text, "x", 1);
	buf_add(&text, "</a>", 4);
	assert_int_equal(xml_read(text.data, text.len, &r, &e), -1);
}

static void test_get(void **state)
{
	static const char text[] = "<Error><Code>NoSuchKey</Code><Code>2</Code></Error>";
	char *got SCOPED(mem_freep) = xml_get(text, sizeof(text) - 1, "Error/Code");

	(void)state;
	assert_string_equal(got, "NoSuchKey");
	assert_null(xml_get(text, sizeof(text) - 1, "Error/Message"));
	assert_null(xml_get(text, sizeof(text) - 2, "Error/Code"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_good),
	    cmocka_unit_test(test_bad),
	    cmocka_unit_test(test_limits),
	    cmocka_unit_test(test_get),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
