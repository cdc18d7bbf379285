/* http_send against a server that misbehaves. */
#include "http-server.h"
#include "http/http.h"
#include "sys/clock.h"
#include "sys/intr.h"
#include <fcntl.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { OTHER_PORT = 15, AUTH_SEEN = 14 };

static struct server one, two;

static bool is(const struct server_req *r, const char *path)
{
	return strcmp(r->path, path) == 0;
}

static void redirects(struct server_req *r)
{
	char head[512];
	int other = r->sh->count[OTHER_PORT];

	if (is(r, "/loop"))
		server_answer(r, 302, "Location: /loop\r\n", "");
	else if (is(r, "/near"))
		server_answer(r, 307, "Location: echo\r\n", "ignored");
	else if (is(r, "/file"))
		server_answer(r, 302, "Location: file:///etc/passwd\r\n", "");
	else if (is(r, "/user"))
		server_answer(r, 302, "Location: http://a:b@127.0.0.1/\r\n", "");
	else if (is(r, "/nowhere"))
		server_answer(r, 302, "", "no location");
	else if (is(r, "/see-other"))
		server_answer(r, 303, "Location: /echo\r\n", "");
	else if (strncmp(r->path, "/far/", 5) == 0) {
		(void)snprintf(head, sizeof(head), "Location: http://127.0.0.1:%d/%s\r\n", other,
			       r->path + 5);
		server_answer(r, 307, head, "");
	}
}

static void once(struct server_req *r, int status, const char *headers)
{
	bool first = atomic_fetch_add(&r->sh->count[0], 1) == 0;

	server_answer(r, first ? status : 200, first ? headers : "", first ? "oops" : "fine");
}

static void five_hundred_once(struct server_req *r)
{
	once(r, 500, "");
}

static void too_many_once(struct server_req *r)
{
	once(r, 429, "Retry-After: 1\r\n");
}

static void five_hundred(struct server_req *r)
{
	atomic_fetch_add(&r->sh->count[0], 1);
	server_answer(r, 500, "", "storm\nsecond line");
}

static void hang_up_once(struct server_req *r)
{
	r->hang_up = atomic_load(&r->sh->count[0]) == 0;
	if (r->hang_up)
		atomic_fetch_add(&r->sh->count[0], 1);
	else
		server_answer(r, 200, "", "fine");
}

static void short_body(struct server_req *r)
{
	atomic_fetch_add(&r->sh->count[0], 1);
	server_say(r, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this");
	r->hang_up = true;
}

static void short_error(struct server_req *r)
{
	server_say(r, "HTTP/1.1 404 X\r\nContent-Length: 100\r\n\r\nnot");
	r->hang_up = true;
}

static void stall(struct server_req *r)
{
	server_say(r, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this");
	sleep(20);
}

static void drip(struct server_req *r)
{
	server_say(r, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
	for (int i = 0; i < 100; i++) {
		server_write(r, "x", 1);
		usleep(100 * 1000);
	}
}

static void many_headers(struct server_req *r)
{
	server_say(r, "HTTP/1.1 200 OK\r\n");
	for (int i = 0; i < 3000; i++)
		server_say(r, "X-%d: 0123456789012345678901234567890123456789\r\n", i);
	server_say(r, "Content-Length: 0\r\n\r\n");
}

static void large(struct server_req *r)
{
	static char chunk[1 << 20];

	server_say(r, "HTTP/1.1 200 OK\r\nContent-Length: 9437184\r\n\r\n");
	for (int i = 0; i < 9; i++)
		server_write(r, chunk, sizeof(chunk));
}

static void early(struct server_req *r)
{
	server_answer(r, 413, "Connection: close\r\n", "too large");
	r->hang_up = true;
}

static void agent(struct server_req *r)
{
	const char *name = server_header(r, "user-agent");

	server_answer(r, 200, "", name != NULL ? name : "none");
}

static void missing(struct server_req *r)
{
	server_answer(r, 404, "", "not\there\nsecond line");
}

static void echo(struct server_req *r)
{
	const char *auth = server_header(r, "authorization");
	char *all SCOPED(mem_freep) =
	    mem_format("%s %s %zu %.20s", r->method, auth != NULL ? auth : "-", r->body_n, r->body);

	server_answer(r, 200, "X-Two:  a b \r\nx-two: second\r\n", all);
}

static const struct {
	const char *path;
	server_fn fn;
} routes[] = {
    {"/echo", echo},
    {"/agent", agent},
    {"/404", missing},
    {"/500-once", five_hundred_once},
    {"/500", five_hundred},
    {"/429", too_many_once},
    {"/hang-up-once", hang_up_once},
    {"/short", short_body},
    {"/short-404", short_error},
    {"/stall", stall},
    {"/drip", drip},
    {"/headers", many_headers},
    {"/large", large},
    {"/early", early},
};

static void serve(struct server_req *r)
{
	if (server_header(r, "authorization") != NULL)
		atomic_fetch_add(&r->sh->count[AUTH_SEEN], 1);
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
		if (is(r, routes[i].path)) {
			routes[i].fn(r);
			return;
		}
	redirects(r);
}

static int setup(void **state)
{
	(void)state;
	server_start(&one, serve);
	server_start(&two, serve);
	one.sh->count[OTHER_PORT] = two.port;
	two.sh->count[OTHER_PORT] = one.port;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	server_stop(&one);
	server_stop(&two);
	return 0;
}

struct asked {
	struct http_request q;
	struct http_reply r;
	struct err e;
	char *url;
	int rc;
};

static void asked_release(struct asked *a)
{
	http_reply_release(&a->r);
	strv_release(&a->q.headers);
	free(a->url);
}

static void ask(struct asked *a, const char *method, const char *path)
{
	a->e = (struct err)ERR_INIT;
	a->url = mem_format("http://127.0.0.1:%d%s", one.port, path);
	a->q.method = method;
	a->q.url = a->url;
	if (a->q.body_size == 0)
		a->q.body_fd = -1;
	a->rc = http_send(&a->q, &a->r, &a->e);
}

static void test_get(void **state)
{
	struct asked a SCOPED(asked_release) = {.q.authorization = "Basic abc"};

	(void)state;
	ask(&a, "GET", "/echo");
	assert_int_equal(a.rc, 0);
	assert_int_equal(a.r.status, 200);
	assert_string_equal(a.r.body.data, "GET Basic abc 0 ");
	assert_string_equal(http_header(&a.r, "x-two"), "a b");
	assert_null(http_header(&a.r, "x-tw"));
	assert_string_equal(a.r.url, a.url);
}

static void test_agent(void **state)
{
	struct asked a SCOPED(asked_release) = {.rc = 0};

	(void)state;
	ask(&a, "GET", "/agent");
	assert_string_equal(a.r.body.data, "posmedia/" POSMEDIA_VERSION);
}

static void test_bodies(void **state)
{
	char path[] = "/tmp/posmedia-http-XXXXXX";
	int fd SCOPED(fd_closep) = mkstemp(path);
	struct asked a SCOPED(asked_release) = {.q = {.body = "hello", .body_size = 5}};
	struct asked b SCOPED(asked_release) = {.q = {.body_fd = fd, .body_size = 5}};
	struct asked c SCOPED(asked_release) = {.q = {.body_fd = fd, .body_size = 500}};

	(void)state;
	(void)unlink(path);
	a.q.body_fd = -1;
	ask(&a, "POST", "/echo");
	assert_string_equal(a.r.body.data, "POST - 5 hello");
	assert_int_equal(write(fd, "skip-world", 10), 10);
	assert_int_equal(lseek(fd, 5, SEEK_SET), 5);
	ask(&b, "PUT", "/near"); /* sent twice: the redirect comes after the body */
	assert_string_equal(b.r.body.data, "PUT - 5 world");
	ask(&c, "PUT", "/echo");
	assert_int_equal(c.rc, -1);
	assert_non_null(strstr(c.e.msg, "became shorter"));
}

static void test_redirects(void **state)
{
	struct asked near SCOPED(asked_release) = {.q.authorization = "Basic abc"};
	struct asked loop SCOPED(asked_release) = {.rc = 0}, file SCOPED(asked_release) = {.rc = 0};
	struct asked user SCOPED(asked_release) = {.rc = 0}, none SCOPED(asked_release) = {.rc = 0};
	struct asked see SCOPED(asked_release) = {.q = {.body = "x", .body_size = 1}};

	(void)state;
	ask(&near, "GET", "/near");
	assert_string_equal(near.r.body.data, "GET Basic abc 0 ");
	assert_non_null(strstr(near.r.url, "/echo"));
	ask(&loop, "GET", "/loop");
	assert_int_equal(loop.rc, -1);
	assert_int_equal(loop.e.kind, ERR_REMOTE);
	assert_non_null(strstr(loop.e.msg, "more than 8 redirects"));
	assert_int_equal(one.sh->requests, 2 + 9);
	ask(&file, "GET", "/file");
	assert_int_equal(file.rc, -1);
	assert_non_null(strstr(file.e.msg, "to a file: address"));
	ask(&user, "GET", "/user");
	assert_int_equal(user.rc, -1);
	ask(&none, "GET", "/nowhere");
	assert_int_equal(none.rc, 0);
	assert_int_equal(none.r.status, 302);
	see.q.body_fd = -1;
	ask(&see, "POST", "/see-other");
	assert_string_equal(see.r.body.data, "GET - 0 ");
}

static void test_authorization_stays(void **state)
{
	struct asked a SCOPED(asked_release) = {.q.authorization = "Basic abc"};
	struct asked b SCOPED(asked_release) = {.q.authorization = "Basic abc"};

	(void)state;
	ask(&a, "GET", "/far/echo");
	assert_string_equal(a.r.body.data, "GET - 0 ");
	assert_int_equal(two.sh->count[AUTH_SEEN], 0);
	/* there and back again: it does not come back */
	ask(&b, "GET", "/far/far/echo");
	assert_string_equal(b.r.body.data, "GET - 0 ");
	assert_int_equal(two.sh->count[AUTH_SEEN], 0);
}

static void test_retries(void **state)
{
	struct asked a SCOPED(asked_release) = {.rc = 0}, b SCOPED(asked_release) = {.q.tries = 2};
	struct asked c SCOPED(asked_release) = {.rc = 0}, d SCOPED(asked_release) = {.q.tries = 2};
	struct asked post SCOPED(asked_release) = {.rc = 0};
	uint64_t began;

	(void)state;
	ask(&a, "GET", "/500-once");
	assert_int_equal(a.r.status, 200);
	assert_string_equal(a.r.body.data, "fine");
	one.sh->count[0] = 0;
	ask(&b, "GET", "/500");
	assert_int_equal(b.rc, 0);
	assert_int_equal(b.r.status, 500);
	assert_int_equal(one.sh->count[0], 2);
	assert_int_equal(http_refused(&b.q, &b.r, &b.e), -1);
	assert_non_null(strstr(b.e.msg, "/500: 500 storm"));
	assert_null(strstr(b.e.msg, "second"));
	one.sh->count[0] = 0;
	ask(&c, "GET", "/hang-up-once");
	assert_int_equal(c.r.status, 200);
	one.sh->count[0] = 0;
	began = clock_mono_ms();
	ask(&d, "GET", "/429");
	assert_int_equal(d.r.status, 200);
	assert_true(clock_mono_ms() - began >= 1000);
	one.sh->count[0] = 0;
	ask(&post, "POST", "/500"); /* may have been done: not repeated */
	assert_int_equal(post.r.status, 500);
	assert_int_equal(one.sh->count[0], 1);
}

static int keep(void *ctx, const void *p, size_t n, struct err *e)
{
	(void)e;
	buf_add(ctx, p, n);
	return 0;
}

static int refuse(void *ctx, const void *p, size_t n, struct err *e)
{
	(void)ctx, (void)p, (void)n;
	return err_set(e, ERR_VERIFY, "not this");
}

static void test_sink(void **state)
{
	struct buf got SCOPED(buf_release) = BUF_INIT(1000);
	const struct sink to = {keep, &got}, no = {refuse, NULL};
	struct asked a SCOPED(asked_release) = {.q.to = &to},
		       b SCOPED(asked_release) = {.q.to = &to};
	struct asked c SCOPED(asked_release) = {.q.to = &to},
		       d SCOPED(asked_release) = {.q.to = &no};

	(void)state;
	ask(&a, "GET", "/near");
	assert_string_equal(got.data, "GET - 0 ");
	assert_int_equal(a.r.body.len, 0);
	buf_release(&got);
	ask(&b, "GET", "/404"); /* an error's page is none of the sink's business */
	assert_int_equal(got.len, 0);
	assert_string_equal(b.r.body.data, "not\there\nsecond line");
	assert_int_equal(http_refused(&b.q, &b.r, &b.e), -1);
	assert_non_null(strstr(b.e.msg, "404 nothere"));
	one.sh->count[0] = 0;
	ask(&c, "GET", "/short"); /* once bytes went out it may not be repeated */
	assert_int_equal(c.rc, -1);
	assert_string_equal(got.data, "only this");
	assert_int_equal(one.sh->count[0], 1);
	ask(&d, "GET", "/echo");
	assert_int_equal(d.rc, -1);
	assert_int_equal(d.e.kind, ERR_VERIFY);
	assert_non_null(strstr(d.e.msg, "not this"));
}

static void test_short_body_is_no_answer(void **state)
{
	struct asked a SCOPED(asked_release) = {.q.tries = 2};

	(void)state;
	ask(&a, "GET", "/short");
	assert_int_equal(a.rc, -1);
	assert_int_equal(a.e.kind, ERR_REMOTE);
	assert_int_equal(one.sh->count[0], 2);
}

static void test_stall(void **state)
{
	uint64_t began = clock_mono_ms();
	struct asked a SCOPED(asked_release) = {.q = {.stall_ms = 300, .tries = 1}};
	struct asked b SCOPED(asked_release) = {.q = {.stall_ms = 300, .tries = 1}};

	(void)state;
	ask(&a, "GET", "/stall");
	assert_int_equal(a.rc, -1);
	assert_non_null(strstr(a.e.msg, "stalled"));
	ask(&b, "GET", "/drip");
	assert_int_equal(b.rc, -1);
	assert_non_null(strstr(b.e.msg, "stalled"));
	assert_true(clock_mono_ms() - began < 3000);
}

static void test_limits(void **state)
{
	struct asked a SCOPED(asked_release) = {.rc = 0}, b SCOPED(asked_release) = {.rc = 0};

	(void)state;
	ask(&a, "GET", "/headers");
	assert_int_equal(a.rc, -1);
	assert_non_null(strstr(a.e.msg, "headers"));
	ask(&b, "GET", "/large");
	assert_int_equal(b.rc, -1);
	assert_non_null(strstr(b.e.msg, "larger than 8388608"));
}

static void test_early_refusal_of_a_large_body(void **state)
{
	enum { SIZE = 64 << 20 };
	char path[] = "/tmp/posmedia-http-XXXXXX";
	int fd SCOPED(fd_closep) = mkstemp(path);
	struct asked a SCOPED(asked_release) = {.q = {.body_fd = fd, .body_size = SIZE}};

	(void)state;
	(void)unlink(path);
	assert_int_equal(ftruncate(fd, SIZE), 0);
	ask(&a, "PUT", "/early");
	assert_int_equal(a.rc, 0);
	assert_int_equal(a.r.status, 413);
}

static void test_half_an_error_page_is_an_answer(void **state)
{
	struct asked a SCOPED(asked_release) = {.rc = 0};

	(void)state;
	ask(&a, "GET", "/short-404");
	assert_int_equal(a.rc, 0);
	assert_int_equal(a.r.status, 404);
	assert_int_equal(one.sh->requests, 1);
}

static void test_bad_requests(void **state)
{
	static const char *const urls[] = {"ftp://127.0.0.1/x", "", "file:///etc/passwd", "http://",
					   "http://127.0.0.1:1/\r\nX: y"};
	struct asked a SCOPED(asked_release) = {.rc = 0};

	(void)state;
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		struct http_request q = {
		    .method = "PUT", .url = urls[i], .body_fd = -1, .tries = 1};
		struct http_reply r = {0};
		struct err e = ERR_INIT;

		assert_int_equal(http_send(&q, &r, &e), -1);
		assert_int_equal(e.kind, ERR_REMOTE);
	}
	strv_add(&a.q.headers, "X-A: b\r\nAuthorization: c");
	ask(&a, "GET", "/echo");
	assert_int_equal(a.rc, -1);
	assert_non_null(strstr(a.e.msg, "control character"));
}

static void test_file(void **state)
{
	char path[] = "/tmp/posmedia-http-XXXXXX";
	int fd SCOPED(fd_closep) = mkstemp(path);
	char *url SCOPED(mem_freep) = mem_format("file://%s", path);
	struct http_request q = {.method = "GET", .url = url, .body_fd = -1, .offset = 4};
	struct http_reply r = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(write(fd, "0123456789", 10), 10);
	assert_int_equal(http_send(&q, &r, &e), 0);
	assert_int_equal(r.status, 206);
	assert_string_equal(r.body.data, "456789");
	http_reply_release(&r);
	q.length = 3;
	assert_int_equal(http_send(&q, &r, &e), 0);
	assert_string_equal(r.body.data, "456");
	http_reply_release(&r);
	q.length = 0;
	q.offset = 11;
	assert_int_equal(http_send(&q, &r, &e), 0);
	assert_int_equal(r.status, 416);
	http_reply_release(&r);
	(void)unlink(path);
	assert_int_equal(http_send(&q, &r, &e), 0);
	assert_int_equal(r.status, 404);
	http_reply_release(&r);
}

static void test_connection_is_kept(void **state)
{
	struct http *h SCOPED(http_freep) = http_new();

	(void)state;
	for (int i = 0; i < 5; i++) {
		struct asked a SCOPED(asked_release) = {.q.via = h};

		ask(&a, "GET", i % 2 == 0 ? "/echo" : "/404");
		assert_int_equal(a.rc, 0);
	}
	assert_int_equal(one.sh->connections, 1);
}

static void test_interrupt(void **state)
{
	uint64_t began = clock_mono_ms();
	pid_t pid = fork();
	int status = 0;

	(void)state;
	if (pid == 0) {
		struct asked a = {.q.tries = 1};

		intr_install();
		ask(&a, "GET", "/stall");
		_exit(a.rc == -1 && strstr(a.e.msg, "interrupted") != NULL ? 0 : 1);
	}
	usleep(300 * 1000);
	assert_int_equal(kill(pid, SIGTERM), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_true(clock_mono_ms() - began < 2000);
}

int main(void)
{
	static const char *const env[] = {"http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY",
					  "ALL_PROXY"};
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_get, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_agent, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_bodies, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_redirects, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_authorization_stays, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_retries, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_sink, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_short_body_is_no_answer, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_stall, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_early_refusal_of_a_large_body, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_half_an_error_page_is_an_answer, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_bad_requests, setup, teardown),
	    cmocka_unit_test(test_file),
	    cmocka_unit_test_setup_teardown(test_connection_is_kept, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_interrupt, setup, teardown),
	};

	for (size_t i = 0; i < sizeof(env) / sizeof(env[0]); i++)
		(void)unsetenv(env[i]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
