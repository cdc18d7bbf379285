/* fetch_all against mirrors that break off, lie, forget, and know nothing of Range. */
#include "http-fetch.h"
#include "base/log.h"
#include "http/fetch.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include "sys/lock.h"
#include <fcntl.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct bench {
	struct server server;
	char dir[32];
	struct store *store;
};

static int setup(void **state)
{
	struct bench *b = mem_zalloc(sizeof(*b));
	struct err e = ERR_INIT;

	server_start(&b->server, serve);
	(void)snprintf(b->dir, sizeof(b->dir), "/tmp/posmedia-fetch-XXXXXX");
	if (mkdtemp(b->dir) == NULL || store_open(b->dir, &b->store, &e) != 0)
		return -1;
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;
	struct err e = ERR_INIT;
	int rc;

	server_stop(&b->server);
	store_free(b->store);
	rc = fs_rmtree(AT_FDCWD, b->dir, &e);
	free(b);
	return rc;
}

/* A job for the file of that size with up to two addresses, "" for none. */
struct want {
	struct fetch_job job;
	char *url[3];
};

static void want(struct bench *b, struct want *w, size_t size, const char *one, const char *two)
{
	char *p SCOPED(mem_freep) = content(size);
	const char *kinds[] = {one, two};

	*w = (struct want){.job = {.name = "tulip 1.0",
				   .digest = digest_of(p, size),
				   .size = size,
				   .pointer = "demo.lock:7:3"}};
	for (int i = 0; i < 2 && kinds[i][0] != '\0'; i++)
		w->url[i] = kinds[i][0] == '/'
				? mem_format("http://127.0.0.1:%d%s", b->server.port, kinds[i])
				: mem_strdup(kinds[i]);
	w->job.urls = (const char *const *)w->url;
}

static void unwant(struct want *w)
{
	free(w->url[0]);
	free(w->url[1]);
}

static int fetch_one(struct bench *b, struct want *w, struct err *e)
{
	int rc;

	*e = (struct err)ERR_INIT;
	rc = fetch_all(b->store, &w->job, 1, NULL, e);
	assert_int_equal(store_has(b->store, &w->job.digest, NULL), rc == 0);
	assert_int_equal(w->job.done, rc == 0);
	return rc;
}

static void put_partial(struct bench *b, const struct want *w, const char *p, size_t n)
{
	char *path SCOPED(mem_freep) = store_partial_path(b->store, &w->job.digest);
	struct err e = ERR_INIT;

	assert_int_equal(fs_put_path(path, p, n, 0600, &e), 0);
}

static size_t partials(struct bench *b)
{
	struct strv names SCOPED(strv_release) = {0};
	struct err e = ERR_INIT;

	assert_int_equal(fs_list(store_fd(b->store), "partial", &names, &e), 0);
	return names.n;
}

static void test_plain(void **state)
{
	struct bench *b = *state;
	struct want w SCOPED(unwant);
	struct buf got SCOPED(buf_release) = BUF_INIT(20000);
	char *p SCOPED(mem_freep) = content(10000);
	struct err e;

	want(b, &w, 10000, "/ok/10000", "");
	assert_int_equal(fetch_one(b, &w, &e), 0);
	assert_int_equal(store_read(b->store, &w.job.digest, &got, &e), 0);
	assert_string_equal(got.data, p);
	assert_int_equal(partials(b), 0);
	assert_int_equal(fetch_one(b, &w, &e), 0); /* there already */
	assert_int_equal(b->server.sh->count[HITS], 1);
}

static void test_empty_and_unknown_size(void **state)
{
	struct bench *b = *state;
	struct want none SCOPED(unwant), some SCOPED(unwant);
	struct err e;

	want(b, &none, 0, "/ok/0", "");
	assert_int_equal(fetch_one(b, &none, &e), 0);
	want(b, &some, 500, "/ok/500", "");
	some.job.size = 0;
	assert_int_equal(fetch_one(b, &some, &e), 0);
}

static void test_resume(void **state)
{
	struct bench *b = *state;
	struct want w SCOPED(unwant), cut SCOPED(unwant);
	char *p SCOPED(mem_freep) = content(10000);
	struct err e;

	want(b, &w, 10000, "/ok/10000", "");
	put_partial(b, &w, p, 4000);
	assert_int_equal(fetch_one(b, &w, &e), 0);
	assert_int_equal(b->server.sh->count[RANGES], 1);
	want(b, &cut, 20000, "/cut/20000", ""); /* breaks off and goes on in one run */
	b->server.sh->count[CUT] = 0;
	assert_int_equal(fetch_one(b, &cut, &e), 0);
	assert_int_equal(b->server.sh->count[RANGES], 2);
}

static void test_resume_what_is_whole(void **state)
{
	struct bench *b = *state;
	struct want w SCOPED(unwant), u SCOPED(unwant);
	char *p SCOPED(mem_freep) = content(1000), *q SCOPED(mem_freep) = content(2000);
	struct err e;

	want(b, &w, 1000, "/status/500", "");
	put_partial(b, &w, p, 1000);
	assert_int_equal(fetch_one(b, &w, &e), 0);
	assert_int_equal(b->server.sh->count[HITS], 0);
	want(b, &u, 2000, "/ok/2000", ""); /* unknown size: 416 says that it is whole */
	u.job.size = 0;
	put_partial(b, &u, q, 2000);
	assert_int_equal(fetch_one(b, &u, &e), 0);
	assert_int_equal(b->server.sh->count[HITS], 1);
}

static void test_resume_refused(void **state)
{
	static const char *const kinds[] = {"/norange/3000", "/no416/3000", "/badrange/3000"};
	char *p SCOPED(mem_freep) = content(3000);

	for (int i = 0; i < 3; i++) {
		void *own = NULL;
		struct want w SCOPED(unwant);
		struct err e;

		assert_int_equal(setup(&own), 0);
		want(own, &w, 3000, kinds[i], "");
		put_partial(own, &w, p, 1000);
		assert_int_equal(fetch_one(own, &w, &e), 0);
		assert_int_equal(teardown(&own), 0);
	}
	(void)state;
}

static void test_resume_of_rubbish(void **state)
{
	struct bench *b = *state;
	struct want w SCOPED(unwant), v SCOPED(unwant);
	char *p SCOPED(mem_freep) = content(5000);
	struct err e;

	p[10] ^= 1;
	want(b, &w, 5000, "/ok/5000", "");
	put_partial(b, &w, p, 3000);
	assert_int_equal(fetch_one(b, &w, &e), 0);
	assert_int_equal(b->server.sh->count[HITS], 2); /* the rest, then all of it */
	want(b, &v, 600, "/ok/600", "");
	put_partial(b, &v, p, 5000); /* longer than it may be */
	assert_int_equal(fetch_one(b, &v, &e), 0);
}

static void test_wrong_bytes(void **state)
{
	static const char *const kinds[] = {"/bad/2000", "/long/2000"};
	struct bench *b = *state;

	for (int i = 0; i < 2; i++) {
		struct want w SCOPED(unwant), two SCOPED(unwant);
		struct err e;

		want(b, &w, 2000, kinds[i], "");
		b->server.sh->count[HITS] = 0;
		assert_int_equal(fetch_one(b, &w, &e), -1);
		assert_int_equal(b->server.sh->count[HITS], 1); /* the same again would not help */
		assert_int_equal(e.kind, ERR_VERIFY);
		assert_non_null(strstr(e.msg, "demo.lock:7:3: tulip 1.0: "));
		assert_non_null(strstr(e.msg, digest_text(&w.job.digest).s));
		assert_non_null(strstr(e.msg, kinds[i]));
		assert_non_null(strstr(e.msg, i == 0 ? "got sha256:" : "got more"));
		assert_int_equal(partials(b), 0);
		want(b, &two, 2000, kinds[i], "/status/403"); /* wrong bytes outrank 403 */
		assert_int_equal(fetch_one(b, &two, &e), -1);
		assert_int_equal(e.kind, ERR_VERIFY);
	}
}

static void test_wrong_bytes_after_resume(void **state)
{
	struct bench *b = *state;
	struct want w SCOPED(unwant);
	char *p SCOPED(mem_freep) = content(2000);
	struct err e;

	want(b, &w, 2000, "/bad/2000", "");
	put_partial(b, &w, p, 1);
	assert_int_equal(fetch_one(b, &w, &e), -1);
	assert_int_equal(e.kind, ERR_VERIFY);
	assert_in_range(b->server.sh->count[HITS], 1, 2);
}

static void test_next_mirror(void **state)
{
	static const char *const first[] = {"/bad/700",
					    "/loop/700",
					    "/astray/700",
					    "/long/700",
					    "/status/403",
					    "/status/404",
					    "/status/410",
					    "http://127.0.0.1:1/x",
					    "file:///nonexistent/x"};
	struct bench *b = *state;

	for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++) {
		struct want w SCOPED(unwant);
		char *path SCOPED(mem_freep) = NULL;
		struct err e;

		want(b, &w, 700, first[i], "/ok/700");
		assert_int_equal(fetch_one(b, &w, &e), 0);
		path = store_blob_path(b->store, &w.job.digest);
		assert_int_equal(unlink(path), 0);
	}
}

static void test_redirected(void **state)
{
	struct bench *b = *state;
	struct want w SCOPED(unwant);
	struct err e;

	want(b, &w, 700, "/there/700", "");
	assert_int_equal(fetch_one(b, &w, &e), 0);
}

/* The first one is not waited for: another try of it would come half a second later. */
static void test_mirror_in_trouble(void **state)
{
	struct bench *b = *state;
	struct want w SCOPED(unwant);
	uint64_t start = clock_mono_ms();
	struct err e;

	want(b, &w, 700, "/status/503", "/ok/700");
	assert_int_equal(fetch_one(b, &w, &e), 0);
	assert_true(clock_mono_ms() - start < 450);
}

/* Half, then silence, and silence again when asked for the rest: the other mirror has it. */
static void test_silent_mirror(void **state)
{
	struct bench *b = *state;
	struct want w SCOPED(unwant);
	const struct fetch_opts o = {.stall_ms = 300};
	uint64_t start = clock_mono_ms();
	struct err e = ERR_INIT;

	want(b, &w, 4000, "/stall/4000", "/ok/4000");
	assert_int_equal(fetch_all(b->store, &w.job, 1, &o, &e), 0);
	assert_true(clock_mono_ms() - start < 3000);
	assert_int_equal(b->server.sh->count[HITS], 3);
}

static void test_breaks_off_for_ever(void **state)
{
	struct bench *b = *state;
	struct want w SCOPED(unwant);
	struct err e;

	/* half of it each time, from the start: no progress after the first time */
	want(b, &w, 4000, "/cutalways/4000", "");
	assert_int_equal(fetch_one(b, &w, &e), -1);
	assert_int_equal(e.kind, ERR_REMOTE);
	assert_true(b->server.sh->count[HITS] <= 10);
	assert_int_equal(partials(b), 2); /* kept, with its lock's file */
}

static void test_gone(void **state)
{
	struct bench *b = *state;
	struct want w[4];
	struct fetch_job jobs[4];
	struct err e = ERR_INIT;

	want(b, &w[0], 100, "/status/404", "/status/410");
	want(b, &w[1], 200, "/ok/200", "");
	want(b, &w[2], 300, "file:///nonexistent/x", "");
	want(b, &w[3], 200, "/status/404", ""); /* the same bytes as the second */
	w[2].job.name = "crocus 2.0";
	for (int i = 0; i < 4; i++)
		jobs[i] = w[i].job;
	assert_int_equal(fetch_all(b->store, jobs, 4, NULL, &e), -1);
	assert_int_equal(e.kind, ERR_REMOTE);
	assert_non_null(strstr(e.msg, "2 files that no mirror has any more: tulip 1.0, crocus"));
	assert_true(jobs[0].gone && !jobs[0].done);
	assert_true(jobs[1].done && !jobs[1].gone);
	assert_true(jobs[2].gone);
	assert_true(jobs[3].done);
	assert_true(store_has(b->store, &jobs[1].digest, NULL));
	assert_int_equal(partials(b), 0);
	for (int i = 0; i < 4; i++)
		unwant(&w[i]);
}

static void test_refused(void **state)
{
	struct bench *b = *state;
	struct want w SCOPED(unwant), nowhere SCOPED(unwant);
	struct err e;

	want(b, &w, 100, "/status/403", "/status/404");
	assert_int_equal(fetch_one(b, &w, &e), -1);
	assert_int_equal(e.kind, ERR_REMOTE);
	assert_non_null(strstr(e.msg, "403 told so"));
	assert_false(w.job.gone);
	want(b, &nowhere, 100, "", "");
	assert_int_equal(fetch_one(b, &nowhere, &e), -1);
}

static void test_file_url(void **state)
{
	struct bench *b = *state;
	struct want w SCOPED(unwant), bad SCOPED(unwant);
	char *p SCOPED(mem_freep) = content(9000);
	char *path SCOPED(mem_freep) = mem_format("%s/medium", b->dir);
	char *url SCOPED(mem_freep) = mem_format("file://%s", path);
	struct err e = ERR_INIT;

	assert_int_equal(fs_put_path(path, p, 9000, 0644, &e), 0);
	want(b, &w, 9000, url, "");
	put_partial(b, &w, p, 100);
	assert_int_equal(fetch_one(b, &w, &e), 0);
	want(b, &bad, 9001, url, "");
	assert_int_equal(fetch_one(b, &bad, &e), -1);
	assert_int_equal(e.kind, ERR_VERIFY);
}

static void test_somebody_else_is_on_it(void **state)
{
	struct bench *b = *state;
	struct want w SCOPED(unwant);
	char *p SCOPED(mem_freep) = content(3000);
	int dir SCOPED(fd_closep) = -1, lock SCOPED(fd_closep) = -1;
	struct strv scratch SCOPED(strv_release) = {0};
	struct buf theirs SCOPED(buf_release) = BUF_INIT(5000);
	char *name SCOPED(mem_freep) = NULL, *path SCOPED(mem_freep) = NULL;
	struct err e = ERR_INIT;

	want(b, &w, 3000, "/ok/3000", "");
	put_partial(b, &w, p, 1500);
	name = mem_format("%s.lock", digest_hex(&w.job.digest).s);
	path = store_partial_path(b->store, &w.job.digest);
	assert_int_equal(fs_open_dir(store_fd(b->store), "partial", &dir, &e), 0);
	assert_int_equal(lock_take(dir, name, &lock, &e), 0);
	assert_int_equal(fetch_one(b, &w, &e), 0);
	assert_int_equal(b->server.sh->count[RANGES], 0); /* a file of our own */
	assert_int_equal(fs_get(AT_FDCWD, path, &theirs, &e), 0);
	assert_int_equal(theirs.len, 1500);
	assert_int_equal(fs_list(store_fd(b->store), "tmp", &scratch, &e), 0);
	assert_int_equal(scratch.n, 0);
}

static void test_two_processes(void **state)
{
	enum { FILES = 40 };
	struct bench *b = *state;
	struct want w[FILES];
	struct fetch_job jobs[FILES];
	pid_t pids[3];
	struct err e = ERR_INIT;

	for (size_t i = 0; i < FILES; i++) {
		char *path SCOPED(mem_freep) = mem_format("/ok/%zu", 100000 + i);

		want(b, &w[i], 100000 + i, path, "");
		jobs[i] = w[i].job;
	}
	for (int k = 0; k < 3; k++) {
		pids[k] = fork();
		if (pids[k] == 0)
			_exit(fetch_all(b->store, jobs, FILES, NULL, &e) == 0 ? 0 : 1);
	}
	for (int k = 0; k < 3; k++) {
		int status = 1;

		assert_int_equal(waitpid(pids[k], &status, 0), pids[k]);
		assert_int_equal(status, 0);
	}
	for (size_t i = 0; i < FILES; i++) {
		assert_true(store_has(b->store, &jobs[i].digest, NULL));
		unwant(&w[i]);
	}
	assert_int_equal(partials(b), 0);
}

struct seen {
	uint64_t last, total;
	int calls;
	bool backwards;
};

static void on_progress(void *ctx, const char *what, uint64_t done, uint64_t total)
{
	struct seen *s = ctx;

	assert_string_equal(what, "fetch");
	s->backwards = s->backwards || done < s->last || done > total;
	s->last = done;
	s->total = total;
	s->calls++;
}

static void test_many_on_few_connections(void **state)
{
	enum { FILES = 250 };
	struct bench *b = *state;
	struct want w[FILES];
	struct fetch_job jobs[FILES];
	struct seen seen = {0};
	const struct log_sink sink = {.progress = on_progress, .ctx = &seen};
	struct err e = ERR_INIT;
	uint64_t total = 0;

	for (size_t i = 0; i < FILES; i++) {
		char *path SCOPED(mem_freep) = mem_format("/ok/%zu", 20000 + i);

		want(b, &w[i], 20000 + i, path, "");
		jobs[i] = w[i].job;
		total += jobs[i].size;
	}
	log_set_sink(&sink);
	assert_int_equal(fetch_all(b->store, jobs, FILES, NULL, &e), 0);
	log_set_sink(NULL);
	assert_in_range(b->server.sh->connections, 1, 6);
	assert_int_equal(b->server.sh->count[HITS], FILES);
	assert_int_equal(seen.last, total);
	assert_int_equal(seen.total, total);
	assert_false(seen.backwards);
	for (size_t i = 0; i < FILES; i++)
		unwant(&w[i]);
}

int main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
	    CASE(test_plain),
	    CASE(test_empty_and_unknown_size),
	    CASE(test_resume),
	    CASE(test_resume_what_is_whole),
	    cmocka_unit_test(test_resume_refused),
	    CASE(test_resume_of_rubbish),
	    CASE(test_wrong_bytes),
	    CASE(test_wrong_bytes_after_resume),
	    CASE(test_next_mirror),
	    CASE(test_redirected),
	    CASE(test_silent_mirror),
	    CASE(test_mirror_in_trouble),
	    CASE(test_breaks_off_for_ever),
	    CASE(test_gone),
	    CASE(test_refused),
	    CASE(test_file_url),
	    CASE(test_somebody_else_is_on_it),
	    CASE(test_two_processes),
	    CASE(test_many_on_few_connections),
	};

	(void)unsetenv("http_proxy");
	(void)unsetenv("all_proxy");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
