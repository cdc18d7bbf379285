#include "sign-layout.h"

#include "form/hex.h"

enum { ALL = SIGN_ALL_FORMS };

static int verify(const char *identity, const struct sign_key *k, unsigned forms,
		  struct sign_report *ret)
{
	char *path SCOPED(mem_freep) = at(k == key ? "key.pub" : "other.pub");
	struct sign_public *pub SCOPED(sign_public_freep) = NULL;
	struct sign_wanted w = {.identity = identity, .keys_n = 1, .forms = forms};

	if (sign_public_load(path, &pub, &e) != 0)
		return -1;
	w.keys = &pub;
	return sign_image_verify(layout, &image, &w, ret, &e);
}

static void assert_good(const char *identity, const struct sign_key *k, size_t n, size_t ignored)
{
	struct sign_report r = {0};

	assert_done(verify(identity, k, ALL, &r));
	assert_int_equal(r.n, n);
	assert_int_equal(r.ignored, ignored);
	sign_report_release(&r);
}

#define assert_bad(identity, k, forms, text)                                                       \
	do {                                                                                       \
		struct sign_report none_ = {0};                                                    \
		assert_refused(verify(identity, k, forms, &none_), ERR_VERIFY, text);              \
		assert_null(none_.v);                                                              \
	} while (0)

static void test_all_forms(void **state)
{
	struct sign_report r = {0};
	struct digest want = sign_public_id(sign_key_public(key));

	(void)state;
	sign_as(id, key);
	assert_done(verify(id, key, ALL, &r));
	assert_int_equal(r.n, 3);
	assert_int_equal(r.v[0].form, SIGN_OPENPGP);
	assert_int_equal(r.v[1].form, SIGN_COSIGN);
	assert_int_equal(r.v[2].form, SIGN_BUNDLE);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(r.v[i].time, NOW);
		assert_int_equal(r.v[i].stamped, 0);
		assert_string_equal(r.v[i].identity, id);
		assert_true(digest_equal(&r.v[i].key, &want));
	}
	sign_report_release(&r);
	assert_good(NULL, key, 3, 0);
	assert_done(oci_layout_verify(layout, NULL, NULL, NULL, &e));
}

/* What cosign and containers/image read: supply chain of bytes from the manifest to the DER. */
static void test_cosign_bytes(void **state)
{
	struct oci_manifest m = {0};
	struct buf payload SCOPED(buf_release) = BUF_INIT(1 << 16);
	struct buf want SCOPED(buf_release) = BUF_INIT(1 << 16);
	struct buf config SCOPED(buf_release) = BUF_INIT(1 << 16);
	struct buf der SCOPED(buf_release) = BUF_INIT(128);
	const char *note;

	(void)state;
	sign_as(id, key);
	signatures("sig", &m);
	assert_string_equal(m.config.media_type, OCI_CONFIG);
	assert_string_equal(m.artifact_type, "");
	assert_int_equal(m.layers_n, 1);
	assert_string_equal(m.layers[0].media_type,
			    "application/vnd.dev.cosign.simplesigning.v1+json");
	assert_done(oci_layout_read(layout, &m.layers[0].digest, &payload, &e));
	sign_payload(SIGN_COSIGN, id, &image.digest, NOW, &want);
	assert_string_equal(payload.data, want.data);
	note = jval_get_str(m.layers[0].annotations, "dev.cosignproject.cosign/signature");
	assert_int_equal(base64_decode(note, &der), 0);
	assert_done(
	    sign_verify(sign_key_public(key), payload.data, payload.len, der.data, der.len, &e));
	want.len = 0;
	buf_addf(&want,
		 "{\"architecture\":\"\",\"config\":{},\"os\":\"\",\"rootfs\":{\"diff_ids\":"
		 "[\"%s\"],\"type\":\"layers\"}}",
		 digest_text(&m.layers[0].digest).s);
	assert_done(oci_layout_read(layout, &m.config.digest, &config, &e));
	assert_string_equal(config.data, want.data);
	oci_manifest_release(&m);
}

static void test_openpgp_bytes(void **state)
{
	struct oci_manifest m = {0};
	struct buf msg SCOPED(buf_release) = BUF_INIT(1 << 16);
	struct buf payload SCOPED(buf_release) = BUF_INIT(1 << 16);
	struct digest empty = digest_of("{}", 2);

	(void)state;
	sign_as(id, key);
	signatures("pgp", &m);
	assert_string_equal(m.artifact_type, "application/vnd.posmedia.openpgp.v1");
	assert_string_equal(m.config.media_type, OCI_EMPTY);
	assert_true(digest_equal(&m.config.digest, &empty));
	assert_int_equal(m.layers_n, 1);
	assert_string_equal(m.layers[0].media_type, "application/vnd.posmedia.openpgp.v1");
	assert_done(oci_layout_read(layout, &m.layers[0].digest, &msg, &e));
	assert_done(sign_openpgp_open(sign_key_public(key), msg.data, msg.len, &payload, &e));
	assert_done(
	    sign_payload_check(SIGN_OPENPGP, payload.data, payload.len, id, &image.digest, &e));
	oci_manifest_release(&m);
}

/* Signing again changes nothing at all, though ECDSA would give other bytes each time. */
static void test_again_is_the_same(void **state)
{
	char *index SCOPED(mem_freep) = at("layout/index.json");
	char *blobs SCOPED(mem_freep) = at("layout/blobs/sha256");
	struct buf before SCOPED(buf_release) = BUF_INIT(1 << 20);
	struct buf after SCOPED(buf_release) = BUF_INIT(1 << 20);
	struct strv was SCOPED(strv_release) = {0}, is SCOPED(strv_release) = {0};
	struct stat old, new;

	(void)state;
	sign_as(id, key);
	get_file(index, &before);
	assert_int_equal(stat(index, &old), 0);
	assert_done(fs_list(AT_FDCWD, blobs, &was, &e));
	assert_done(sign_image(layout, &image, id, key, NOW + 3600, &e));
	get_file(index, &after);
	assert_int_equal(stat(index, &new), 0);
	assert_int_equal(old.st_mtim.tv_nsec, new.st_mtim.tv_nsec); /* not even written again */
	assert_done(fs_list(AT_FDCWD, blobs, &is, &e));
	assert_string_equal(before.data, after.data);
	assert_int_equal(was.n, is.n);
}

static void test_they_accumulate(void **state)
{
	static const char qa[] = "registry.example.org/qa/rti:16.1.5";

	(void)state;
	sign_as(id, key);
	sign_as(qa, key);
	sign_as(id, other);
	sign_as(qa, key);
	assert_good(id, key, 3, 6);
	assert_good(qa, key, 3, 6);
	assert_good(id, other, 3, 6);
	assert_good(NULL, key, 6, 3);
	assert_bad(qa, other, ALL, "it is for localhost:5000/pos/rti:16.1.5");
	assert_done(oci_layout_verify(layout, NULL, NULL, NULL, &e));
}

static void test_bad_identities(void **state)
{
	static const char *const wrong[] = {"",
					    "rti",
					    "rti:1",
					    "localhost/rti",
					    "localhost/Rti:1",
					    "localhost/rti:",
					    "localhost/rti:1 ",
					    "localhost/rti:1@sha256:"};
	char *digested SCOPED(mem_freep) =
	    mem_format("localhost/rti@%s", digest_text(&image.digest).s);
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_refused(sign_image(layout, &image, wrong[i], key, NOW, &e), ERR_USAGE,
			       "identity");
	assert_refused(sign_image(layout, &image, digested, key, NOW, &e), ERR_USAGE, "a tag");
	(void)oci_layout_entries(layout, &n);
	assert_int_equal(n, 1);
}

static void test_refusals(void **state)
{
	(void)state;
	assert_bad(id, key, ALL, "no OpenPGP signature");
	sign_as(id, key);
	assert_bad(id, other, ALL, "does not fit");
	assert_bad("localhost:5000/pos/rti:16.1.6", key, ALL, "it is for");
	assert_bad("localhost:5000/pos/rti", key, ALL, "it is for");
	assert_bad(id, other, 1 << SIGN_COSIGN, "none of its 1 cosign signatures");
	assert_refused(sign_image(layout, &image, id, other, NOW - 1, &e), ERR_FAIL, "before");
	assert_good(id, key, 3, 0); /* nothing was half added */
}

static void flip(const struct digest *d)
{
	char *path SCOPED(mem_freep) = blob_path(d);
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 20);

	get_file(path, &b);
	b.data[b.len / 2] ^= 1;
	put_file(path, b.data, b.len, 0644);
}

static void test_flipped_blobs(void **state)
{
	struct oci_manifest sig = {0}, pgp = {0};

	(void)state;
	sign_as(id, key);
	signatures("sig", &sig);
	signatures("pgp", &pgp);
	flip(&sig.layers[0].digest);
	assert_bad(id, key, ALL, "has the digest");
	assert_bad(id, key, 1 << SIGN_COSIGN, "none of its 1 cosign");
	flip(&sig.layers[0].digest);
	flip(&pgp.layers[0].digest);
	assert_bad(id, key, 1 << SIGN_OPENPGP, "none of its 1 OpenPGP");
	flip(&pgp.layers[0].digest);
	assert_good(id, key, 3, 0);
	flip(&image.digest);
	assert_bad(id, key, ALL, "has the digest");
	assert_refused(sign_image(layout, &image, id, key, NOW, &e), ERR_VERIFY, "has the digest");
	oci_manifest_release(&sig);
	oci_manifest_release(&pgp);
}

static void save_signatures(const char *suffix, const struct digest *on,
			    const struct oci_manifest *m)
{
	char *tag SCOPED(mem_freep) = mem_format("sha256-%s.%s", digest_hex(on).s, suffix);
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 20);
	char type[] = OCI_MANIFEST;
	struct oci_desc d = {.media_type = type};

	oci_manifest_write(m, &b);
	d.size = b.len;
	assert_done(oci_layout_add(layout, b.data, b.len, &d.digest, &e));
	assert_done(oci_layout_tag(layout, tag, &d, &e));
}

/* Good signatures by the right key, filed under another image. */
static void test_moved_signatures(void **state)
{
	struct oci_manifest sig = {0}, pgp = {0};
	struct oci_desc evil;

	(void)state;
	sign_as(id, key);
	signatures("sig", &sig);
	signatures("pgp", &pgp);
	add_image("evil", &evil);
	save_signatures("sig", &evil.digest, &sig);
	save_signatures("pgp", &evil.digest, &pgp);
	oci_desc_release(&image);
	image = evil;
	assert_bad(id, key, ALL, "is for the manifest");
	assert_bad(id, key, 1 << SIGN_COSIGN, "is for the manifest");
	oci_manifest_release(&sig);
	oci_manifest_release(&pgp);
}

/* A cosign layer under the .pgp tag and the other way round. */
static void test_swapped_forms(void **state)
{
	struct oci_manifest sig = {0}, pgp = {0};

	(void)state;
	sign_as(id, key);
	signatures("sig", &sig);
	signatures("pgp", &pgp);
	save_signatures("sig", &image.digest, &pgp);
	save_signatures("pgp", &image.digest, &sig);
	assert_bad(id, key, 1 << SIGN_OPENPGP, "of the type application/vnd.dev.cosign");
	assert_bad(id, key, 1 << SIGN_COSIGN, "of the type application/vnd.posmedia");
	oci_manifest_release(&sig);
	oci_manifest_release(&pgp);
}

static void test_bad_annotations(void **state)
{
	char *long_one SCOPED(mem_freep) = base64_encode(scratch, 60);
	char *longer SCOPED(mem_freep) = mem_format("%s%s", long_one, long_one);
	const char *const notes[] = {"", "!", "MEUCIQ==", long_one, longer};
	struct oci_manifest sig = {0};

	(void)state;
	sign_as(id, key);
	signatures("sig", &sig);
	for (size_t i = 0; i < sizeof(notes) / sizeof(notes[0]); i++) {
		jval_put_text(sig.layers[0].annotations, "dev.cosignproject.cosign/signature",
			      notes[i]);
		save_signatures("sig", &image.digest, &sig);
		assert_bad(id, key, 1 << SIGN_COSIGN, "none of its 1 cosign");
	}
	jval_free(sig.layers[0].annotations);
	sig.layers[0].annotations = NULL;
	save_signatures("sig", &image.digest, &sig);
	assert_bad(id, key, 1 << SIGN_COSIGN, "annotation");
	oci_manifest_release(&sig);
}

static void test_wrong_sizes(void **state)
{
	struct oci_manifest sig = {0};

	(void)state;
	sign_as(id, key);
	signatures("sig", &sig);
	sig.layers[0].size++;
	save_signatures("sig", &image.digest, &sig);
	assert_bad(id, key, 1 << SIGN_COSIGN, "is not of");
	oci_manifest_release(&sig);
	image.size++;
	assert_bad(id, key, ALL, "size");
	assert_refused(sign_image(layout, &image, id, key, NOW, &e), ERR_VERIFY, "bytes, not");
}

/* One broken signature beside a good one is ignored, and goes when we sign again. */
static void test_broken_beside_good(void **state)
{
	struct oci_manifest sig = {0};
	char *path SCOPED(mem_freep) = NULL;

	(void)state;
	sign_as(id, other);
	signatures("sig", &sig);
	path = blob_path(&sig.layers[0].digest);
	oci_manifest_release(&sig);
	sign_as("localhost/else/where:1", key);
	assert_int_equal(unlink(path), 0);
	assert_good(NULL, key, 3, 3);
	sign_as("localhost/else/where:1", key); /* is there already: the broken one still goes */
	assert_good(NULL, key, 3, 2);
	sign_as(id, key);
	assert_good(NULL, key, 6, 2);
	assert_done(oci_layout_verify(layout, NULL, NULL, NULL, &e));
}

static void test_too_many(void **state)
{
	(void)state;
	for (int i = 0; i < OCI_LAYERS_MAX; i++) {
		char *name SCOPED(mem_freep) = mem_format("localhost/a:%d", i);

		sign_as(name, key);
	}
	assert_refused(sign_image(layout, &image, id, key, NOW, &e), ERR_FAIL, "127");
	sign_as("localhost/a:5", key);
}

static void test_damaged_signature_manifest(void **state)
{
	char *tag SCOPED(mem_freep) = NULL;
	struct oci_desc d;

	(void)state;
	sign_as(id, key);
	tag = mem_format("sha256-%s.sig", digest_hex(&image.digest).s);
	assert_done(oci_layout_find(layout, tag, NULL, &d, &e));
	flip(&d.digest);
	oci_desc_release(&d);
	assert_bad(id, key, ALL, ".sig");
	assert_refused(sign_image(layout, &image, id, key, NOW, &e), ERR_VERIFY, ".sig");
}

#define t(f) cmocka_unit_test_setup_teardown(f, make_layout, drop_layout)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    t(test_all_forms),         t(test_cosign_bytes),    t(test_openpgp_bytes),
	    t(test_again_is_the_same), t(test_they_accumulate), t(test_bad_identities),
	    t(test_refusals),          t(test_flipped_blobs),   t(test_moved_signatures),
	    t(test_swapped_forms),     t(test_bad_annotations), t(test_broken_beside_good),
	    t(test_wrong_sizes),       t(test_too_many),        t(test_damaged_signature_manifest),
	};

	return cmocka_run_group_tests_name("sign-image", tests, set_up, tear_down);
}
