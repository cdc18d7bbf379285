/* The proxy records what it fetches, gives it once, and answers from a record without a network. */
#include "proxy-lib.h"

#include "http/http.h"
#include "proxy/record.h"

enum { HITS, AUTH, AGENT, ACCEPT, RANGE };

static bool is(const struct server_req *r, const char *path)
{
	return strcmp(r->path, path) == 0;
}

static void seen(struct server_req *r)
{
	const char *agent = server_header(r, "user-agent");

	atomic_fetch_add(&r->sh->count[HITS], 1);
	r->sh->count[AGENT] += agent != NULL && strcmp(agent, "till/1") == 0;
	r->sh->count[AUTH] += server_header(r, "authorization") != NULL ||
			      server_header(r, "cookie") != NULL ||
			      server_header(r, "proxy-authorization") != NULL;
	r->sh->count[ACCEPT] += server_header(r, "accept") != NULL;
	r->sh->count[RANGE] += server_header(r, "range") != NULL;
}

static void answer(struct server_req *r)
{
	char big[100001];

	seen(r);
	if (is(r, "/a"))
		server_answer(r, 200, "Content-Type: text/x-a\r\nX-Secret: 1\r\nDate: today\r\n",
			      "aaa");
	else if (is(r, "/moved"))
		server_answer(r, 302, "Location: /a\r\n", "go there");
	else if (is(r, "/none"))
		server_answer(r, 404, "", "no such page");
	else if (is(r, "/busy"))
		server_answer(r, 503, "Retry-After: 0\r\n", "later");
	else if (is(r, "/short"))
		server_say(r, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
	else if (is(r, "/stall"))
		server_say(r, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
	else if (is(r, "/empty"))
		server_say(r, "HTTP/1.1 204 No Content\r\n\r\n");
	else if (is(r, "/gz"))
		server_answer(r, 200, "Content-Encoding: gzip\r\n", "as it is");
	else if (is(r, "/far"))
		server_answer(r, 301, "Location: http://other.test/x\r\n", "");
	else if (is(r, "/password"))
		server_answer(r, 302, "Location: http://a:b@other.test/x\r\n", "");
	else {
		memset(big, 'b', sizeof(big) - 1);
		big[sizeof(big) - 1] = '\0';
		server_answer(r, 200, "", big);
	}
	r->hang_up = is(r, "/short");
	if (is(r, "/stall"))
		sleep(20);
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

static const struct lock_recorded *find(const struct proxy_result *r, const char *path)
{
	for (size_t i = 0; i < r->n; i++) {
		const char *slash = strchr(r->v[i].url + 7, '/');

		if (strcmp(slash, path) == 0)
			return &r->v[i];
	}
	fail_msg("%s is not recorded", path);
	return NULL;
}

static void must_finish(struct bench *b, struct proxy_result *r)
{
	struct err e = ERR_INIT;

	if (finish(b, r, &e) != 0)
		fail_msg("%s", e.msg);
}

static void test_records(void **state)
{
	struct bench *b = *state;
	struct proxy_result r = {0};
	struct err e = ERR_INIT;
	struct buf body SCOPED(buf_release) = BUF_INIT(100);

	begin(b, (struct proxy_spec){0});
	expect(b, "/a", "200 OK", "aaa");
	expect(b, "/moved", "302 ", "");
	expect(b, "/none", "404 ", "");
	expect(b, "/empty", "204 ", "");
	expect(b, "/far", "301 ", "");
	expect(b, "/gz", "200 ", "as it is");
	must_finish(b, &r);
	assert_int_equal(r.n, 6);
	assert_int_equal(r.bytes, 11);
	assert_null(r.note);
	assert_string_equal(find(&r, "/a")->type, "text/x-a");
	assert_string_equal(find(&r, "/gz")->encoding, "gzip");
	assert_string_equal(find(&r, "/moved")->location, "/a");
	assert_int_equal(find(&r, "/none")->status, 404);
	assert_int_equal(find(&r, "/empty")->size, 0);
	assert_int_equal(store_read(b->s, &find(&r, "/a")->digest, &body, &e), 0);
	assert_string_equal(body.data, "aaa");
	proxy_result_release(&r);
}

/* What a step sees of a URL is always the same, and the server sees little of the step. */
static void test_once_and_discreet(void **state)
{
	struct bench *b = *state;
	struct proxy_result r = {0};
	char *got = NULL;

	begin(b, (struct proxy_spec){0});
	got = ask_with(b, "HEAD", "/a",
		       "User-Agent: till/1\r\nAuthorization: Basic c2VjcmV0\r\nCookie: a=b\r\n"
		       "Proxy-Authorization: x\r\nRange: bytes=1-\r\n"
		       "If-None-Match: \"x\"\r\n");
	assert_non_null(strstr(got, "Content-Length: 3\r\n"));
	assert_null(strstr(got, "aaa"));
	assert_null(strstr(got, "Secret"));
	assert_null(strstr(got, "Date"));
	free(got);
	got = ask_with(b, "GET", "/a", "Range: bytes=1-\r\n");
	assert_non_null(strstr(got, "\r\n\r\naaa"));
	free(got);
	expect(b, "/a", "200 OK", "aaa");
	must_finish(b, &r);
	assert_int_equal(r.n, 1);
	assert_int_equal(b->up.sh->count[HITS], 1);
	assert_int_equal(b->up.sh->count[AGENT], 1);
	assert_int_equal(b->up.sh->count[AUTH], 0);
	assert_int_equal(b->up.sh->count[RANGE], 0);
	proxy_result_release(&r);
}

static void test_keep_alive_and_many_at_once(void **state)
{
	struct bench *b = *state;
	struct proxy_result r = {0};
	char *two SCOPED(mem_freep) =
	    mem_format("GET http://127.0.0.1:%d/a HTTP/1.1\r\nHost: x\r\n\r\n"
		       "GET http://127.0.0.1:%d/b HTTP/1.1\r\nHost: x\r\n\r\n",
		       b->up.port, b->up.port);
	char *got SCOPED(mem_freep) = NULL;
	pid_t pids[8];

	begin(b, (struct proxy_spec){.limits = {.connections_max = 3}});
	got = exchange(b, two, strlen(two));
	assert_non_null(strstr(got, "aaaHTTP/1.1 200 OK"));
	assert_int_equal(got[strlen(got) - 1], 'b');
	for (int i = 0; i < 8; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			char *path SCOPED(mem_freep) = mem_format("/big%d", i % 4);

			expect(b, path, "200 OK", NULL);
			_exit(0);
		}
	}
	for (int i = 0; i < 8; i++) {
		int status = -1;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	must_finish(b, &r);
	assert_int_equal(r.n, 6);
	assert_int_equal(b->up.sh->count[HITS], 6);
	proxy_result_release(&r);
}

/* A server's trouble reaches the step as such and the record not at all. */
static void test_trouble_upstream(void **state)
{
	struct bench *b = *state;
	struct proxy_result r = {0};

	begin(b, (struct proxy_spec){.limits = {.stall_ms = 300, .body_max = 50000}});
	expect(b, "/short", "502 ", NULL);
	expect(b, "/stall", "502 ", NULL);
	expect(b, "/busy", "503 ", NULL);
	expect(b, "/big", "502 ", NULL);
	expect(b, "/password", "502 ", NULL);
	must_finish(b, &r);
	assert_int_equal(r.n, 0);
	assert_non_null(strstr(r.note, "/short"));
	proxy_result_release(&r);
}

static void refused(struct bench *b, const char *why, const char *hint)
{
	struct proxy_result r = {0};
	struct err e = ERR_INIT;

	assert_int_equal(finish(b, &r, &e), -1);
	assert_int_equal(e.kind, ERR_STEP);
	if (strstr(e.msg, why) == NULL || strstr(e.hint, hint) == NULL)
		fail_msg("%s (%s), wanted %s", e.msg, e.hint, why);
	proxy_result_release(&r);
}

static void test_answers_from_the_record_alone(void **state)
{
	struct bench *b = *state;
	struct proxy_result r = {0}, none = {0};

	begin(b, (struct proxy_spec){0});
	expect(b, "/a", "200 OK", "aaa");
	expect(b, "/moved", "302 ", "");
	must_finish(b, &r);
	begin(b, (struct proxy_spec){.recorded = r.v, .recorded_n = r.n});
	expect(b, "/a", "200 OK", "aaa");
	expect(b, "/moved", "302 ", "");
	must_finish(b, &none);
	assert_int_equal(none.n, 0);
	assert_int_equal(b->up.sh->count[HITS], 2);
	begin(b, (struct proxy_spec){.recorded = r.v, .recorded_n = r.n});
	expect(b, "/other", "403 ", NULL);
	expect(b, "/a", "200 OK", "aaa");
	refused(b, "/other is not in the lock's record", "--record fetch");
	assert_int_equal(b->up.sh->count[HITS], 2);
	proxy_result_release(&r);
}

static void test_limits_of_a_step(void **state)
{
	struct bench *b = *state;
	struct proxy_result r = {0};

	begin(b, (struct proxy_spec){.limits = {.requests_max = 2}});
	expect(b, "/a", "200 OK", "aaa");
	expect(b, "/a", "200 OK", "aaa");
	expect(b, "/a", "429 ", NULL);
	refused(b, "the request after the last of 2", "");
	begin(b, (struct proxy_spec){.limits = {.total_max = 150000}});
	expect(b, "/big1", "200 ", NULL);
	expect(b, "/big2", "502 ", NULL);
	must_finish(b, &r);
	assert_int_equal(r.n, 1);
	proxy_result_release(&r);
}

/* Whoever was to say what is refused was killed before it could: it is refused. */
static void test_a_refusal_without_words(void **state)
{
	struct bench *b = *state;
	char *path SCOPED(mem_freep) = NULL;
	struct err e = ERR_INIT;

	begin(b, (struct proxy_spec){0});
	path = mem_format("%s/../state/refused", proxy_public_dir(b->p));
	assert_int_equal(fs_put_path(path, "", 0, 0600, &e), 0);
	refused(b, "something was refused", "");
	begin(b, (struct proxy_spec){0});
	mem_freep(&path);
	path = mem_format("%s/../state/refused", proxy_public_dir(b->p));
	assert_int_equal(fs_put_path(path, "half a mess", 11, 0600, &e), 0);
	refused(b, "something was refused", "");
}

/* Ended while a server keeps it waiting: at once, and nothing of it stays in the store. */
static void test_ends_in_the_middle(void **state)
{
	struct bench *b = *state;
	struct strv left SCOPED(strv_release) = {0};
	struct proxy_result r = {0};
	struct err e = ERR_INIT;
	int fd SCOPED(fd_closep) = -1;
	char *text SCOPED(mem_freep) =
	    mem_format("GET http://127.0.0.1:%d/stall HTTP/1.1\r\nHost: x\r\n\r\n", b->up.port);

	begin(b, (struct proxy_spec){0});
	fd = dial(b);
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
	while (b->up.sh->count[HITS] == 0)
		usleep(10000);
	must_finish(b, &r);
	assert_int_equal(r.n, 0);
	assert_int_equal(store_leftovers(b->s, &left, &e), 0);
	assert_int_equal(left.n, 0);
	assert_int_equal(read(fd, text, 1), 0); /* nobody is there any more */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_records, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_once_and_discreet, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_keep_alive_and_many_at_once, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_trouble_upstream, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_answers_from_the_record_alone, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_limits_of_a_step, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_a_refusal_without_words, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_ends_in_the_middle, setup, teardown),
	};

	(void)unsetenv("http_proxy");
	(void)unsetenv("all_proxy");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
