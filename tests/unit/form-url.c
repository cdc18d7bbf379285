/* URLs: one text for one address; what is none is refused. */
#include "form/url.h"
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void is(const char *text, const char *want)
{
	struct err e = ERR_INIT;
	struct url u = {0};
	char *got SCOPED(mem_freep) = NULL;

	if (url_parse(text, &u, &e) != 0)
		fail_msg("%s: %s", text, e.msg);
	got = url_text(&u);
	assert_string_equal(got, want);
	url_release(&u);
}

static void test_one_text(void **state)
{
	(void)state;
	is("http://example.test", "http://example.test/");
	is("HTTP://EXAMPLE.Test:80/A/b?q=1", "http://example.test/A/b?q=1");
	is("https://example.test:443?x", "https://example.test/?x");
	is("https://example.test:80/", "https://example.test:80/");
	is("http://127.0.0.1:8080/%41~[x]|", "http://127.0.0.1:8080/%41~[x]|");
	is("http://[2001:DB8::1]:8080/x", "http://[2001:db8::1]:8080/x");
	is("http://example.test:/x", "http://example.test/x");
}

static void test_refused(void **state)
{
	static const char *const texts[] = {
	    "",
	    "/path",
	    "ftp://example.test/",
	    "file:///etc/passwd",
	    "http:/example.test/",
	    "http:///x",
	    "http://:80/",
	    "http://user@example.test/",
	    "http://user:pass@example.test/",
	    "http://example.test:0/",
	    "http://example.test:65536/",
	    "http://example.test:+80/",
	    "http://example.test:8 0/",
	    "http://exam ple.test/",
	    "http://example..test/",
	    "http://-x.test/",
	    "http://ex%61mple.test/",
	    "http://example.test./",
	    "http://127.1/",
	    "http://127.0.0.01/",
	    "http://0x7f.0.0.1/",
	    "http://127.0.0.0x1/",
	    "http://2130706433/",
	    "http://0177.0.0.1/",
	    "http://1.2.3.4.5/",
	    "http://256.1.1.1/",
	    "http://[::1/",
	    "http://[::1%25eth0]/",
	    "http://[]/",
	    "http://example.test/a b",
	    "http://example.test/a\r\nX: y",
	    "http://example.test/a\tb",
	    "http://example.test/a#b",
	    "http://example.test/a\\b",
	    "http://example.test/<a>",
	    "http://example.test/?\"a\"",
	    "http://example.test/\xc3\xa4",
	    "http://example.test\\@other.test/",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct err e = ERR_INIT;
		struct url u = {0};

		if (url_parse(texts[i], &u, &e) == 0)
			fail_msg("taken: %s", texts[i]);
		assert_int_equal(e.kind, ERR_REMOTE);
		assert_null(u.path);
	}
}

static void test_long(void **state)
{
	char text[URL_MAX + 2];
	struct err e = ERR_INIT;
	struct url u = {0};

	(void)state;
	memset(text, 'a', sizeof(text));
	memcpy(text, "http://h/", 9);
	text[URL_MAX] = '\0';
	assert_int_equal(url_parse(text, &u, &e), 0);
	url_release(&u);
	text[URL_MAX] = 'a';
	text[URL_MAX + 1] = '\0';
	assert_int_equal(url_parse(text, &u, &e), -1);
}

static void test_authority(void **state)
{
	struct err e = ERR_INIT;
	struct url u = {0};
	char *text = NULL;

	(void)state;
	assert_int_equal(url_parse_authority("Example.test:8443", true, &u, &e), 0);
	assert_int_equal(url_set_path(&u, "/a?b", &e), 0);
	text = url_text(&u);
	assert_string_equal(text, "https://example.test:8443/a?b");
	free(text);
	assert_int_equal(url_set_path(&u, "http://other/", &e), -1);
	assert_int_equal(url_set_path(&u, "*", &e), -1);
	url_release(&u);
	assert_int_equal(url_parse_authority("a@b:1", true, &u, &e), -1);
	assert_int_equal(url_parse_authority("a/b:1", true, &u, &e), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_one_text),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_long),
	    cmocka_unit_test(test_authority),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
