/* http_run: several requests at once, and until when; requests through a proxy, and to nobody. */
#include "http-server.h"
#include "http/http.h"
#include "sys/clock.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sys/ioctl.h>

static struct server one;

enum { LOOKS = 13, AUTH_SEEN = 14, HALVES = 15 };

/* The second half of an answer goes out when the first is known to have come, as it does from a
 * server that leaves RFC 896 on; the fewest looks that this took. The kernel acknowledges the first
 * few segments of a connection at once by itself: they do not count. */
static void answer_in_halves(struct server_req *r)
{
	int left = 1, looks = 0;

	server_say(r, "HTTP/1.1 200 X\r\nContent-Length: 4\r\n\r\n");
	for (; ioctl(r->fd, SIOCOUTQ, &left) == 0 && left > 0; looks++)
		(void)usleep(500);
	server_say(r, "here");
	if (atomic_fetch_add(&r->sh->count[HALVES], 1) >= 30 && looks < r->sh->count[LOOKS])
		atomic_store(&r->sh->count[LOOKS], looks);
}

/* It never stalls, and takes ten seconds. */
static void drip(struct server_req *r)
{
	server_say(r, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
	for (int i = 0; i < 100; i++) {
		server_write(r, "x", 1);
		usleep(100 * 1000);
	}
}

static void serve(struct server_req *r)
{
	char *all SCOPED(mem_freep) = mem_format("proxied %s %s", r->method, r->path);

	if (server_header(r, "authorization") != NULL)
		atomic_fetch_add(&r->sh->count[AUTH_SEEN], 1);
	if (strcmp(r->path, "/halves") == 0)
		answer_in_halves(r);
	else if (strcmp(r->path, "/drip") == 0)
		drip(r);
	else if (strstr(r->path, "shop.invalid") == NULL)
		server_answer(r, 200, "", "here");
	else
		server_answer(r, strcmp(r->method, "CONNECT") == 0 ? 403 : 200, "", all);
}

static int setup(void **state)
{
	(void)state;
	server_start(&one, serve);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	server_stop(&one);
	return 0;
}

struct batch {
	struct http_call calls[12];
	size_t begun, ended, wrong;
	unsigned most, now;
};

static struct http_call *batch_next(void *ctx)
{
	struct batch *b = ctx;

	if (b->begun == 12)
		return NULL;
	b->now++;
	b->most = b->now > b->most ? b->now : b->most;
	return &b->calls[b->begun++];
}

static int batch_done(void *ctx, struct http_call *c, struct err *e)
{
	struct batch *b = ctx;

	(void)e;
	b->now--;
	b->ended++;
	if (c->rc != 0 || c->r.status != 200)
		b->wrong++;
	http_reply_release(&c->r);
	return 0;
}

static int batch_stop(void *ctx, struct http_call *c, struct err *e)
{
	(void)batch_done(ctx, c, e);
	return err_set(e, ERR_BUSY, "enough");
}

static void test_many_at_once(void **state)
{
	struct http *h SCOPED(http_freep) = http_new();
	char *url SCOPED(mem_freep) = mem_format("http://127.0.0.1:%d/echo", one.port);
	char *bad SCOPED(mem_freep) = mem_format("gopher://127.0.0.1:%d/echo", one.port);
	struct batch b = {.begun = 0};
	struct http_work w = {batch_next, batch_done, NULL, &b, 3};
	struct err e = ERR_INIT;

	(void)state;
	for (int i = 0; i < 12; i++)
		b.calls[i].q = (struct http_request){
		    .method = "GET", .url = i % 4 == 3 ? bad : url, .body_fd = -1};
	assert_int_equal(http_run(h, &w, &e), 0);
	assert_int_equal(b.ended, 12);
	assert_int_equal(b.wrong, 3);
	assert_int_equal(b.most, 3);
	assert_int_equal(one.sh->requests, 9);
	assert_in_range(one.sh->connections, 1, 3);
	b.begun = b.ended = 0;
	w.done = batch_stop;
	assert_int_equal(http_run(h, &w, &e), -1);
	assert_int_equal(e.kind, ERR_BUSY);
	assert_int_equal(b.ended, 1);
}

/* A delayed acknowledgement takes 40 ms, 80 looks on a machine with nothing else to do. */
static void test_no_waiting_for_acknowledgements(void **state)
{
	struct http *h SCOPED(http_freep) = http_new();
	char *url SCOPED(mem_freep) = mem_format("http://127.0.0.1:%d/halves", one.port);
	const struct http_request q = {.method = "GET", .url = url, .body_fd = -1, .via = h};

	(void)state;
	atomic_store(&one.sh->count[LOOKS], INT_MAX);
	for (int i = 0; i < 60; i++) {
		struct http_reply r = {0};
		struct err e = ERR_INIT;

		assert_int_equal(http_send(&q, &r, &e), 0);
		assert_string_equal(r.body.data, "here");
		http_reply_release(&r);
	}
	assert_in_range(one.sh->count[LOOKS], 0, 4);
}

/* The environment's proxy is used, and what is for the server is not for the proxy's own eyes more
 * than plain http makes it. */
static void test_proxy(void **state)
{
	char *proxy SCOPED(mem_freep) = mem_format("http://127.0.0.1:%d", one.port);
	struct http_request q = {.method = "GET", .url = "http://shop.invalid/x", .body_fd = -1};
	struct http_request s = {.method = "GET",
				 .url = "https://shop.invalid/x",
				 .authorization = "Basic abc",
				 .body_fd = -1,
				 .tries = 1};
	struct http_reply r = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(setenv("http_proxy", proxy, 1), 0);
	assert_int_equal(setenv("https_proxy", proxy, 1), 0);
	assert_int_equal(http_send(&q, &r, &e), 0);
	assert_string_equal(r.body.data, "proxied GET http://shop.invalid/x");
	http_reply_release(&r);
	assert_int_equal(http_send(&s, &r, &e), -1); /* CONNECT shop.invalid:443 is refused */
	assert_int_equal(one.sh->requests, 2);
	assert_int_equal(one.sh->count[AUTH_SEEN], 0);
	(void)unsetenv("http_proxy");
	(void)unsetenv("https_proxy");
}

static int get(struct http *via, const char *path, struct err *e)
{
	char *url SCOPED(mem_freep) = mem_format("http://127.0.0.1:%d%s", one.port, path);
	const struct http_request q = {.method = "GET", .url = url, .body_fd = -1, .via = via};
	struct http_reply r = {0};
	int rc = http_send(&q, &r, e);

	http_reply_release(&r);
	return rc;
}

static void test_until(void **state)
{
	struct http *h SCOPED(http_freep) = http_new();
	struct err e = ERR_INIT;

	(void)state;
	http_until(h, clock_mono_ms() + 300);
	assert_int_equal(get(h, "/drip", &e), -1);
	assert_int_equal(e.kind, ERR_REMOTE);
	assert_non_null(strstr(e.msg, "in time"));
	assert_int_equal(get(h, "/here", &e), -1);
	http_until(h, 0);
	assert_int_equal(get(h, "/here", &e), 0);
}

/* A port where nobody listens; nobody else has it before the socket is closed. */
static int silent(int *ret_port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&in, n), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &n), 0);
	*ret_port = ntohs(in.sin_port);
	return fd;
}

static void test_nobody_there(void **state)
{
	struct http_request q = {.method = "GET", .body_fd = -1, .tries = 2};
	struct http_reply r = {0};
	struct err e = ERR_INIT;
	int port, held = silent(&port);
	char *url SCOPED(mem_freep) = mem_format("http://u:secret@127.0.0.1:%d/x?sig=1", port);

	(void)state;
	q.url = url;
	assert_int_equal(http_send(&q, &r, &e), -1);
	assert_int_equal(e.kind, ERR_REMOTE);
	assert_non_null(strstr(e.msg, "127.0.0.1"));
	assert_null(strstr(e.msg, "secret"));
	assert_null(strstr(e.msg, "sig="));
	assert_true(e.hint[0] != '\0');
	(void)close(held);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_many_at_once, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_no_waiting_for_acknowledgements, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_proxy, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_until, setup, teardown),
	    cmocka_unit_test(test_nobody_there),
	};

	(void)unsetenv("http_proxy");
	(void)unsetenv("all_proxy");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
