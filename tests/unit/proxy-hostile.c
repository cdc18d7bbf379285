/* Clients that mean harm: nothing of theirs reaches a server, and the step fails. */
#include "proxy-lib.h"

enum { HITS };

static void answer(struct server_req *r)
{
	atomic_fetch_add(&r->sh->count[HITS], 1);
	server_answer(r, 200, "", "body");
}

static int setup(void **state)
{
	*state = bench_new(answer);
	return 0;
}

static int teardown(void **state)
{
	bench_free(*state);
	return 0;
}

/* The bytes get this status, and the step fails with this reason; the server sees nothing. */
static void refused_n(struct bench *b, const void *p, size_t n, const char *status, const char *why)
{
	char *line SCOPED(mem_freep) = mem_format("HTTP/1.1 %s ", status);
	struct proxy_result r = {0};
	struct err e = ERR_INIT;
	char *got SCOPED(mem_freep) = NULL;

	begin(b, (struct proxy_spec){.limits = {.idle_ms = 2000}});
	got = exchange(b, p, n);
	if (strncmp(got, line, strlen(line)) != 0)
		fail_msg("%.60s: wanted %s, got %s", (const char *)p, status, got);
	assert_int_equal(finish(b, &r, &e), -1);
	assert_int_equal(e.kind, ERR_STEP);
	if (strstr(e.msg, why) == NULL)
		fail_msg("%s, wanted %s", e.msg, why);
	assert_int_equal(r.n, 0);
	proxy_result_release(&r);
	assert_int_equal(b->up.sh->count[HITS], 0);
}

/* "~" stands for the server's host and port. */
static char *filled(const struct bench *b, const char *text)
{
	struct buf o = BUF_INIT(1 << 20);

	for (; *text != '\0'; text++)
		if (*text == '~')
			buf_addf(&o, "127.0.0.1:%d", b->up.port);
		else
			buf_add(&o, text, 1);
	return buf_take(&o);
}

static void refused(struct bench *b, const char *text, const char *status, const char *why)
{
	char *full SCOPED(mem_freep) = filled(b, text);
	char *reason SCOPED(mem_freep) = filled(b, why);

	refused_n(b, full, strlen(full), status, reason);
}

#define REST " HTTP/1.1\r\nHost: ~\r\n\r\n"

static void test_other_methods(void **state)
{
	static const char *const methods[] = {"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "get"};

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		char *text SCOPED(mem_freep) = mem_format("%s http://~/form" REST, methods[i]);
		char *why SCOPED(mem_freep) =
		    mem_format("%s http://~/form: only GET and HEAD can be recorded", methods[i]);

		refused(*state, text, "405", why);
	}
	refused(*state, "POST http://~/form HTTP/1.1\r\nHost: ~\r\nContent-Length: 5\r\n\r\nhello",
		"405", "POST http://~/form");
}

static void test_smuggling(void **state)
{
	refused(*state,
		"GET http://~/ HTTP/1.1\r\nHost: ~\r\nContent-Length: 44\r\n"
		"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET http://~/hidden" REST,
		"400", "more than once where its body ends");
	refused(*state,
		"GET http://~/ HTTP/1.1\r\nHost: ~\r\nContent-Length: 5\r\n"
		"Content-Length: 6\r\n\r\nhello",
		"400", "more than once where its body ends");
	refused(*state,
		"GET http://~/ HTTP/1.1\r\nHost: ~\r\nTransfer-Encoding: chunked\r\n\r\n"
		"0\r\n\r\nGET http://~/hidden" REST,
		"400", "with a body");
	refused(*state, "GET http://~/ HTTP/1.1\nHost: ~\n\r\n\r\n", "400", "control bytes");
	refused(*state, "GET http://~/ HTTP/1.1\r\nHost: ~\r\nHost: other\r\n\r\n", "400",
		"one Host");
}

static void test_targets(void **state)
{
	refused(*state, "GET /etc/passwd" REST, "400", "not a request for a proxy");
	refused(*state, "GET file:///etc/passwd" REST, "400", "not a request for a proxy");
	refused(*state, "GET ftp://127.0.0.1/x" REST, "400", "not a request for a proxy");
	refused(*state, "GET http://a:b@127.0.0.1/x" REST, "400", "user or password");
	refused(*state, "GET http://127.0.0.1:99999/x" REST, "400", "port is no number");
	refused(*state, "GET http:///x" REST, "400", "without a host");
	refused(*state, "GET http://~/a#b" REST, "400", "bytes that a URL does not have");
	refused(*state, "GET http://~/a\rX-Evil: 1" REST, "400", "control bytes");
	refused(*state, "GET http://~/a\nX-Evil: 1" REST, "400", "control bytes");
	refused(*state, "GET http://~/a b" REST, "400", "neither HTTP/1.0 nor");
	refused(*state, "CONNECT a:b@host:443" REST, "400", "user or password");
	refused(*state, "CONNECT host/path:443" REST, "400", "whose host is no name");
	refused(*state, "CONNECT ~" REST "early", "400", "CONNECT where it cannot be");
}

static void test_what_is_no_http(void **state)
{
	char big[40000];

	memset(big, 'x', sizeof(big));
	memcpy(big, "GET http://h/", 13);
	refused_n(*state, big, sizeof(big), "431", "head is larger than");
	refused_n(*state, "\x16\x03\x01\0\0\r\n\r\n", 9, "400", "control bytes");
	refused_n(*state, "GET http://h/\0 HTTP/1.1\r\n\r\n", 27, "400", "control bytes");
	refused(*state, "PRI * HTTP/2.0\r\n\r\n", "400", "neither HTTP/1.0 nor");
}

/* A client that hangs up, says nothing, or half of something: no refusal, no harm, and others are
 * served meanwhile. */
static void test_halves_and_silence(void **state)
{
	struct bench *b = *state;
	struct proxy_result r = {0};
	struct err e = ERR_INIT;
	int silent SCOPED(fd_closep) = -1;
	char *got SCOPED(mem_freep) = NULL;
	uint64_t byte;

	begin(b, (struct proxy_spec){.limits = {.idle_ms = 500}});
	silent = dial(b);
	got = exchange(b, "GET http://half", 15);
	assert_string_equal(got, "");
	expect(b, "/a", "200 OK", "body");
	assert_int_equal(read(silent, &byte, 1), 0); /* ended, after its half second */
	assert_int_equal(finish(b, &r, &e), 0);
	assert_int_equal(r.n, 1);
	proxy_result_release(&r);
}

/* TLS that fails is the client's matter, but it is said. */
static void test_no_tls(void **state)
{
	struct bench *b = *state;
	struct proxy_result r = {0};
	struct err e = ERR_INIT;
	int fd SCOPED(fd_closep) = -1;
	char line[64];

	begin(b, (struct proxy_spec){.limits = {.idle_ms = 1000}});
	fd = dial(b);
	assert_int_equal(send(fd, "CONNECT till.test:443 HTTP/1.1\r\nHost: x\r\n\r\n", 43, 0), 43);
	assert_true(read(fd, line, sizeof(line)) > 12);
	assert_int_equal(strncmp(line, "HTTP/1.1 200", 12), 0);
	assert_int_equal(send(fd, "GET / HTTP/1.0\r\n\r\n", 18, MSG_NOSIGNAL), 18);
	while (read(fd, line, sizeof(line)) > 0)
		;
	assert_int_equal(finish(b, &r, &e), 0);
	assert_non_null(strstr(r.note, "till.test"));
	proxy_result_release(&r);
}

static void only(struct bench *b, const char *allow)
{
	strv_release(&b->allow);
	if (allow != NULL)
		strv_add(&b->allow, allow);
}

/* Without a word of the recipe nothing of this machine or of its network can be reached. */
static void test_private_addresses(void **state)
{
	static const char *const hosts[] = {
	    "127.0.0.1",
	    "127.1.2.3",
	    "0.0.0.0",
	    "10.0.0.1",
	    "172.16.0.1",
	    "192.168.1.1",
	    "169.254.169.254",
	    "100.64.0.1",
	    "224.0.0.1",
	    "255.255.255.255",
	    "localhost",
	    "a.localhost",
	    "[::1]",
	    "[::]",
	    "[fe80::1]",
	    "[fd00::1]",
	    "[::ffff:7f00:1]",
	    "[::ffff:10.0.0.1]",
	    "[64:ff9b::a00:1]",
	    "[2002:7f00:1::]",
	    "[2001:db8::1]",
	};

	only(*state, NULL);
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		char *text SCOPED(mem_freep) = mem_format("GET http://%s/" REST, hosts[i]);

		refused(*state, text, "403", "is no public host");
	}
	refused(*state, "GET http://~/" REST, "403", "is no public host");
}

static void test_allowed_hosts(void **state)
{
	struct bench *b = *state;

	only(b, "mirror.test");
	refused(b, "GET http://~/" REST, "403", "does not allow ~");
	refused(b, "GET http://mirror.test:81/" REST, "403", "does not allow mirror.test:81");
	refused(b, "GET http://a.mirror.test/" REST, "403", "does not allow a.mirror.test");
	only(b, "*.test");
	refused(b, "GET http://mirror.test.evil/" REST, "403", "does not allow");
	only(b, "127.0.0.*:*"); /* a pattern does not open what is private */
	refused(b, "GET http://~/" REST, "403", "is no public host");
}

/* A name that leads to a private address is found out when it is connected to. */
static void a_name_for_loopback(struct bench *b)
{
	char name[256], *text = NULL, *got = NULL;
	struct proxy_result r = {0};
	struct err e = ERR_INIT;

	assert_int_equal(gethostname(name, sizeof(name)), 0);
	only(b, NULL);
	begin(b, (struct proxy_spec){0});
	text = mem_format("GET http://%s:%d/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
			  name, b->up.port);
	got = exchange(b, text, strlen(text));
	assert_int_equal(strncmp(got, "HTTP/1.1 502 ", 13), 0);
	assert_int_equal(finish(b, &r, &e), 0);
	assert_int_equal(r.n, 0);
	assert_non_null(r.note);
	assert_int_equal(atomic_load(&b->up.sh->connections), 0);
	free(text);
	free(got);
	proxy_result_release(&r);
}

static void test_a_name_for_loopback(void **state)
{
	a_name_for_loopback(*state);
	/* a proxy for the other scheme is none for this one */
	assert_int_equal(setenv("https_proxy", "http://127.0.0.1:1", 1), 0);
	a_name_for_loopback(*state);
	(void)unsetenv("https_proxy");
}

/* Where addresses are a proxy's matter, everything goes there: no_proxy opens no way around it but
 * to what the recipe names. */
static void test_no_way_around_the_proxy(void **state)
{
	static const char text[] = "GET http://till.invalid/ HTTP/1.1\r\nHost: x\r\n"
				   "Connection: close\r\n\r\n";
	struct bench *b = *state;
	char *proxy SCOPED(mem_freep) = mem_format("http://127.0.0.1:%d", b->up.port);
	struct proxy_result r = {0};
	struct err e = ERR_INIT;

	assert_int_equal(setenv("http_proxy", proxy, 1), 0);
	assert_int_equal(setenv("no_proxy", "till.invalid", 1), 0);
	for (int named = 0; named < 2; named++) {
		char *got SCOPED(mem_freep) = NULL;

		only(b, named ? "till.invalid" : NULL);
		begin(b, (struct proxy_spec){0});
		got = exchange(b, text, strlen(text));
		assert_int_equal(strncmp(got + 9, named ? "502 " : "200 ", 4), 0);
		assert_int_equal(finish(b, &r, &e), 0);
		proxy_result_release(&r);
	}
	assert_int_equal(b->up.sh->count[HITS], 1);
	(void)unsetenv("http_proxy");
	(void)unsetenv("no_proxy");
}

#define CASE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(test_other_methods),
	    CASE(test_smuggling),
	    CASE(test_targets),
	    CASE(test_what_is_no_http),
	    CASE(test_halves_and_silence),
	    CASE(test_no_tls),
	    CASE(test_private_addresses),
	    CASE(test_allowed_hosts),
	    CASE(test_a_name_for_loopback),
	    CASE(test_no_way_around_the_proxy),
	};

	(void)unsetenv("http_proxy");
	(void)unsetenv("all_proxy");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
