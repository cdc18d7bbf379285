/* push and pull against the distribution's own docker-registry. */
#include "http/http.h"
#include "remote-lib.h"

static const char htpasswd[] = "auth: {htpasswd: {realm: test, path: %s/htpasswd}}\n";
/* user "pos", password "sesame" */
static const char users[] = "pos:$2y$05$abcdefghijklmnopqrstuuKcS.CYWVYVaLiiCKrrc0A5s3mGesJ9O\n";

static int setup(void **state)
{
	struct scene *s = mem_zalloc(sizeof(*s));

	scene_open(s);
	scene_registry(s, "");
	*state = s;
	return 0;
}

static int setup_login(void **state)
{
	struct scene *s = mem_zalloc(sizeof(*s));
	char *path SCOPED(mem_freep) = NULL, *extra SCOPED(mem_freep) = NULL;
	struct err e = ERR_INIT;

	scene_open(s);
	path = mem_format("%s/htpasswd", s->dir);
	extra = mem_format(htpasswd, s->dir);
	assert_int_equal(fs_put_path(path, users, sizeof(users) - 1, 0600, &e), 0);
	scene_registry(s, extra);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct scene *s = *state;

	scene_close(s);
	free(s);
	return 0;
}

static void check_tag(const struct oci_layout *l, const char *tag, const struct oci_layout *like)
{
	struct oci_desc a SCOPED(oci_desc_release) = {0}, b SCOPED(oci_desc_release) = {0};
	struct err e = ERR_INIT;

	assert_int_equal(oci_layout_find(l, tag, NULL, &a, &e), 0);
	assert_int_equal(oci_layout_find(like, tag, NULL, &b, &e), 0);
	assert_true(digest_equal(&a.digest, &b.digest));
	assert_int_equal(a.size, b.size);
}

static void test_there_and_back(void **state)
{
	struct scene *s = *state;
	struct oci_layout *l SCOPED(oci_layout_freep) = scene_empty(s, "back");
	char *sig SCOPED(mem_freep) = mem_format("sha256-%s.sig", digest_hex(&s->image.digest).s);
	char *pgp SCOPED(mem_freep) = mem_format("sha256-%s.pgp", digest_hex(&s->image.digest).s);
	struct remote_opts o = {0};
	struct remote_stats st = {0};
	struct oci_desc d SCOPED(oci_desc_release) = {0};
	struct err e;

	scene_sign(s->layout, &s->image);
	assert_int_equal(scene_push(s, "shop/demo:1.0", &o, &st, &e), 0);
	assert_int_equal(st.blobs, 3 + 2 + 3); /* image (one layer twice), .sig, .pgp */
	assert_int_equal(st.blobs_skipped, 0);
	assert_true(st.bytes > LARGE_LAYER + 70000);
	assert_int_equal(scene_push(s, "shop/demo:1.0", &o, &st, &e), 0);
	assert_int_equal(st.blobs, 0);
	assert_int_equal(st.blobs_skipped, 3); /* signatures that are there are not looked into */
	assert_int_equal(st.bytes, 0);

	assert_int_equal(scene_pull(s, "shop/demo:1.0", l, &o, &st, &e), 0);
	assert_int_equal(st.blobs, 8);
	check_tag(l, sig, s->layout);
	check_tag(l, pgp, s->layout);
	assert_int_equal(oci_layout_verify(l, NULL, NULL, NULL, &e), 0);
	assert_int_equal(oci_layout_find(l, "got", NULL, &d, &e), 0);
	assert_int_equal(scene_pull(s, "shop/demo:1.0", l, &o, &st, &e), 0);
	assert_int_equal(st.blobs, 0);
	assert_int_equal(st.blobs_skipped, 8);
}

static void test_by_digest(void **state)
{
	struct scene *s = *state;
	struct oci_layout *l SCOPED(oci_layout_freep) = scene_empty(s, "back");
	char *at SCOPED(mem_freep) = mem_format("demo@%s", digest_text(&s->image.digest).s);
	struct remote_opts o = {.parallel = 1};
	struct remote_stats st = {0};
	struct err e;

	assert_int_equal(scene_push(s, at, &o, &st, &e), 0);
	assert_int_equal(scene_pull(s, at, l, &o, &st, &e), 0); /* unsigned: none are found */
	assert_int_equal(st.blobs, 3);
	assert_int_equal(scene_pull(s, "demo:1.0", l, &o, &st, &e), -1); /* no tag was set */
	assert_int_equal(e.kind, ERR_REMOTE);
	assert_non_null(strstr(e.msg, "no such image"));
}

static void test_bad_names(void **state)
{
	struct scene *s = *state;
	struct oci_layout *l SCOPED(oci_layout_freep) = scene_empty(s, "back");
	char *zeros SCOPED(mem_freep) = mem_format("demo@sha256:%064d", 0);
	struct remote_opts o = {0};
	struct remote_stats st = {0};
	struct err e;

	assert_int_equal(scene_push(s, "demo", &o, &st, &e), -1);
	assert_int_equal(e.kind, ERR_USAGE);
	assert_int_equal(scene_pull(s, "demo", l, &o, &st, &e), -1);
	assert_int_equal(e.kind, ERR_USAGE);
	assert_non_null(strstr(e.hint, "latest"));
	assert_int_equal(scene_push(s, zeros, &o, &st, &e), -1);
	assert_int_equal(e.kind, ERR_USAGE);
	assert_int_equal(scene_pull(s, zeros, l, &o, &st, &e), -1);
	assert_int_equal(e.kind, ERR_REMOTE);
	assert_int_equal(scene_pull(s, "nothing/here:1", l, &o, &st, &e), -1);
	assert_int_equal(e.kind, ERR_REMOTE);
}

static void flip(const struct oci_layout *l, const struct digest *d)
{
	char *path SCOPED(mem_freep) =
	    mem_format("%s/blobs/sha256/%s", oci_layout_path(l), digest_hex(d).s);
	int fd SCOPED(fd_closep) = open(path, O_RDWR | O_CLOEXEC);
	char c = 0;

	assert_int_equal(pread(fd, &c, 1, 100), 1);
	c ^= 1;
	assert_int_equal(pwrite(fd, &c, 1, 100), 1);
}

static void large_layer(const struct scene *s, struct digest *ret)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};
	struct err e = ERR_INIT;

	assert_int_equal(oci_layout_read(s->layout, &s->image.digest, &b, &e), 0);
	assert_int_equal(oci_manifest_parse(b.data, b.len, &m, &e), 0);
	*ret = m.layers[1].digest;
}

static void test_damage(void **state)
{
	struct scene *s = *state;
	struct oci_layout *l SCOPED(oci_layout_freep) = scene_empty(s, "back");
	struct remote_opts o = {0};
	struct remote_stats st = {0};
	struct digest d;
	char *stored SCOPED(mem_freep) = NULL;
	struct err e;
	int fd SCOPED(fd_closep) = -1;

	large_layer(s, &d);
	flip(s->layout, &d);
	assert_int_equal(scene_push(s, "demo:1.0", &o, &st, &e), -1); /* here */
	assert_int_equal(e.kind, ERR_VERIFY);
	assert_non_null(strstr(e.msg, "is damaged"));
	assert_int_equal(scene_pull(s, "demo:1.0", l, &o, &st, &e), -1); /* no tag was set */
	flip(s->layout, &d);
	assert_int_equal(scene_push(s, "demo:1.0", &o, &st, &e), 0);
	assert_int_equal(scene_pull(s, "demo:1.0", l, &o, &st, &e), 0);
	flip(l, &d); /* in the layout that we pull into: fetched anew */
	assert_int_equal(scene_pull(s, "demo:1.0", l, &o, &st, &e), 0);
	assert_int_equal(st.blobs, 1);
	assert_int_equal(oci_layout_verify(l, NULL, NULL, NULL, &e), 0);
	flip(l, &d);
	stored = mem_format("%s/registry/docker/registry/v2/blobs/sha256/%.2s/%s/data", s->dir,
			    digest_hex(&d).s, digest_hex(&d).s);
	fd = open(stored, O_WRONLY | O_CLOEXEC); /* in the registry */
	assert_int_equal(pwrite(fd, "evil", 4, 5000), 4);
	assert_int_equal(scene_pull(s, "demo:1.0", l, &o, &st, &e), -1);
	assert_int_equal(e.kind, ERR_VERIFY);
	assert_non_null(strstr(e.msg, digest_text(&d).s));
}

static void test_lookaside(void **state)
{
	struct scene *s = *state;
	struct oci_layout *l SCOPED(oci_layout_freep) = scene_empty(s, "back");
	char *dir SCOPED(mem_freep) = mem_format("%s/look/", s->dir);
	char *pgp SCOPED(mem_freep) = mem_format("sha256-%s.pgp", digest_hex(&s->image.digest).s);
	char *at SCOPED(mem_freep) =
	    mem_format("%sshop/demo@sha256=%s", dir, digest_hex(&s->image.digest).s);
	char *stored SCOPED(mem_freep) = mem_format(
	    "%s/registry/docker/registry/v2/repositories/shop/demo/_manifests/tags", s->dir);
	struct remote_opts o = {.lookaside = dir};
	struct remote_stats st = {0};
	struct strv names SCOPED(strv_release) = {0};
	struct buf one SCOPED(buf_release) = BUF_INIT(100);
	int tags SCOPED(fd_closep) = -1, look SCOPED(fd_closep) = -1;
	struct err e;

	scene_sign(s->layout, &s->image);
	for (int i = 0; i < 2; i++) /* the second time nothing is added */
		assert_int_equal(scene_push(s, "shop/demo:1.0", &o, &st, &e), 0);
	assert_int_equal(fs_list(AT_FDCWD, at, &names, &e), 0);
	assert_int_equal(names.n, 2);
	assert_int_equal(fs_open_dir(AT_FDCWD, at, &look, &e), 0);
	assert_int_equal(fs_get(look, "signature-1", &one, &e), 0);
	assert_string_equal(one.data, "signature by one");

	/* gone from the registry: rebuilt from the lookaside, the same bytes */
	assert_int_equal(fs_open_dir(AT_FDCWD, stored, &tags, &e), 0);
	assert_int_equal(fs_rmtree(tags, pgp, &e), 0);
	assert_int_equal(scene_pull(s, "shop/demo:1.0", l, &o, &st, &e), 0);
	check_tag(l, pgp, s->layout);
	o.lookaside = "https://example.invalid/look";
	assert_int_equal(scene_push(s, "shop/demo:2.0", &o, &st, &e), -1);
	assert_int_equal(e.kind, ERR_USAGE);
}

/* How many layers the manifest of a tag has. */
static size_t layers(const struct oci_layout *l, const char *tag)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};
	struct oci_desc d SCOPED(oci_desc_release) = {0};
	struct err e = ERR_INIT;

	assert_int_equal(oci_layout_find(l, tag, NULL, &d, &e), 0);
	assert_int_equal(oci_layout_read(l, &d.digest, &b, &e), 0);
	assert_int_equal(oci_manifest_parse(b.data, b.len, &m, &e), 0);
	return m.layers_n;
}

/* Two signers who do not know of each other have the same image. */
static void test_signatures_add_up(void **state)
{
	struct scene *s = *state;
	struct scene other = {.port = s->port, .dir = "/nonexistent"};
	char *sig SCOPED(mem_freep) = mem_format("sha256-%s.sig", digest_hex(&s->image.digest).s);
	char *pgp SCOPED(mem_freep) = mem_format("sha256-%s.pgp", digest_hex(&s->image.digest).s);
	struct oci_layout *back SCOPED(oci_layout_freep) = scene_empty(s, "back");
	struct remote_opts o = {0};
	struct remote_stats st = {0};
	struct err e;

	other.layout = scene_empty(s, "other");
	scene_image(other.layout, &other.image);
	scene_sign_as(s->layout, &s->image, "one");
	scene_sign_as(other.layout, &other.image, "three"); /* "by two" is common */
	assert_int_equal(scene_push(s, "demo:1.0", &o, &st, &e), 0);
	assert_int_equal(scene_push(&other, "demo:1.0", &o, &st, &e), 0);
	for (int i = 0; i < 2; i++) { /* no growth the second time */
		assert_int_equal(scene_pull(s, "demo:1.0", back, &o, &st, &e), 0);
		assert_int_equal(layers(back, sig), 2);
		assert_int_equal(layers(back, pgp), 3);
		assert_int_equal(oci_layout_verify(back, NULL, NULL, NULL, &e), 0);
		assert_int_equal(scene_push(s, "demo:1.0", &o, &st, &e), 0);
		assert_int_equal(st.blobs, 0);
	}
	assert_int_equal(layers(s->layout, pgp), 3); /* the pushing side has them too now */
	assert_int_equal(layers(s->layout, sig), 2);
	oci_layout_free(other.layout);
	oci_desc_release(&other.image);
}

static void put_logins(const struct scene *s, const char *password)
{
	char *path SCOPED(mem_freep) = mem_format("%s/auth.json", s->dir);
	char *text SCOPED(mem_freep) =
	    mem_format("{\"auths\":{\"127.0.0.1:%d\":{\"username\":\"pos\",\"password\":\"%s\"}}}",
		       s->port, password);
	struct err e = ERR_INIT;

	assert_int_equal(fs_put_path(path, text, strlen(text), 0600, &e), 0);
	assert_int_equal(setenv("REGISTRY_AUTH_FILE", path, 1), 0);
}

static void test_login(void **state)
{
	struct scene *s = *state;
	struct oci_layout *l SCOPED(oci_layout_freep) = scene_empty(s, "back");
	struct remote_opts o = {0};
	struct remote_stats st = {0};
	struct err e;

	assert_int_equal(scene_push(s, "demo:1.0", &o, &st, &e), -1);
	assert_int_equal(e.kind, ERR_REMOTE);
	assert_non_null(strstr(e.hint, "podman login 127.0.0.1:"));
	put_logins(s, "wrong");
	assert_int_equal(scene_push(s, "demo:1.0", &o, &st, &e), -1);
	assert_int_equal(e.kind, ERR_REMOTE);
	assert_non_null(strstr(e.msg, "401"));
	assert_non_null(strstr(e.hint, "log in"));
	put_logins(s, "sesame");
	assert_int_equal(scene_push(s, "demo:1.0", &o, &st, &e), 0);
	assert_int_equal(scene_pull(s, "demo:1.0", l, &o, &st, &e), 0);
	(void)unsetenv("REGISTRY_AUTH_FILE");
}

static void test_index_is_not_an_image(void **state)
{
	struct scene *s = *state;
	struct oci_layout *l SCOPED(oci_layout_freep) = scene_empty(s, "back");
	char *body SCOPED(mem_freep) =
	    mem_format("{\"schemaVersion\":2,\"mediaType\":\"%s\",\"manifests\":[]}", OCI_INDEX);
	char *url SCOPED(mem_freep) =
	    mem_format("http://127.0.0.1:%d/v2/demo/manifests/multi", s->port);
	struct http_request q = {
	    .method = "PUT", .url = url, .body_fd = -1, .body = body, .body_size = strlen(body)};
	struct http_reply r = {0};
	struct remote_opts o = {0};
	struct remote_stats st = {0};
	struct err e = ERR_INIT;

	strv_add(&q.headers, "Content-Type: " OCI_INDEX);
	assert_int_equal(http_send(&q, &r, &e), 0);
	assert_int_equal(r.status, 201);
	http_reply_release(&r);
	strv_release(&q.headers);
	assert_int_equal(scene_pull(s, "demo:multi", l, &o, &st, &e), -1);
	assert_non_null(strstr(e.msg, "several platforms"));
}

int main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
	    CASE(test_there_and_back),
	    CASE(test_by_digest),
	    CASE(test_bad_names),
	    CASE(test_damage),
	    CASE(test_lookaside),
	    CASE(test_signatures_add_up),
	    cmocka_unit_test_setup_teardown(test_login, setup_login, teardown),
	    CASE(test_index_is_not_an_image),
	};

	scene_environment();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
