/* A bucket whose server does what a real one cannot be made to do; what a real one does is in
 * tests/interop. Objects are files in the scene's directory, named by the digest of their path. */
#include "http-server.h"
#include "remote-lib.h"
#include <time.h>

enum mode {
	GOOD,
	IGNORES,        /* conditions */
	REFUSES,        /* conditions, by 501 */
	BARE,           /* If-Match wants the ETag without quotes */
	AHEAD,          /* a clock an hour ahead of ours */
	EXPIRED,        /* the first token */
	PUT_500_ONCE,   /* a blob */
	PUT_404,        /* every blob or part of one */
	COMPLETE_ERROR, /* 200 with an error in it, and it is there all the same */
	COMPLETE_LOST,  /* no answer, and it is there */
	COMPLETE_NEVER, /* 200 with an error in it, and it is not there */
	GOVERNANCE,     /* what is there is locked for long, in that mode, */
	COMPLIANCE,     /* in that one, */
	NO_MODE,        /* or in one that is not told */
};

enum { MODE, ONCE, SIGNED, CONDITIONS, PARTS, LOCKS };

static struct server one;
static struct scene scene;

static bool mode(const struct server_req *r, enum mode m)
{
	return (enum mode)r->sh->count[MODE] == m;
}

static bool once(struct server_req *r)
{
	return atomic_fetch_add(&r->sh->count[ONCE], 1) == 0;
}

static char *file_of(const char *path)
{
	struct digest d = digest_of(path, strcspn(path, "?"));

	return mem_format("%s/objects/%s", scene.dir, digest_hex(&d).s);
}

static bool get(const char *path, struct buf *b)
{
	char *file SCOPED(mem_freep) = file_of(path);
	struct err e = ERR_INIT;

	return access(file, F_OK) == 0 && fs_get(AT_FDCWD, file, b, &e) == 0;
}

static void put(const char *path, const void *p, size_t n)
{
	char *file SCOPED(mem_freep) = file_of(path);
	struct err e = ERR_INIT;

	if (fs_put_path(file, p, n, 0600, &e) != 0)
		abort();
}

static void say_error(struct server_req *r, int status, const char *code)
{
	char *body SCOPED(mem_freep) = mem_format("<Error><Code>%s</Code></Error>", code);

	server_answer(r, status, "", body);
}

static void etag_of(const struct buf *b, char ret[68])
{
	struct digest d = digest_of(b->data, b->len);

	(void)snprintf(ret, 68, "\"%s\"", digest_hex(&d).s);
}

/* Whether the request may write under its conditions; says why not. */
static bool may_write(struct server_req *r)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(8 << 20);
	bool there = get(r->path, &b), bare = mode(r, BARE);
	char etag[68] = "";
	const char *match;

	if (mode(r, IGNORES))
		return true;
	if (server_header(r, "if-none-match") != NULL) {
		atomic_fetch_add(&r->sh->count[CONDITIONS], 1);
		if (mode(r, REFUSES))
			say_error(r, 501, "NotImplemented");
		else if (there)
			say_error(r, 412, "PreconditionFailed");
		return !there && !mode(r, REFUSES);
	}
	match = server_header(r, "if-match");
	if (match == NULL)
		return true;
	atomic_fetch_add(&r->sh->count[CONDITIONS], 1);
	etag_of(&b, etag);
	if (bare ? strncmp(match, etag + 1, 64) == 0 && match[64] == '\0'
		 : strcmp(match, etag) == 0)
		return true;
	say_error(r, 412, "PreconditionFailed");
	return false;
}

static void serve_put(struct server_req *r)
{
	const char *said = server_header(r, "x-amz-content-sha256");
	struct digest d = digest_of(r->body, r->body_n);
	struct buf b SCOPED(buf_release) = BUF_INIT(8 << 20);
	char head[100], etag[68];

	if (said == NULL || strcmp(said, digest_hex(&d).s) != 0) {
		say_error(r, 400, "XAmzContentSHA256Mismatch");
		return;
	}
	if (strstr(r->path, "?retention") != NULL) {
		if (strstr(r->body, "<Mode>COMPLIANCE</Mode>") != NULL)
			atomic_fetch_add(&r->sh->count[LOCKS], 1);
		server_answer(r, 200, "", "");
		return;
	}
	if (mode(r, PUT_500_ONCE) && strstr(r->path, "/blobs/") != NULL && once(r)) {
		say_error(r, 500, "InternalError");
		return;
	}
	if (mode(r, PUT_404) && strstr(r->path, "/blobs/") != NULL) {
		say_error(r, 404, "NoSuchBucket");
		return;
	}
	if (!may_write(r))
		return;
	if (strstr(r->path, "partNumber=") != NULL) {
		char *name SCOPED(mem_freep) =
		    mem_format("part%d", atoi(strstr(r->path, "partNumber=") + 11));

		atomic_fetch_add(&r->sh->count[PARTS], 1);
		put(name, r->body, r->body_n);
	} else {
		put(r->path, r->body, r->body_n);
	}
	buf_add(&b, r->body, r->body_n);
	etag_of(&b, etag);
	(void)snprintf(head, sizeof(head), "ETag: %s\r\n", etag);
	server_answer(r, 200, head, "");
}

static void join_parts(struct server_req *r)
{
	struct buf whole SCOPED(buf_release) = BUF_INIT(32 << 20);

	for (int i = 1; i < 100; i++) {
		char *name SCOPED(mem_freep) = mem_format("part%d", i);
		struct buf b SCOPED(buf_release) = BUF_INIT(8 << 20);

		if (!get(name, &b))
			break;
		buf_add(&whole, b.data, b.len);
	}
	put(r->path, whole.data, whole.len);
}

static void serve_post(struct server_req *r)
{
	if (strstr(r->path, "?uploads") != NULL) {
		server_answer(r, 200, "",
			      "<InitiateMultipartUploadResult><UploadId>u~1</UploadId>"
			      "</InitiateMultipartUploadResult>");
		return;
	}
	if (!mode(r, COMPLETE_NEVER))
		join_parts(r);
	if (mode(r, COMPLETE_LOST))
		r->hang_up = true;
	else if (mode(r, COMPLETE_ERROR) || mode(r, COMPLETE_NEVER))
		say_error(r, 200, "InternalError");
	else
		server_answer(r, 200, "", "<CompleteMultipartUploadResult/>");
}

static void say_lock(struct server_req *r)
{
	char *body SCOPED(mem_freep) = mem_format(
	    "<Retention>%s<RetainUntilDate>2100-01-01T00:00:00Z</RetainUntilDate></Retention>",
	    mode(r, GOVERNANCE)   ? "<Mode>GOVERNANCE</Mode>"
	    : mode(r, COMPLIANCE) ? "<Mode>COMPLIANCE</Mode>"
				  : "");

	server_answer(r, 200, "", body);
}

static void serve_get(struct server_req *r)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(32 << 20);
	char etag[68];

	if (strstr(r->path, "?retention") != NULL) {
		say_lock(r);
		return;
	}

	if (strncmp(r->path, "/images/?", 9) == 0) {
		server_answer(r, 200, "", "<ListBucketResult></ListBucketResult>");
		return;
	}
	if (!get(r->path, &b)) {
		say_error(r, 404, "NoSuchKey");
		return;
	}
	etag_of(&b, etag);
	server_say(r, "HTTP/1.1 200 X\r\nETag: %s\r\nContent-Length: %zu\r\n\r\n", etag, b.len);
	if (strcmp(r->method, "GET") == 0)
		server_write(r, b.data, b.len);
}

/* "20261126T010203Z" of an hour ahead is what is wanted. */
static bool let_in(struct server_req *r)
{
	const char *date = server_header(r, "x-amz-date");
	time_t ahead = time(NULL) + 3600;
	char now[32], head[64];
	struct tm tm;

	(void)gmtime_r(&ahead, &tm);
	(void)strftime(now, sizeof(now), "%Y%m%dT%H", &tm);
	if (mode(r, AHEAD) && (date == NULL || strncmp(date, now, 11) != 0)) {
		(void)strftime(head, sizeof(head), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &tm);
		server_answer(r, 403, head, "<Error><Code>RequestTimeTooSkewed</Code></Error>");
		return false;
	}
	if (mode(r, EXPIRED) && once(r)) {
		say_error(r, 400, "ExpiredToken");
		return false;
	}
	if (server_header(r, "authorization") != NULL)
		atomic_fetch_add(&r->sh->count[SIGNED], 1);
	return true;
}

static void serve(struct server_req *r)
{
	if (!let_in(r))
		return;
	if (strcmp(r->method, "PUT") == 0)
		serve_put(r);
	else if (strcmp(r->method, "POST") == 0)
		serve_post(r);
	else
		serve_get(r);
}

static int setup(void **state)
{
	char *objects SCOPED(mem_freep) = NULL, *url SCOPED(mem_freep) = NULL;

	(void)state;
	scene_environment();
	scene_open(&scene);
	objects = mem_format("%s/objects", scene.dir);
	assert_int_equal(mkdir(objects, 0700), 0);
	server_start(&one, serve);
	url = mem_format("http://127.0.0.1:%d", one.port);
	(void)setenv("AWS_ENDPOINT_URL", url, 1);
	(void)setenv("AWS_ACCESS_KEY_ID", "a", 1);
	(void)setenv("AWS_SECRET_ACCESS_KEY", "b", 1);
	(void)setenv("AWS_SESSION_TOKEN", "c", 1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	server_stop(&one);
	scene_close(&scene);
	return 0;
}

static int push(enum mode m, const char *to, struct err *e)
{
	const struct remote_opts o = {
	    .tries = 2, .part_size = 5 << 20, .lock_s = m >= GOVERNANCE ? 3600 : 0};
	struct ref r SCOPED(ref_release) = {0};
	struct remote_stats st = {0};

	*e = (struct err)ERR_INIT;
	one.sh->count[MODE] = (int)m;
	one.sh->count[ONCE] = 0;
	assert_int_equal(ref_parse(to, &r, e), 0);
	return remote_push(scene.layout, &scene.image, &r, &o, &st, e);
}

/* What is there is whole, with all signatures of the scene. */
static void comes_back(const char *from, const char *name)
{
	struct oci_layout *l SCOPED(oci_layout_freep) = scene_empty(&scene, name);
	struct ref r SCOPED(ref_release) = {0};
	struct remote_pulled got = {0};
	const struct remote_opts o = {.tries = 2};
	struct err e = ERR_INIT;

	one.sh->count[MODE] = GOOD;
	assert_int_equal(ref_parse(from, &r, &e), 0);
	if (remote_pull(&r, l, "got", &o, &got, &e) != 0)
		fail_msg("%s", e.msg);
	assert_true(digest_equal(&got.manifest.digest, &scene.image.digest));
	assert_int_equal(oci_layout_verify(l, NULL, NULL, NULL, &e), 0);
	oci_desc_release(&got.manifest);
}

static void test_modes(void **state)
{
	static const enum mode modes[] = {GOOD,  IGNORES, REFUSES,     BARE,
					  AHEAD, EXPIRED, PUT_500_ONCE};

	(void)state;
	scene_sign(scene.layout, &scene.image);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		char *at SCOPED(mem_freep) = mem_format("s3://images/demo%zu:1.0", i);
		char *name SCOPED(mem_freep) = mem_format("back%zu", i);
		struct err e;

		one.sh->count[SIGNED] = one.sh->count[CONDITIONS] = 0;
		if (push(modes[i], at, &e) != 0)
			fail_msg("mode %d: %s", (int)modes[i], e.msg);
		assert_true(one.sh->count[SIGNED] > 5);
		assert_int_equal(one.sh->count[CONDITIONS] > 3,
				 modes[i] != IGNORES && modes[i] != REFUSES);
		comes_back(at, name);
		if (push(modes[i], at, &e) != 0) /* over what is there */
			fail_msg("mode %d again: %s", (int)modes[i], e.msg);
	}
}

static void add_large_layer(void)
{
	struct oci_manifest m = {.layers = mem_zalloc(sizeof(*m.layers)), .layers_n = 1};

	oci_desc_release(&scene.image);
	scene_text(scene.layout, &m.config, OCI_CONFIG,
		   "{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"a\"]}}");
	scene_layer(scene.layout, &m.layers[0], OCI_LAYER_TAR, 7 << 20);
	scene_manifest(scene.layout, &m, "1.0", &scene.image);
}

static void test_parts(void **state)
{
	static const enum mode modes[] = {GOOD, COMPLETE_ERROR, COMPLETE_LOST};
	struct err e;

	(void)state;
	add_large_layer();
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		char *at SCOPED(mem_freep) = mem_format("s3://images/demo%zu:1.0", i);
		char *name SCOPED(mem_freep) = mem_format("back%zu", i);

		one.sh->count[PARTS] = 0;
		if (push(modes[i], at, &e) != 0)
			fail_msg("mode %d: %s", (int)modes[i], e.msg);
		assert_int_equal(one.sh->count[PARTS], 2);
		comes_back(at, name);
	}
	assert_int_equal(push(COMPLETE_NEVER, "s3://images/never:1.0", &e), -1);
	assert_int_equal(e.kind, ERR_REMOTE);
	assert_non_null(strstr(e.msg, "InternalError"));
}

/* That it is not there is an answer to a question, not to an upload. */
static void test_nowhere_to_put(void **state)
{
	struct err e;

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(push(PUT_404, "s3://images/demo:1.0", &e), -1);
		assert_int_equal(e.kind, ERR_REMOTE);
		assert_non_null(strstr(e.msg, "404"));
		assert_non_null(strstr(e.msg, "NoSuchBucket"));
		add_large_layer();
	}
}

/* Whoever has the right to can undo a lock of the mode GOVERNANCE: that is none. */
static void test_locks(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(push(GOOD, "s3://images/demo:1.0", &e), 0);
	for (enum mode m = GOVERNANCE; m <= NO_MODE; m++) {
		one.sh->count[LOCKS] = 0;
		if (push(m, "s3://images/demo:1.0", &e) != 0)
			fail_msg("mode %d: %s", (int)m, e.msg);
		assert_int_equal(one.sh->count[LOCKS] > 0, m != COMPLIANCE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_modes, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_parts, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_nowhere_to_put, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_locks, setup, teardown),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
