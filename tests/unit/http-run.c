/* http_run: several requests at once. */
#include "http-server.h"
#include "http/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct server one;

static void serve(struct server_req *r)
{
	server_answer(r, 200, "", "here");
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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_many_at_once, setup, teardown),
	};

	(void)unsetenv("http_proxy");
	(void)unsetenv("all_proxy");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
