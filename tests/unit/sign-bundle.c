/* sign: bundles on an image: what others look for in them, and what does not pass for one. */
#include "sign-layout.h"
#include "sign/attest.h"
#include "sign/bundles.h"

#include "form/hex.h"

/* What verification says when only bundles are asked for. */
static int verify(const struct sign_key *k)
{
	char *path SCOPED(mem_freep) = at(k == key ? "key.pub" : "other.pub");
	struct sign_public *pub SCOPED(sign_public_freep) = NULL;
	struct sign_wanted w = {.identity = id, .keys_n = 1, .forms = 1 << SIGN_BUNDLE};
	struct sign_report r SCOPED(sign_report_release) = {0};

	assert_done(sign_public_load(path, &pub, &e));
	w.keys = &pub;
	return sign_image_verify(layout, &image, &w, &r, &e);
}

static void get_list(struct oci_index *ret)
{
	assert_done(oci_referrers(layout, &image.digest, ret, &e));
}

/* A statement of a type about a digest, attested by the key. */
static void attest(const char *type, const struct sign_key *k)
{
	struct buf s SCOPED(buf_release) = BUF_INIT(ATTEST_MAX);

	buf_addf(&s,
		 "{\"_type\":\"https://in-toto.io/Statement/v1\",\"subject\":[{\"name\":\"%s\","
		 "\"digest\":{\"sha256\":\"%s\"}}],\"predicateType\":\"%s\",\"predicate\":{}}",
		 id, digest_hex(&image.digest).s, type);
	assert_done(attest_image(layout, &image, &s, k, &e));
}

static void has_what_cosign_reads(void **state)
{
	struct oci_index list SCOPED(oci_index_release) = {0};
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 20);
	struct buf bundle SCOPED(buf_release) = BUF_INIT(1 << 20);
	struct jval *v SCOPED(jval_freep) = NULL;
	struct digest key_id = sign_public_id(sign_key_public(key));
	char *hint SCOPED(mem_freep) = base64_encode(key_id.b, sizeof(key_id.b));

	(void)state;
	sign_as(id, key);
	get_list(&list);
	assert_int_equal(list.n, 1);
	assert_string_equal(list.v[0].artifact_type, BUNDLE_TYPE);
	assert_string_equal(
	    jval_get_str(list.v[0].annotations, "dev.sigstore.bundle.predicateType"),
	    "https://sigstore.dev/cosign/sign/v1");
	assert_done(oci_layout_read(layout, &list.v[0].digest, &b, &e));
	assert_done(oci_manifest_parse(b.data, b.len, &m, &e));
	assert_string_equal(m.artifact_type, BUNDLE_TYPE);
	assert_string_equal(m.config.media_type, OCI_EMPTY);
	assert_true(digest_equal(&m.subject->digest, &image.digest));
	assert_string_equal(jval_get_str(m.annotations, "dev.sigstore.bundle.content"),
			    "dsse-envelope");
	assert_string_equal(jval_get_str(m.annotations, "org.opencontainers.image.created"),
			    "2023-11-14T22:13:20Z");
	assert_done(oci_layout_read(layout, &m.layers[0].digest, &bundle, &e));
	assert_done(jval_parse(bundle.data, bundle.len, "bundle", &v, &e));
	assert_string_equal(
	    jval_get_str(jval_get(jval_get(v, "verificationMaterial"), "publicKey"), "hint"), hint);
	/* more members, and cosign finds no signature */
	assert_int_equal(jval_len(jval_at(jval_get(jval_get(v, "dsseEnvelope"), "signatures"), 0)),
			 1);
}

static void passes_only_as_a_signature(void **state)
{
	(void)state;
	attest("https://slsa.dev/provenance/v1", key);
	assert_refused(verify(key), ERR_VERIFY,
		       "it says https://slsa.dev/provenance/v1, which is no signature");
	sign_as(id, key);
	assert_done(verify(key));
	assert_refused(verify(other), ERR_VERIFY, "none of its 2 bundle signatures");
}

static void no_statement_passes_for_one(void **state)
{
	struct buf s SCOPED(buf_release) = BUF_INIT(ATTEST_MAX);

	(void)state;
	bundle_payload(id, &image.digest, NOW, &s);
	assert_refused(attest_image(layout, &image, &s, key, &e), ERR_VERIFY, "passes for");
}

static void a_foreign_one_changes_nothing(void **state)
{
	(void)state;
	sign_as(id, other);
	assert_refused(verify(key), ERR_VERIFY, "none of its 1 bundle signatures");
	sign_as(id, key);
	assert_done(verify(key));
	assert_done(verify(other));
}

/* Lists the image's bundles under another image. */
static void is_of_one_image(void **state)
{
	struct oci_index list SCOPED(oci_index_release) = {0};
	struct oci_desc evil;

	(void)state;
	sign_as(id, key);
	get_list(&list);
	add_image("evil", &evil);
	assert_done(oci_referrers_save(layout, &evil.digest, &list, &e));
	oci_desc_release(&image);
	image = evil;
	assert_refused(verify(key), ERR_VERIFY, "is of another image");
}

/* A bundle made of the image's own by changing its text, as the image's only one. */
static void replace_with(const char *bundle)
{
	struct oci_index list SCOPED(oci_index_release) = {0};
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};

	m.artifact_type = mem_strdup(BUNDLE_TYPE);
	m.layers = mem_zalloc(sizeof(*m.layers));
	m.layers_n = 1;
	m.layers[0] =
	    (struct oci_desc){.media_type = mem_strdup(BUNDLE_TYPE), .size = strlen(bundle)};
	assert_done(oci_layout_add(layout, bundle, strlen(bundle), &m.layers[0].digest, &e));
	assert_done(oci_referrer_add(layout, &image, &m, &list, &e));
	assert_done(oci_referrers_save(layout, &image.digest, &list, &e));
}

static void changed_ones_are_refused(void **state)
{
	static const char *const bad[] = {
	    "",
	    "[]",
	    "{}",
	    "{\"mediaType\":\"application/vnd.dev.sigstore.bundle.v0.3+json\"}",
	    ("{\"mediaType\":\"application/vnd.dev.sigstore.bundle.v0.3+json\",\"dsseEnvelope\":"
	     "{\"payload\":\"e30=\",\"payloadType\":\"application/vnd.in-toto+json\","
	     "\"signatures\":[{\"sig\":\"\"}]}}"),
	};
	struct buf s SCOPED(buf_release) = BUF_INIT(ATTEST_MAX);
	struct buf good SCOPED(buf_release) = BUF_INIT(ATTEST_MAX);
	struct digest elsewhere = digest_of("x", 1);
	char *at_type;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		replace_with(bad[i]);
		assert_refused(verify(key), ERR_VERIFY, "none of its 1 bundle signatures");
	}
	bundle_payload(id, &image.digest, NOW, &s);
	assert_done(bundle_seal(&s, key, &good, &e));
	replace_with(good.data);
	assert_done(verify(key));
	at_type = strstr(good.data, "bundle.v0.3");
	memcpy(at_type, "bundle.v0.4", 11);
	replace_with(good.data);
	assert_refused(verify(key), ERR_VERIFY, "is no sigstore bundle v0.3");
	buf_cut(&s, 0);
	buf_cut(&good, 0);
	bundle_payload(id, &elsewhere, NOW, &s);
	assert_done(bundle_seal(&s, key, &good, &e));
	replace_with(good.data);
	assert_refused(verify(key), ERR_VERIFY, "is for the manifest sha256:");
}

/* Each byte of a bundle that is changed is noticed or does not count. */
static void flipped_bytes(void **state)
{
	struct buf s SCOPED(buf_release) = BUF_INIT(ATTEST_MAX);
	struct buf good SCOPED(buf_release) = BUF_INIT(ATTEST_MAX);
	struct digest d = digest_of("file", 4), d2 = digest_of("File", 4);
	int64_t stamped = 1;
	struct bundle_said said SCOPED(bundle_said_release);

	(void)state;
	bundle_payload(id, &image.digest, NOW, &s);
	assert_done(bundle_seal(&s, key, &good, &e));
	for (size_t i = 0; i < good.len; i++) {
		bundle_said_init(&said);
		good.data[i] ^= 1;
		if (bundle_open(&good, sign_key_public(key), NULL, &said, &e) == 0)
			assert_string_equal(said.statement.data, s.data);
		good.data[i] ^= 1;
		bundle_said_release(&said);
	}
	bundle_said_init(&said);
	buf_cut(&good, 0);
	assert_done(bundle_of_file(&d, key, &good, &e));
	assert_done(bundle_check_file(&good, sign_key_public(key), NULL, &d, &stamped, &e));
	assert_int_equal(stamped, 0);
	assert_refused(bundle_check_file(&good, sign_key_public(key), NULL, &d2, &stamped, &e),
		       ERR_VERIFY, "does not fit");
	assert_refused(bundle_open(&good, sign_key_public(key), NULL, &said, &e), ERR_VERIFY,
		       "not an envelope");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(has_what_cosign_reads, make_layout, drop_layout),
	    cmocka_unit_test_setup_teardown(passes_only_as_a_signature, make_layout, drop_layout),
	    cmocka_unit_test_setup_teardown(no_statement_passes_for_one, make_layout, drop_layout),
	    cmocka_unit_test_setup_teardown(a_foreign_one_changes_nothing, make_layout,
					    drop_layout),
	    cmocka_unit_test_setup_teardown(is_of_one_image, make_layout, drop_layout),
	    cmocka_unit_test_setup_teardown(changed_ones_are_refused, make_layout, drop_layout),
	    cmocka_unit_test_setup_teardown(flipped_bytes, make_layout, drop_layout),
	};

	return cmocka_run_group_tests_name("sign-bundle", tests, set_up, tear_down);
}
