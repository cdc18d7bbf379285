/* push and pull against a registry that does what the real one cannot be made to do. */
#include "remote-fake.h"

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
	one.sh->count[EMPTY] = 1;
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

	one.sh->count[ONCE] = one.sh->count[RANGES] = one.sh->count[EMPTY] = 0;
	one.sh->count[MODE] = (int)m;
	rc = scene_pull(&scene, "demo:1.0", l, &o, ret, e);
	if (rc == 0)
		assert_int_equal(oci_layout_verify(l, NULL, NULL, NULL, e), 0);
	else /* a failure leaves no tag */
		assert_int_equal(oci_layout_find(l, "got", NULL, &d, &quiet), -1);
	return rc;
}

/* The tag, once, and nothing after it: with no signatures nobody looks for the manifest before. */
static void assert_order(void)
{
	const char *at = strstr(one.sh->text, "manifest ");

	assert_non_null(at);
	assert_string_equal(at, "manifest 1.0\n");
}

static void test_push_again(void **state)
{
	struct remote_stats st = {0};
	const struct remote_opts o = {.tries = 2};
	struct err e;

	(void)state;
	assert_int_equal(push(GOOD, &st, &e), 0);
	/* the tag stands for it: no blob is asked for and nothing is written */
	memset(&st, 0, sizeof(st));
	assert_int_equal(scene_push(&scene, "demo:1.0", &o, &st, &e), 0);
	assert_int_equal(st.blobs_skipped, 3);
	assert_int_equal(st.blobs, 0);
	assert_int_equal(one.sh->count[PUTS], 3);
	assert_order();
	/* what it says of the digest is no matter */
	one.sh->count[MODE] = MANIFEST_LIE;
	assert_int_equal(scene_push(&scene, "demo:1.0", &o, &st, &e), -1);
	assert_non_null(strstr(e.msg, "the registry calls it"));
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

static void test_upload_is_gone_on_with(void **state)
{
	static const struct {
		enum mode m;
		int puts, asked;
		uint64_t resumed;
	} v[] = {
	    {RESUMES, 4, 1, LARGE_LAYER / 2}, {RESUMES_TWICE, 5, 2, LARGE_LAYER / 4 * 3},
	    {RESUMES_LIES, 4, 1, 0}, /* sent anew */
	    {RESUMES_STUCK, 4, 1, 0},         {RESUMES_416, 5, 1, 0},
	    {RESUMES_WRONG, 5, 1, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		struct remote_stats st = {0};
		struct err e;

		one.sh->count[ASKED] = 0;
		assert_int_equal(push(v[i].m, &st, &e), 0);
		assert_int_equal(st.blobs, 3);
		assert_int_equal(one.sh->count[PUTS], v[i].puts);
		assert_int_equal(one.sh->count[ASKED], v[i].asked);
		assert_int_equal(st.resumed, v[i].resumed);
		assert_order();
	}
}

/* A run that ends with an upload under way leaves its address to the next one. */
static void test_another_run_goes_on(void **state)
{
	char *dir SCOPED(mem_freep) = mem_format("%s/uploads", scene.dir);
	struct remote_opts o = {.parallel = 1, .tries = 1, .sessions = dir};
	struct strv left SCOPED(strv_release) = {0}, none SCOPED(strv_release) = {0};
	struct remote_stats st = {0};
	struct err e;

	(void)state;
	one.sh->count[EMPTY] = 1;
	one.sh->count[MODE] = RESUMES;
	assert_int_equal(scene_push(&scene, "demo:1.0", &o, &st, &e), -1);
	assert_false(noted(one.sh, "manifest 1.0"));
	assert_int_equal(fs_list(AT_FDCWD, dir, &left, &e), 0);
	assert_int_equal(left.n, 1);
	o.tries = 2;
	assert_int_equal(scene_push(&scene, "demo:1.0", &o, &st, &e), 0);
	assert_int_equal(st.resumed, LARGE_LAYER / 2);
	assert_int_equal(one.sh->count[ASKED], 1);
	assert_int_equal(fs_list(AT_FDCWD, dir, &none, &e), 0);
	assert_int_equal(none.n, 0);
}

/* Who is asked to mount may open an upload instead. */
static void test_mount_is_an_upload(void **state)
{
	struct oci_layout *l SCOPED(oci_layout_freep) = scene_empty(&scene, "scratch");
	char *from SCOPED(mem_freep) = mem_format("docker://127.0.0.1:%d/demo:1.0", one.port);
	char *to SCOPED(mem_freep) = mem_format("docker://127.0.0.1:%d/other/demo:1.0", one.port);
	struct ref src SCOPED(ref_release) = {0}, dst SCOPED(ref_release) = {0};
	const struct remote_opts o = {.tries = 2};
	struct remote_pulled got = {0};
	struct err e = ERR_INIT;

	(void)state;
	one.sh->count[MODE] = GOOD;
	assert_int_equal(ref_parse(from, &src, &e), 0);
	assert_int_equal(ref_parse(to, &dst, &e), 0);
	assert_int_equal(remote_copy(&src, &dst, l, &o, &got, &e), 0);
	assert_int_equal(got.stats.mounted, 0);
	assert_int_equal(got.stats.blobs, 3);
	assert_int_equal(one.sh->count[PUTS], 3);
	assert_order();
	oci_desc_release(&got.manifest);
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
		/* no tag, but where the registry lies about it */
		assert_int_equal(noted(one.sh, "manifest 1.0"), v[i].m == MANIFEST_LIE);
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
	    CASE(test_push_again),
	    CASE(test_authorization_stays_at_home),
	    CASE(test_doubtful_puts),
	    CASE(test_upload_is_gone_on_with),
	    CASE(test_another_run_goes_on),
	    CASE(test_mount_is_an_upload),
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
