/* What the proxy asks of http_send: redirects as answers, and a say in where it connects. */
#include "http-server.h"
#include "http/http.h"

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void answer(struct server_req *r)
{
	if (strcmp(r->path, "/moved") == 0)
		server_answer(r, 302, "Location: /here\r\n", "page");
	else
		server_answer(r, 200, "", "body");
}

struct guard {
	int asked, family;
	uint32_t addr;
	bool say;
};

static bool may(void *ctx, const struct sockaddr *to)
{
	struct guard *g = ctx;

	g->asked++;
	g->family = to->sa_family;
	g->addr = ntohl(((const struct sockaddr_in *)(const void *)to)->sin_addr.s_addr);
	return g->say;
}

static int get(const struct server *s, const char *path, struct guard *g, bool as_is,
	       struct http_reply *r, struct err *e)
{
	char *url SCOPED(mem_freep) = mem_format("http://127.0.0.1:%d%s", s->port, path);
	struct http_request q = {.method = "GET",
				 .url = url,
				 .body_fd = -1,
				 .as_is = as_is,
				 .may_connect = may,
				 .may_ctx = g};

	return http_send(&q, r, e);
}

static void test_guard(void **state)
{
	struct guard g = {.say = false};
	struct http_reply r = {0};
	struct err e = ERR_INIT;
	struct server s;

	(void)state;
	server_start(&s, answer);
	assert_int_equal(get(&s, "/", &g, false, &r, &e), -1);
	assert_int_equal(e.kind, ERR_REMOTE);
	assert_non_null(strstr(e.msg, "off limits"));
	assert_int_equal(g.asked, 1); /* not tried again */
	assert_int_equal(g.family, AF_INET);
	assert_int_equal(g.addr, INADDR_LOOPBACK);
	assert_int_equal(atomic_load(&s.sh->connections), 0);
	g = (struct guard){.say = true};
	assert_int_equal(get(&s, "/", &g, false, &r, &e), 0);
	assert_int_equal(r.status, 200);
	http_reply_release(&r);
	server_stop(&s);
}

static void test_as_is(void **state)
{
	struct guard g = {.say = true};
	struct http_reply r = {0};
	struct err e = ERR_INIT;
	struct server s;

	(void)state;
	server_start(&s, answer);
	assert_int_equal(get(&s, "/moved", &g, true, &r, &e), 0);
	assert_int_equal(r.status, 302);
	assert_string_equal(http_header(&r, "location"), "/here");
	http_reply_release(&r);
	assert_int_equal(get(&s, "/moved", &g, false, &r, &e), 0);
	assert_int_equal(r.status, 200);
	http_reply_release(&r);
	server_stop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_guard),
	    cmocka_unit_test(test_as_is),
	};

	(void)unsetenv("http_proxy");
	(void)unsetenv("all_proxy");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
