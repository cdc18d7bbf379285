#include "oci/oci.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
	char dir[64];
	char *path; /* of the layout */
	struct oci_layout *l;
	struct oci_desc image;
};

static void blob(struct fixture *f, const char *text, const char *type, struct oci_desc *ret)
{
	struct err e = ERR_INIT;

	*ret = (struct oci_desc){.media_type = mem_strdup(type), .size = strlen(text)};
	assert_int_equal(oci_layout_add(f->l, text, strlen(text), &ret->digest, &e), 0);
}

/* A small image: two layers that need not be tars for what is tested here. */
static void add_image(struct fixture *f, const char *tag, const char *config, struct oci_desc *ret)
{
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct err e = ERR_INIT;

	m.layers = mem_zalloc(2 * sizeof(*m.layers));
	m.layers_n = 2;
	blob(f, "layer one", OCI_LAYER_GZIP, &m.layers[0]);
	blob(f, "layer two", OCI_LAYER_GZIP, &m.layers[1]);
	blob(f, config, OCI_CONFIG, &m.config);
	oci_manifest_write(&m, &b);
	blob(f, b.data, OCI_MANIFEST, ret);
	assert_int_equal(oci_layout_tag(f->l, tag, ret, &e), 0);
}

static const char config2[] = "{\"rootfs\":{\"diff_ids\":[\"a\",\"b\"],\"type\":\"layers\"}}";

static int setup(void **state)
{
	struct fixture *f = mem_zalloc(sizeof(*f));
	struct err e = ERR_INIT;

	memcpy(f->dir, "/tmp/posmedia-oci.XXXXXX", 25);
	if (mkdtemp(f->dir) == NULL)
		return -1;
	f->path = fs_join(f->dir, "layout");
	if (oci_layout_open(f->path, true, &f->l, &e) != 0)
		return -1;
	add_image(f, "1.0", config2, &f->image);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;

	oci_layout_free(f->l);
	oci_desc_release(&f->image);
	free(f->path);
	assert_int_equal(fs_rmtree(AT_FDCWD, f->dir, &e), 0);
	free(f);
	return 0;
}

static void reopen(struct fixture *f)
{
	struct err e = ERR_INIT;

	oci_layout_free(f->l);
	f->l = NULL;
	assert_int_equal(oci_layout_open(f->path, false, &f->l, &e), 0);
}

static void found_by_tag_digest_and_alone(void **state)
{
	struct fixture *f = *state;
	struct oci_desc d = {0};
	struct err e = ERR_INIT;

	reopen(f);
	assert_int_equal(oci_layout_find(f->l, "1.0", NULL, &d, &e), 0);
	assert_true(digest_equal(&d.digest, &f->image.digest));
	assert_string_equal(oci_desc_tag(&d), "1.0");
	oci_desc_release(&d);
	assert_int_equal(oci_layout_find(f->l, "", &f->image.digest, &d, &e), 0);
	oci_desc_release(&d);
	assert_int_equal(oci_layout_find(f->l, "", NULL, &d, &e), 0);
	oci_desc_release(&d);
	assert_int_equal(oci_layout_find(f->l, "2.0", NULL, &d, &e), -1);
	assert_non_null(strstr(e.hint, "1.0"));
}

static void two_images_want_a_tag(void **state)
{
	struct fixture *f = *state;
	struct oci_desc other SCOPED(oci_desc_release) = {0}, d = {0};
	struct err e = ERR_INIT;

	add_image(f, "2.0", "{\"rootfs\":{\"diff_ids\":[\"c\",\"d\"]}}", &other);
	assert_int_equal(oci_layout_find(f->l, "", NULL, &d, &e), -1);
	assert_int_equal(oci_layout_find(f->l, "2.0", NULL, &d, &e), 0);
	assert_true(digest_equal(&d.digest, &other.digest));
	oci_desc_release(&d);
}

static void a_tag_moves(void **state)
{
	struct fixture *f = *state;
	struct oci_desc other SCOPED(oci_desc_release) = {0}, d = {0};
	struct err e = ERR_INIT;
	size_t n;

	add_image(f, "1.0", "{\"rootfs\":{\"diff_ids\":[\"c\",\"d\"]}}", &other);
	reopen(f);
	(void)oci_layout_entries(f->l, &n);
	assert_int_equal(n, 1);
	assert_int_equal(oci_layout_find(f->l, "1.0", NULL, &d, &e), 0);
	assert_true(digest_equal(&d.digest, &other.digest));
	oci_desc_release(&d);
	assert_int_equal(oci_layout_tag(f->l, "../up", &other, &e), -1);
	assert_int_equal(e.kind, ERR_USAGE);
}

static void one_of_its_own_entries_may_be_tagged(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	size_t n;

	assert_int_equal(oci_layout_tag(f->l, "1.0", oci_layout_entries(f->l, &n), &e), 0);
	assert_int_equal(oci_layout_tag(f->l, "", oci_layout_entries(f->l, &n), &e), 0);
	(void)oci_layout_entries(f->l, &n);
	assert_int_equal(n, 1);
}

static size_t counted;

static void count(void *ctx, const struct oci_desc *d)
{
	(void)ctx;
	(void)d;
	counted++;
}

static void verify_hashes_every_blob(void **state)
{
	struct fixture *f = *state;
	struct strv names SCOPED(strv_release) = {0};
	char *dir SCOPED(mem_freep) = fs_join(f->path, "blobs/sha256");
	struct err e = ERR_INIT;

	counted = 0;
	assert_int_equal(oci_layout_verify(f->l, NULL, count, NULL, &e), 0);
	assert_int_equal(counted, 4);
	assert_int_equal(fs_list(AT_FDCWD, dir, &names, &e), 0);
	assert_int_equal(names.n, 4);
	for (size_t i = 0; i < names.n; i++) {
		char *path SCOPED(mem_freep) = fs_join(dir, names.v[i]);
		struct buf was SCOPED(buf_release) = BUF_INIT(1 << 20);

		assert_int_equal(fs_get(AT_FDCWD, path, &was, &e), 0);
		for (size_t at = 0; at < was.len; at++) {
			was.data[at] ^= 1;
			assert_int_equal(fs_put_path(path, was.data, was.len, 0644, &e), 0);
			assert_int_equal(oci_layout_verify(f->l, NULL, NULL, NULL, &e), -1);
			assert_int_equal(e.kind, ERR_VERIFY);
			was.data[at] ^= 1;
		}
		assert_int_equal(fs_put_path(path, was.data, was.len, 0644, &e), 0);
		assert_int_equal(oci_layout_verify(f->l, NULL, NULL, NULL, &e), 0);
		assert_int_equal(unlink(path), 0);
		assert_int_equal(oci_layout_verify(f->l, NULL, NULL, NULL, &e), -1);
		assert_int_equal(e.kind, ERR_VERIFY);
		assert_int_equal(fs_put_path(path, was.data, was.len, 0644, &e), 0);
	}
}

/* An index of the image twice, the second time with an annotation, tagged "both". */
static void add_index(struct fixture *f, struct oci_desc *ret)
{
	struct oci_index x = {.v = mem_zalloc(2 * sizeof(*x.v)), .n = 2};
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct err e = ERR_INIT;

	oci_desc_copy(&f->image, &x.v[0]);
	add_image(f, "2.0", "{\"rootfs\":{\"diff_ids\":[\"c\",\"d\"]}}", &x.v[1]);
	x.v[1].annotations = jval_object();
	jval_put_text(x.v[1].annotations, OCI_ZSTD_VARIANT, "true");
	x.v[1].platform = jval_object();
	jval_put_text(x.v[1].platform, "os", "linux");
	oci_index_write(&x, &b);
	blob(f, b.data, OCI_INDEX, ret);
	assert_int_equal(oci_layout_tag(f->l, "both", ret, &e), 0);
	oci_index_release(&x);
}

static void an_index_is_found_and_leads_to_its_first_image(void **state)
{
	struct fixture *f = *state;
	struct oci_desc index SCOPED(oci_desc_release) = {0}, got SCOPED(oci_desc_release) = {0};
	struct oci_desc image SCOPED(oci_desc_release) = {0}, own SCOPED(oci_desc_release) = {0};
	struct oci_index x = {0};
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct err e = ERR_INIT;

	add_index(f, &index);
	assert_int_equal(oci_layout_find(f->l, "both", NULL, &got, &e), 0);
	assert_string_equal(got.media_type, OCI_INDEX);
	assert_true(digest_equal(&got.digest, &index.digest));
	assert_int_equal(oci_layout_image(f->l, &got, &image, &e), 0);
	assert_true(digest_equal(&image.digest, &f->image.digest));
	assert_int_equal(oci_layout_image(f->l, &f->image, &own, &e), 0);
	assert_true(digest_equal(&own.digest, &f->image.digest));
	assert_int_equal(oci_layout_read(f->l, &index.digest, &b, &e), 0);
	assert_int_equal(oci_index_parse(b.data, b.len, &x, &e), 0);
	assert_int_equal(x.n, 2);
	assert_string_equal(jval_get_str(x.v[1].annotations, OCI_ZSTD_VARIANT), "true");
	assert_string_equal(jval_get_str(x.v[1].platform, "os"), "linux");
	oci_index_release(&x);
}

static void verify_walks_an_index(void **state)
{
	struct fixture *f = *state;
	struct oci_desc index SCOPED(oci_desc_release) = {0};
	struct strv names SCOPED(strv_release) = {0};
	char *dir SCOPED(mem_freep) = fs_join(f->path, "blobs/sha256");
	struct err e = ERR_INIT;

	add_index(f, &index);
	counted = 0;
	assert_int_equal(oci_layout_verify(f->l, &index, count, NULL, &e), 0);
	assert_int_equal(counted, 9); /* the index, and of each image manifest, config, layers */
	assert_int_equal(fs_list(AT_FDCWD, dir, &names, &e), 0);
	assert_int_equal(names.n, 7);
	for (size_t i = 0; i < names.n; i++) {
		char *path SCOPED(mem_freep) = fs_join(dir, names.v[i]);
		struct buf was SCOPED(buf_release) = BUF_INIT(1 << 20);

		assert_int_equal(fs_get(AT_FDCWD, path, &was, &e), 0);
		was.data[was.len / 2] ^= 1;
		assert_int_equal(fs_put_path(path, was.data, was.len, 0644, &e), 0);
		assert_int_equal(oci_layout_verify(f->l, &index, NULL, NULL, &e), -1);
		assert_int_equal(e.kind, ERR_VERIFY);
		was.data[was.len / 2] ^= 1;
		assert_int_equal(fs_put_path(path, was.data, was.len, 0644, &e), 0);
	}
	assert_int_equal(oci_layout_verify(f->l, NULL, NULL, NULL, &e), 0);
}

#define DIGEST      "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define ENTRY(type) "{\"mediaType\":\"" type "\",\"digest\":\"" DIGEST "\",\"size\":1}"

static void indexes_are_checked(void **state)
{
	static const char *const bad[] = {
	    "[]",
	    "{\"schemaVersion\":2}",
	    "{\"schemaVersion\":1,\"manifests\":[]}",
	    "{\"schemaVersion\":2,\"mediaType\":\"x\",\"manifests\":[]}",
	    "{\"schemaVersion\":2,\"manifests\":{}}",
	    "{\"schemaVersion\":2,\"manifests\":[{}]}",
	    "{\"schemaVersion\":2,\"manifests\":[" ENTRY(OCI_INDEX) "]}",
	    "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"" OCI_MANIFEST
	    "\",\"digest\":\"" DIGEST "\",\"size\":1,\"platform\":1}]}",
	};
	static const char good[] = "{\"schemaVersion\":2,\"manifests\":[" ENTRY(OCI_MANIFEST) "]}";
	struct buf many SCOPED(buf_release) = BUF_INIT(1 << 20);
	struct oci_index x = {0};
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(oci_index_parse(bad[i], strlen(bad[i]), &x, &e), -1);
		assert_int_equal(e.kind, ERR_RECIPE);
		assert_null(x.v);
	}
	buf_addf(&many, "{\"schemaVersion\":2,\"manifests\":[");
	for (int i = 0; i <= OCI_INDEX_MAX; i++)
		buf_addf(&many, "%s%s", i > 0 ? "," : "", ENTRY(OCI_MANIFEST));
	buf_addf(&many, "]}");
	assert_int_equal(oci_index_parse(many.data, many.len, &x, &e), -1);
	assert_int_equal(oci_index_parse(good, strlen(good), &x, &e), 0);
	assert_int_equal(x.n, 1);
	oci_index_release(&x);
}

static void an_empty_index_has_no_image(void **state)
{
	struct fixture *f = *state;
	struct oci_desc index SCOPED(oci_desc_release) = {0}, got = {0};
	struct err e = ERR_INIT;

	blob(f, "{\"schemaVersion\":2,\"manifests\":[]}", OCI_INDEX, &index);
	assert_int_equal(oci_layout_image(f->l, &index, &got, &e), -1);
	assert_int_equal(e.kind, ERR_RECIPE);
}

static void diff_ids_must_match_the_layers(void **state)
{
	struct fixture *f = *state;
	struct oci_desc d SCOPED(oci_desc_release) = {0};
	struct err e = ERR_INIT;

	add_image(f, "short", "{\"rootfs\":{\"diff_ids\":[\"a\"]}}", &d);
	assert_int_equal(oci_layout_verify(f->l, &d, NULL, NULL, &e), -1);
	assert_int_equal(e.kind, ERR_VERIFY);
	assert_non_null(strstr(e.msg, "1 diff_ids for 2 layers"));
	assert_int_equal(oci_layout_verify(f->l, &f->image, NULL, NULL, &e), 0);
}

static void a_file_is_added_only_when_right(void **state)
{
	struct fixture *f = *state;
	char *path SCOPED(mem_freep) = fs_join(f->dir, "file");
	struct digest good = digest_of("content", 7), bad = digest_of("other", 5);
	struct err e = ERR_INIT;
	int fd SCOPED(fd_closep) = -1, got SCOPED(fd_closep) = -1;

	assert_int_equal(fs_put_path(path, "content", 7, 0644, &e), 0);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(oci_layout_add_fd(f->l, fd, &bad, 7, &e), -1);
	assert_int_equal(e.kind, ERR_VERIFY);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(oci_layout_add_fd(f->l, fd, &good, 8, &e), -1);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(oci_layout_add_fd(f->l, fd, &good, 7, &e), 0);
	assert_int_equal(oci_layout_blob(f->l, &good, &got, NULL, &e), 0);
}

static void a_damaged_blob_is_replaced(void **state)
{
	struct fixture *f = *state;
	char *path SCOPED(mem_freep) = fs_join(f->dir, "file");
	struct digest d = digest_of("content", 7);
	char *at SCOPED(mem_freep) = mem_format("%s/blobs/sha256/%s", f->path, digest_hex(&d).s);
	struct buf b SCOPED(buf_release) = BUF_INIT(100);
	struct err e = ERR_INIT;
	int fd SCOPED(fd_closep) = -1;

	assert_int_equal(fs_put_path(path, "content", 7, 0644, &e), 0);
	assert_int_equal(fs_put_path(at, "cOntent", 7, 0644, &e), 0);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(oci_layout_add_fd(f->l, fd, &d, 7, &e), 0);
	assert_int_equal(oci_layout_read(f->l, &d, &b, &e), 0);
}

static void broken_layouts_are_refused(void **state)
{
	static const struct {
		const char *file, *text;
	} cases[] = {
	    {"oci-layout", "{\"imageLayoutVersion\":\"2.0.0\"}"},
	    {"oci-layout", ""},
	    {"index.json", "{"},
	    {"index.json", "{\"schemaVersion\":2}"},
	    {"index.json", "{\"manifests\":[{\"mediaType\":\"x\",\"size\":1}]}"},
	    {"index.json", "{\"manifests\":[{\"mediaType\":\"x\",\"size\":1,"
			   "\"digest\":\"sha256:../../../etc/passwd\"}]}"},
	    {"index.json",
	     "{\"manifests\":[{\"mediaType\":\"x\",\"size\":-1,\"digest\":"
	     "\"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\""
	     "}]}"},
	    {"index.json", "{\"manifests\":[],\"manifests\":[]}"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *path SCOPED(mem_freep) = fs_join(f->path, cases[i].file);
		struct buf was SCOPED(buf_release) = BUF_INIT(1 << 20);
		struct oci_layout *l = NULL;
		struct err e = ERR_INIT;

		assert_int_equal(fs_get(AT_FDCWD, path, &was, &e), 0);
		assert_int_equal(fs_put_path(path, cases[i].text, strlen(cases[i].text), 0644, &e),
				 0);
		assert_int_equal(oci_layout_open(f->path, false, &l, &e), -1);
		assert_int_equal(e.kind, ERR_RECIPE);
		assert_int_equal(fs_put_path(path, was.data, was.len, 0644, &e), 0);
	}
}

static void manifests_are_checked(void **state)
{
	static const char *const bad[] = {
	    "",
	    "[]",
	    "{\"schemaVersion\":1}",
	    "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.docker.distribution.manifest.v2+"
	    "json\"}",
	    "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"a\",\"digest\":\"sha256:"
	    "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855\",\"size\":0},"
	    "\"layers\":[]}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct oci_manifest m = {0};
		struct err e = ERR_INIT;

		assert_int_equal(oci_manifest_parse(bad[i], strlen(bad[i]), &m, &e), -1);
		assert_int_equal(e.kind, ERR_RECIPE);
	}
}

static void two_at_once_lose_no_entry(void **state)
{
	struct fixture *f = *state;
	struct oci_layout *other SCOPED(oci_layout_freep) = NULL;
	struct oci_desc d = {0};
	struct err e = ERR_INIT;

	assert_int_equal(oci_layout_open(f->path, true, &other, &e), 0);
	assert_int_equal(oci_layout_tag(f->l, "2.0", &f->image, &e), 0);
	assert_int_equal(oci_layout_tag(other, "3.0", &f->image, &e), 0);
	reopen(f);
	assert_int_equal(oci_layout_find(f->l, "2.0", NULL, &d, &e), 0);
	oci_desc_release(&d);
	assert_int_equal(oci_layout_find(f->l, "3.0", NULL, &d, &e), 0);
	oci_desc_release(&d);
}

/* Were one of them opened and read, the test would never end. */
static void pipes_in_a_layout_are_refused(void **state)
{
	struct fixture *f = *state;
	char *path SCOPED(mem_freep) =
	    mem_format("%s/blobs/sha256/%s", f->path, digest_hex(&f->image.digest).s);
	char *index SCOPED(mem_freep) = fs_join(f->path, "index.json");
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct oci_layout *l = NULL;
	struct err e = ERR_INIT;

	(void)alarm(20);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(oci_layout_verify(f->l, &f->image, NULL, NULL, &e), -1);
	assert_int_equal(e.kind, ERR_VERIFY);
	assert_int_equal(oci_layout_read(f->l, &f->image.digest, &b, &e), -1);
	assert_int_equal(e.kind, ERR_VERIFY);
	assert_int_equal(unlink(index), 0);
	assert_int_equal(mkfifo(index, 0600), 0);
	assert_int_equal(oci_layout_open(f->path, false, &l, &e), -1);
	assert_int_equal(e.kind, ERR_RECIPE);
	(void)alarm(0);
}

static void a_scratch_is_a_layout_like_others(void **state)
{
	struct fixture *f = *state;
	struct oci_desc again = {0};
	struct err e = ERR_INIT;

	oci_layout_free(f->l);
	assert_int_equal(fs_rmtree(AT_FDCWD, f->path, &e), 0);
	assert_int_equal(oci_layout_scratch(f->path, &f->l, &e), 0);
	add_image(f, "1.0", config2, &again);
	assert_true(digest_equal(&again.digest, &f->image.digest));
	oci_desc_release(&again);
	reopen(f);
	assert_int_equal(oci_layout_verify(f->l, &f->image, NULL, NULL, &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(found_by_tag_digest_and_alone, setup, teardown),
	    cmocka_unit_test_setup_teardown(two_images_want_a_tag, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_tag_moves, setup, teardown),
	    cmocka_unit_test_setup_teardown(one_of_its_own_entries_may_be_tagged, setup, teardown),
	    cmocka_unit_test_setup_teardown(verify_hashes_every_blob, setup, teardown),
	    cmocka_unit_test_setup_teardown(an_index_is_found_and_leads_to_its_first_image, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(verify_walks_an_index, setup, teardown),
	    cmocka_unit_test(indexes_are_checked),
	    cmocka_unit_test_setup_teardown(an_empty_index_has_no_image, setup, teardown),
	    cmocka_unit_test_setup_teardown(diff_ids_must_match_the_layers, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_file_is_added_only_when_right, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_damaged_blob_is_replaced, setup, teardown),
	    cmocka_unit_test_setup_teardown(two_at_once_lose_no_entry, setup, teardown),
	    cmocka_unit_test_setup_teardown(pipes_in_a_layout_are_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(broken_layouts_are_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(manifests_are_checked, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_scratch_is_a_layout_like_others, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
