/* push and pull against a registry that does what the real one cannot be made to do. */
#include "http-server.h"
#include "remote-lib.h"

enum mode {
	GOOD,
	LOCATION_ABSOLUTE,
	LOCATION_ELSEWHERE, /* another port: another host for all that matters */
	LOCATION_NONE,
	LOCATION_FILE,
	PUT_LOST_AFTER,  /* stored, but the answer never comes */
	PUT_LOST_BEFORE, /* the connection breaks, nothing is stored; once */
	PUT_LOST_ALWAYS,
	PUT_500_ONCE,
	PUT_404_ONCE,
	PUT_403,
	PUT_ACCEPTED, /* 202, and the blob is not there */
	PUT_401_ONCE, /* the token has run out */
	POST_503_ONCE,
	HEAD_SIZE,    /* another size than ours */
	MANIFEST_LIE, /* Docker-Content-Digest of something else */
	GET_CUT_ONCE,
	GET_CUT_NO_RANGE,
	GET_CUT_EVIL, /* what comes before the break is wrong */
	GET_WRONG,
	GET_LONG,
	GET_ELSEWHERE,
	GET_401_ONCE,
	MANIFEST_WRONG,
	MANIFEST_HTML,
	MANIFEST_DOCKER,
	WITH_TOKEN,
	WITH_TOKEN_REFUSED,
	WITH_TOKEN_EMPTY,
	WITH_REALM_FILE,
	WITH_DIGEST_AUTH,
};

enum { MODE, ONCE, TOKENS, AUTH_SEEN, PUTS, OTHER, RANGES, LOCKED };

static struct server one, two;
static struct scene scene; /* as it was when the servers were forked */

static bool once(struct server_req *r)
{
	return atomic_fetch_add(&r->sh->count[ONCE], 1) == 0;
}

static bool mode(const struct server_req *r, enum mode m)
{
	return (enum mode)r->sh->count[MODE] == m;
}

/* What was stored or done, one word a line. */
static void note(struct server_req *r, const char *what)
{
	size_t n = strlen(r->sh->text);

	(void)snprintf(r->sh->text + n, sizeof(r->sh->text) - n, "%s\n", what);
}

static bool noted(const struct server_shared *sh, const char *what)
{
	return strstr(sh->text, what) != NULL;
}

static const char *token(const struct server_req *r)
{
	static char text[32];

	(void)snprintf(text, sizeof(text), "Bearer t%d", r->sh->count[TOKENS]);
	return text;
}

static void challenge(struct server_req *r)
{
	char head[256];
	const char *realm = mode(r, WITH_REALM_FILE) ? "file:///etc/passwd" : NULL;

	if (mode(r, WITH_DIGEST_AUTH))
		(void)snprintf(head, sizeof(head), "WWW-Authenticate: Digest realm=\"x\"\r\n");
	else if (realm != NULL)
		(void)snprintf(head, sizeof(head), "WWW-Authenticate: Bearer realm=\"%s\"\r\n",
			       realm);
	else
		(void)snprintf(head, sizeof(head),
			       "WWW-Authenticate: Bearer realm=\"http://127.0.0.1:%d/token?a=b\", "
			       "service=\"the \\\"reg\\\"\",scope=\"x\"\r\n",
			       r->sh->count[OTHER]);
	server_answer(r, 401, head, "{\"errors\":[{\"code\":\"UNAUTHORIZED\"}]}");
}

static void serve_token(struct server_req *r)
{
	const char *auth = server_header(r, "authorization");
	char *text SCOPED(mem_freep) = NULL;

	note(r, r->path);
	if (auth != NULL)
		note(r, auth);
	if (r->body_n > 0)
		note(r, r->body);
	if (mode(r, WITH_TOKEN_REFUSED)) {
		server_answer(r, 401, "", "");
		return;
	}
	text = mode(r, WITH_TOKEN_EMPTY)
		   ? mem_strdup("{\"token\":\"\"}")
		   : mem_format("{\"access_token\":\"t%d\"}",
				atomic_fetch_add(&one.sh->count[TOKENS], 1) + 1);
	server_answer(r, 200, "", text);
}

static bool let_in(struct server_req *r)
{
	const char *auth = server_header(r, "authorization");

	if (auth != NULL)
		atomic_fetch_add(&r->sh->count[AUTH_SEEN], 1);
	if (r->sh->count[LOCKED] == 0 && r->sh->count[MODE] < WITH_TOKEN)
		return true;
	if (auth != NULL && strcmp(auth, token(r)) == 0)
		return true;
	challenge(r);
	return false;
}

static void serve_post(struct server_req *r)
{
	int other = r->sh->count[OTHER];
	char head[256] = "";

	if (mode(r, POST_503_ONCE) && once(r)) {
		server_answer(r, 503, "", "");
		return;
	}
	if (mode(r, LOCATION_ELSEWHERE))
		(void)snprintf(head, sizeof(head), "Location: http://127.0.0.1:%d/up/1\r\n", other);
	else if (mode(r, LOCATION_ABSOLUTE))
		(void)snprintf(head, sizeof(head), "Location: http://127.0.0.1:%d/up/1?s=1\r\n",
			       one.port);
	else if (mode(r, LOCATION_FILE))
		(void)snprintf(head, sizeof(head), "Location: file:///tmp/x\r\n");
	else if (!mode(r, LOCATION_NONE))
		(void)snprintf(head, sizeof(head), "Location: /up/1?_state=a%%3D\r\n");
	server_answer(r, 202, head, "");
}

static bool put_fails(struct server_req *r)
{
	if (mode(r, PUT_LOST_ALWAYS) || (mode(r, PUT_LOST_BEFORE) && once(r)))
		r->hang_up = true;
	else if (mode(r, PUT_500_ONCE) && once(r))
		server_answer(r, 500, "", "");
	else if (mode(r, PUT_404_ONCE) && once(r))
		server_answer(r, 404, "", "{\"errors\":[{\"code\":\"BLOB_UPLOAD_UNKNOWN\"}]}");
	else if (mode(r, PUT_403))
		server_answer(r, 403, "",
			      "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"no\"}]}");
	else if (mode(r, PUT_ACCEPTED))
		server_answer(r, 202, "", "");
	else if (mode(r, PUT_401_ONCE) && once(r)) {
		atomic_fetch_add(&r->sh->count[TOKENS], 1); /* what it has is worth nothing now */
		challenge(r);
	} else
		return false;
	return true;
}

static void serve_put(struct server_req *r)
{
	const char *digest = strstr(r->path, "digest=sha256%3A");
	struct digest d = digest_of(r->body, r->body_n);

	atomic_fetch_add(&one.sh->count[PUTS], 1);
	if (put_fails(r))
		return;
	if (digest == NULL || strcmp(digest + 16, digest_hex(&d).s) != 0) {
		server_answer(r, 400, "", "wrong digest");
		return;
	}
	note(r, digest + 16);
	if (mode(r, PUT_LOST_AFTER))
		r->hang_up = true;
	else
		server_answer(r, 201, "", "");
}

static void serve_manifest_put(struct server_req *r)
{
	char *name SCOPED(mem_freep) = mem_format("manifest %s", strrchr(r->path, '/') + 1);

	note(r, name);
	server_answer(r, 201,
		      mode(r, MANIFEST_LIE)
			  ? "Docker-Content-Digest: sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc"
			    "21fe77e8310c060f61caaff8a\r\n"
			  : "",
		      "");
}

static void serve_head(struct server_req *r)
{
	const char *hex = strstr(r->path, "sha256:");

	if (mode(r, HEAD_SIZE))
		server_say(r, "HTTP/1.1 200 X\r\nContent-Length: 7\r\n\r\n");
	else if (hex != NULL && noted(r->sh, hex + 7))
		server_say(r, "HTTP/1.1 200 X\r\n\r\n");
	else
		server_answer(r, 404, "", "");
}

static void blob(const char *hex, struct buf *ret)
{
	char *path SCOPED(mem_freep) = mem_format("blobs/sha256/%s", hex);
	struct err e = ERR_INIT;

	if (fs_get(oci_layout_fd(scene.layout), path, ret, &e) != 0)
		abort();
}

static void send_whole(struct server_req *r, const struct buf *b, size_t cut)
{
	server_say(r, "HTTP/1.1 200 X\r\nContent-Length: %zu\r\n\r\n", b->len);
	server_write(r, b->data, cut);
	r->hang_up = cut < b->len;
}

static void send_rest(struct server_req *r, const struct buf *b, size_t from)
{
	atomic_fetch_add(&r->sh->count[RANGES], 1);
	server_say(r,
		   "HTTP/1.1 206 X\r\nContent-Range: bytes %zu-%zu/%zu\r\nContent-Length: %zu"
		   "\r\n\r\n",
		   from, b->len - 1, b->len, b->len - from);
	server_write(r, b->data + from, b->len - from);
}

static bool cuts(const struct server_req *r)
{
	return mode(r, GET_CUT_ONCE) || mode(r, GET_CUT_NO_RANGE) || mode(r, GET_CUT_EVIL);
}

static void serve_blob(struct server_req *r)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(8 << 20);
	const char *range = server_header(r, "range");
	char *head SCOPED(mem_freep) = NULL;

	blob(strstr(r->path, "sha256:") + 7, &b);
	if (mode(r, GET_ELSEWHERE)) {
		head =
		    mem_format("Location: http://127.0.0.1:%d%s\r\n", r->sh->count[OTHER], r->path);
		server_answer(r, 307, head, "");
	} else if (mode(r, GET_401_ONCE) && once(r)) {
		atomic_fetch_add(&r->sh->count[TOKENS], 1);
		challenge(r);
	} else if (cuts(r) && b.len > 1000000 && once(r)) {
		b.data[5] ^= mode(r, GET_CUT_EVIL) ? 1 : 0;
		send_whole(r, &b, b.len / 2);
	} else if (mode(r, GET_WRONG)) {
		b.data[5] ^= 1;
		send_whole(r, &b, b.len);
	} else if (mode(r, GET_LONG)) {
		buf_add(&b, "x", 1);
		send_whole(r, &b, b.len);
	} else if (range != NULL && !mode(r, GET_CUT_NO_RANGE)) {
		send_rest(r, &b, strtoul(range + strlen("bytes="), NULL, 10));
	} else {
		send_whole(r, &b, b.len);
	}
}

static void serve_manifest(struct server_req *r)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(8 << 20);
	const char *name = strrchr(r->path, '/') + 1;

	if (strcmp(name, "1.0") != 0 && strncmp(name, "sha256:", 7) != 0) {
		server_answer(r, 404, "", "");
		return;
	}
	blob(digest_hex(&scene.image.digest).s, &b);
	if (mode(r, MANIFEST_WRONG))
		buf_add(&b, " ", 1);
	if (mode(r, MANIFEST_HTML))
		server_answer(r, 200, "Content-Type: text/html\r\n", "<html>log in here</html>");
	else if (mode(r, MANIFEST_DOCKER))
		server_answer(r, 200,
			      "Content-Type: application/vnd.docker.distribution.manifest.v2+json; "
			      "charset=utf-8\r\n",
			      "{\"schemaVersion\":2}");
	else if (mode(r, MANIFEST_LIE))
		server_answer(
		    r, 200,
		    "Docker-Content-Digest: sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc"
		    "21fe77e8310c060f61caaff8a\r\n",
		    b.data);
	else
		server_answer(r, 200, "", b.data);
}

static void serve(struct server_req *r)
{
	if (strncmp(r->path, "/token", 6) == 0)
		serve_token(r);
	else if (!let_in(r))
		return;
	else if (strcmp(r->path, "/v2/") == 0)
		server_answer(r, 200, "", "{}");
	else if (strcmp(r->method, "POST") == 0)
		serve_post(r);
	else if (strcmp(r->method, "HEAD") == 0)
		serve_head(r);
	else if (strcmp(r->method, "PUT") == 0 && strstr(r->path, "/manifests/") != NULL)
		serve_manifest_put(r);
	else if (strcmp(r->method, "PUT") == 0)
		serve_put(r);
	else if (strstr(r->path, "/manifests/") != NULL)
		serve_manifest(r);
	else
		serve_blob(r);
}

/* The other server: takes uploads for the first and gives blobs; a token's realm as well. */
static void serve_other(struct server_req *r)
{
	if (strncmp(r->path, "/token", 6) == 0) {
		r->sh->count[MODE] = one.sh->count[MODE];
		serve_token(r);
		r->sh->count[MODE] = GOOD;
		return;
	}
	if (server_header(r, "authorization") != NULL)
		atomic_fetch_add(&r->sh->count[AUTH_SEEN], 1);
	if (strcmp(r->method, "PUT") == 0) {
		note(r, "upload");
		r->sh = one.sh;
		serve_put(r);
	} else {
		serve_blob(r);
	}
}

static int setup(void **state)
{
	(void)state;
	scene_open(&scene);
	server_start(&one, serve);
	server_start(&two, serve_other);
	one.sh->count[OTHER] = two.port;
	scene.port = one.port;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	server_stop(&one);
	server_stop(&two);
	(void)unsetenv("REGISTRY_AUTH_FILE");
	scene_close(&scene);
	return 0;
}

static void put_login(const char *entry)
{
	char *path SCOPED(mem_freep) = mem_format("%s/auth.json", scene.dir);
	char *text SCOPED(mem_freep) =
	    mem_format("{\"auths\":{\"127.0.0.1:%d\":%s}}", one.port, entry);
	struct err e = ERR_INIT;

	assert_int_equal(fs_put_path(path, text, strlen(text), 0600, &e), 0);
	assert_int_equal(setenv("REGISTRY_AUTH_FILE", path, 1), 0);
}

static int push(enum mode m, struct remote_stats *ret, struct err *e)
{
	const struct remote_opts o = {.parallel = 1, .tries = 2};

	memset(one.sh->text, 0, sizeof(one.sh->text));
	one.sh->count[ONCE] = one.sh->count[PUTS] = one.sh->count[AUTH_SEEN] = 0;
	one.sh->count[MODE] = (int)m;
	return scene_push(&scene, "demo:1.0", &o, ret, e);
}

static int pull(enum mode m, struct remote_stats *ret, struct err *e)
{
	const struct remote_opts o = {.parallel = 2, .tries = 2};
	char *name SCOPED(mem_freep) = mem_format("back%d", (int)m);
	struct oci_layout *l SCOPED(oci_layout_freep) = scene_empty(&scene, name);
	struct oci_desc d SCOPED(oci_desc_release) = {0};
	struct err quiet = ERR_INIT;
	int rc;

	one.sh->count[ONCE] = one.sh->count[RANGES] = 0;
	one.sh->count[MODE] = (int)m;
	rc = scene_pull(&scene, "demo:1.0", l, &o, ret, e);
	if (rc == 0)
		assert_int_equal(oci_layout_verify(l, NULL, NULL, NULL, e), 0);
	else /* a failure leaves no tag */
		assert_int_equal(oci_layout_find(l, "got", NULL, &d, &quiet), -1);
	return rc;
}

/* The manifest by digest, then the tag, and nothing after it. */
static void assert_order(void)
{
	char *by_digest SCOPED(mem_freep) =
	    mem_format("manifest %s\nmanifest 1.0\n", digest_text(&scene.image.digest).s);
	const char *at = strstr(one.sh->text, by_digest);

	assert_non_null(at);
	assert_string_equal(at, by_digest);
}

static void test_push_order_and_locations(void **state)
{
	static const enum mode modes[] = {GOOD, LOCATION_ABSOLUTE, LOCATION_ELSEWHERE};
	struct remote_stats st = {0};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		assert_int_equal(push(modes[i], &st, &e), 0);
		assert_int_equal(st.blobs, 3);
		assert_int_equal(one.sh->count[PUTS], 3);
		assert_order();
	}
	assert_int_equal(strncmp(two.sh->text, "upload\nupload\nupload\n", 21), 0);
}

static void test_authorization_stays_at_home(void **state)
{
	struct remote_stats st = {0};
	struct err e;

	(void)state;
	/* logged in by a token first, then the upload goes to another host */
	put_login("{\"auth\":\"cG9zOnNlc2FtZQ==\"}");
	one.sh->count[LOCKED] = 1;
	assert_int_equal(push(LOCATION_ELSEWHERE, &st, &e), 0);
	assert_non_null(strstr(two.sh->text, "upload"));
	assert_true(one.sh->count[AUTH_SEEN] > 0);
	assert_int_equal(pull(GET_ELSEWHERE, &st, &e), 0);
	assert_int_equal(two.sh->count[AUTH_SEEN], 0);
}

static void test_doubtful_puts(void **state)
{
	static const enum mode modes[] = {PUT_LOST_AFTER, PUT_LOST_BEFORE, PUT_500_ONCE,
					  PUT_404_ONCE, POST_503_ONCE};
	static const int puts[] = {3, 4, 4, 4, 3}; /* a lost reply is not sent again */
	struct remote_stats st = {0};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		assert_int_equal(push(modes[i], &st, &e), 0);
		assert_int_equal(st.blobs, 3);
		assert_int_equal(one.sh->count[PUTS], puts[i]);
		assert_order();
	}
}

static void test_hopeless_puts(void **state)
{
	static const struct {
		enum mode m;
		int puts;
		enum err_kind kind;
		const char *says;
	} v[] = {
	    {PUT_LOST_ALWAYS, 2, ERR_REMOTE, "PUT"},
	    {PUT_403, 1, ERR_REMOTE, "403 DENIED: no"},
	    {PUT_ACCEPTED, 2, ERR_REMOTE, "not there"},
	    {LOCATION_NONE, 0, ERR_REMOTE, "no Location"},
	    {LOCATION_FILE, 0, ERR_REMOTE, "file: address"},
	    {HEAD_SIZE, 0, ERR_VERIFY, "bytes here and 7 there"},
	    {MANIFEST_LIE, 3, ERR_VERIFY, "the registry calls it"},
	};
	struct remote_stats st = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		struct err e;

		assert_int_equal(push(v[i].m, &st, &e), -1);
		assert_int_equal(e.kind, v[i].kind);
		assert_non_null(strstr(e.msg, v[i].says));
		assert_int_equal(one.sh->count[PUTS], v[i].puts);
		assert_false(noted(one.sh, "manifest 1.0")); /* no tag */
	}
}

static void test_token_runs_out(void **state)
{
	struct remote_stats st = {0};
	struct err e;

	(void)state;
	one.sh->count[LOCKED] = 1;
	assert_int_equal(push(PUT_401_ONCE, &st, &e), 0);
	assert_int_equal(st.blobs, 3);
	assert_int_equal(one.sh->count[PUTS], 4);
	assert_int_equal(pull(GET_401_ONCE, &st, &e), 0);
}

static void test_tokens(void **state)
{
	struct remote_stats st = {0};
	struct err e;

	(void)state;
	assert_int_equal(push(WITH_TOKEN, &st, &e), 0); /* nobody in particular */
	assert_non_null(strstr(two.sh->text, "/token?a=b&service=the%20%22reg%22&scope="
					     "repository%3Ademo%3Apull%2Cpush\n"));
	assert_null(strstr(two.sh->text, "Basic"));
	put_login("{\"auth\":\"cG9zOnNlc2FtZQ==\"}");
	assert_int_equal(push(WITH_TOKEN, &st, &e), 0);
	assert_non_null(strstr(two.sh->text, "\nBasic cG9zOnNlc2FtZQ==\n"));
	put_login("{\"identitytoken\":\"id&1\"}");
	assert_int_equal(push(WITH_TOKEN, &st, &e), 0);
	assert_non_null(strstr(two.sh->text, "\n/token?a=b\ngrant_type=refresh_token&"));
	assert_non_null(strstr(two.sh->text, "refresh_token=id%261\n"));
}

static void test_no_way_in(void **state)
{
	static const struct {
		enum mode m;
		const char *says;
	} v[] = {
	    {WITH_TOKEN_REFUSED, "login is refused"},
	    {WITH_TOKEN_EMPTY, "without a token"},
	    {WITH_REALM_FILE, "file: address"},
	    {WITH_DIGEST_AUTH, "not known here"},
	};
	struct remote_stats st = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		struct err e;

		assert_int_equal(push(v[i].m, &st, &e), -1);
		assert_int_equal(e.kind, ERR_REMOTE);
		assert_non_null(strstr(e.msg, v[i].says));
	}
}

static void test_broken_downloads(void **state)
{
	struct remote_stats st = {0};
	struct err e;

	(void)state;
	assert_int_equal(pull(GOOD, &st, &e), 0);
	assert_int_equal(st.blobs, 3);
	assert_int_equal(pull(GET_CUT_ONCE, &st, &e), 0);
	assert_int_equal(one.sh->count[RANGES], 1);
	assert_int_equal(pull(GET_CUT_NO_RANGE, &st, &e), 0);
	assert_int_equal(pull(GET_CUT_EVIL, &st, &e), 0); /* wrong when resumed: all again */
	assert_int_equal(one.sh->count[RANGES], 1);
	assert_int_equal(pull(GET_ELSEWHERE, &st, &e), 0);
}

static void test_wrong_downloads(void **state)
{
	static const struct {
		enum mode m;
		enum err_kind kind;
		const char *says;
	} v[] = {
	    {GET_WRONG, ERR_VERIFY, "blob sha256:"},
	    {GET_LONG, ERR_VERIFY, "has more than"},
	    {MANIFEST_LIE, ERR_VERIFY, "the registry calls it"},
	    {MANIFEST_HTML, ERR_REMOTE, "manifest"},
	    {MANIFEST_DOCKER, ERR_FAIL, "docker's own format"},
	};
	struct remote_stats st = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		struct err e;

		assert_int_equal(pull(v[i].m, &st, &e), -1);
		assert_int_equal(e.kind, v[i].kind);
		assert_non_null(strstr(e.msg, v[i].says));
	}
}

static void test_digest_rules(void **state)
{
	struct oci_layout *l SCOPED(oci_layout_freep) = scene_empty(&scene, "back");
	char *at SCOPED(mem_freep) = mem_format("demo@%s", digest_text(&scene.image.digest).s);
	struct remote_opts o = {0};
	struct remote_stats st = {0};
	struct err e;

	(void)state;
	one.sh->count[MODE] = MANIFEST_WRONG;
	assert_int_equal(scene_pull(&scene, at, l, &o, &st, &e), -1);
	assert_int_equal(e.kind, ERR_VERIFY);
	assert_non_null(strstr(e.msg, "its digest is"));
}

int main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
	    CASE(test_push_order_and_locations),
	    CASE(test_authorization_stays_at_home),
	    CASE(test_doubtful_puts),
	    CASE(test_hopeless_puts),
	    CASE(test_token_runs_out),
	    CASE(test_tokens),
	    CASE(test_no_way_in),
	    CASE(test_broken_downloads),
	    CASE(test_wrong_downloads),
	    CASE(test_digest_rules),
	};

	scene_environment();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
