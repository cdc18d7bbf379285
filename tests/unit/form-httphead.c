/* Heads of HTTP requests: what is plain is read, what could be read in two ways is refused. */
#include "base/buf.h"
#include "form/httphead.h"
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static int parse(const char *text, struct httphead *h)
{
	struct err e = ERR_INIT;
	int rc = httphead_parse(text, strlen(text), h, &e);

	if (rc != 0)
		assert_int_equal(e.kind, ERR_REMOTE);
	return rc;
}

static void test_plain(void **state)
{
	struct httphead h = {0};

	(void)state;
	assert_int_equal(parse("GET http://a/b HTTP/1.1\r\nHost: a\r\nACCEPT:  x/y \t\r\n\r\n", &h),
			 0);
	assert_string_equal(h.method, "GET");
	assert_string_equal(h.target, "http://a/b");
	assert_false(h.old);
	assert_false(h.has_body);
	assert_string_equal(httphead_get(&h, "accept"), "x/y");
	assert_null(httphead_get(&h, "range"));
	httphead_release(&h);
	assert_int_equal(parse("GET / HTTP/1.0\r\n\r\n", &h), 0);
	assert_true(h.old);
	httphead_release(&h);
	assert_int_equal(parse("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", &h), 0);
	assert_true(h.has_body);
	httphead_release(&h);
	assert_int_equal(parse("GET /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", &h), 0);
	assert_false(h.has_body);
	httphead_release(&h);
	assert_int_equal(
	    parse("GET /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", &h), 0);
	assert_true(h.has_body);
	httphead_release(&h);
}

static void test_size(void **state)
{
	(void)state;
	assert_int_equal(httphead_size("", 0), 0);
	assert_int_equal(httphead_size("GET / HTTP/1.1\r\nHost: a\r\n", 25), 0);
	assert_int_equal(httphead_size("GET / HTTP/1.0\r\n\r\nGET", 21), 18);
}

static void test_refused(void **state)
{
	static const char *const texts[] = {
	    "GET / HTTP/1.1\r\n\r\n",
	    "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
	    "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
	    "GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
	    "GET /\tHTTP/1.1\r\nHost: a\r\n\r\n",
	    " GET / HTTP/1.1\r\nHost: a\r\n\r\n",
	    "G(T / HTTP/1.1\r\nHost: a\r\n\r\n",
	    "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
	    "GET / HTTP/1.10\r\nHost: a\r\n\r\n",
	    "GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
	    "GET /\n HTTP/1.1\r\nHost: a\r\n\r\n",
	    "GET /\r X HTTP/1.1\r\nHost: a\r\n\r\n",
	    "GET / HTTP/1.1\nHost: a\r\n\r\n",
	    "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
	    "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
	    "GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n",
	    "GET / HTTP/1.1\r\nHost: a\r\n: y\r\n\r\n",
	    "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
	    "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
	    "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
	    "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n",
	    "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
	    "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\n",
	    "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
	    "GET / HTTP/1.1\r\nHost: a\r\n\r\nmore",
	    "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
	    "\r\n\r\n",
	    "",
	};
	struct httphead h = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (parse(texts[i], &h) == 0)
			fail_msg("taken: %s", texts[i]);
	assert_null(h.method);
}

static void test_nul(void **state)
{
	static const char text[] = "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n";
	struct httphead h = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(httphead_parse(text, sizeof(text) - 1, &h, &e), -1);
}

static void test_many(void **state)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 20);
	struct httphead h = {0};

	(void)state;
	buf_addf(&b, "GET / HTTP/1.1\r\nHost: a\r\n");
	for (int i = 1; i < HTTPHEAD_LINES; i++)
		buf_addf(&b, "X-%d: y\r\n", i);
	buf_addf(&b, "\r\n");
	assert_int_equal(parse(b.data, &h), 0);
	httphead_release(&h);
	buf_cut(&b, b.len - 2);
	buf_addf(&b, "Z: z\r\n\r\n");
	assert_int_equal(parse(b.data, &h), -1);
	buf_cut(&b, 0);
	buf_addf(&b, "GET / HTTP/1.1\r\nHost: a\r\nX: ");
	while (b.len < HTTPHEAD_MAX)
		buf_addf(&b, "yyyyyyyyyyyyyyyy");
	buf_addf(&b, "\r\n\r\n");
	assert_int_equal(parse(b.data, &h), -1);
}

/* Every cut and every changed byte of a good head is read or refused, never anything else; ASan
 * and UBSan look on. */
static void test_mangled(void **state)
{
	static const char good[] = "GET http://a:8/b?c HTTP/1.1\r\nHost: a:8\r\nAccept: x\r\n"
				   "Content-Length: 0\r\n\r\n";

	(void)state;
	for (size_t i = 0; i < sizeof(good) - 1; i++)
		for (int c = 0; c < 256; c++) {
			char text[sizeof(good)];
			struct httphead h = {0};
			struct err e = ERR_INIT;

			memcpy(text, good, sizeof(good));
			text[i] = (char)c;
			if (httphead_parse(text, sizeof(good) - 1, &h, &e) == 0)
				httphead_release(&h);
			if (httphead_parse(good, i, &h, &e) == 0)
				fail_msg("half a head was taken");
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_plain),   cmocka_unit_test(test_size),
	    cmocka_unit_test(test_refused), cmocka_unit_test(test_nul),
	    cmocka_unit_test(test_many),    cmocka_unit_test(test_mangled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
