/* sign: statements about images: who may make them, what they must say, and that they do not grow.
 */
#include "sign-layout.h"
#include "sign/attest.h"

#include "form/hex.h"
#include "oci/referrers.h"
#include "sign/bundles.h"

/* A statement about a digest with this result. */
static void say(const struct digest *d, const char *result, struct buf *ret)
{
	*ret = (struct buf)BUF_INIT(ATTEST_MAX);
	buf_addf(ret,
		 "{\"_type\":\"https://in-toto.io/Statement/v1\",\"subject\":[{\"name\":\"x\","
		 "\"digest\":{}},{\"name\":\"m\",\"digest\":{\"sha256\":\"%s\"}}],"
		 "\"predicateType\":\"urn:test\",\"predicate\":{\"result\":\"%s\"}}",
		 digest_hex(d).s, result);
}

static int attests(const struct sign_key *k, const char *result)
{
	struct buf s SCOPED(buf_release);

	say(&image.digest, result, &s);
	return attest_image(layout, &image, &s, k, &e);
}

static int is_attested(const struct sign_key *k, const char *result)
{
	struct buf s SCOPED(buf_release);
	/* only borrowed */
	struct sign_public *const keys[] = {(struct sign_public *)(uintptr_t)sign_key_public(k)};
	const struct attest_keys by = {keys, 1};

	say(&image.digest, result, &s);
	return attest_verify(layout, &image.digest, &s, &by, &e);
}

static size_t count(void)
{
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};

	signatures("att", &m);
	return m.layers_n;
}

static void knows_who_attested_what(void **state)
{
	(void)state;
	assert_int_equal(is_attested(key, "PASSED"), -1);
	assert_int_equal(e.kind, ERR_VERIFY);
	assert_done(attests(key, "PASSED"));
	assert_done(is_attested(key, "PASSED"));
	assert_int_equal(is_attested(key, "WARNED"), -1);
	assert_non_null(strstr(e.msg, "1 others, and there are 1 in all"));
	assert_int_equal(is_attested(other, "PASSED"), -1);
	assert_non_null(strstr(e.msg, "0 others, and there are 1 in all"));
}

static void replaces_its_own_only(void **state)
{
	(void)state;
	assert_done(attests(key, "PASSED"));
	assert_done(attests(key, "PASSED"));
	assert_int_equal(count(), 1);
	assert_done(attests(other, "PASSED"));
	assert_int_equal(count(), 2);
	assert_done(attests(key, "WARNED"));
	assert_int_equal(count(), 2);
	assert_done(is_attested(key, "WARNED"));
	assert_done(is_attested(other, "PASSED"));
	assert_int_equal(is_attested(key, "PASSED"), -1);
}

static void says_what_cosign_looks_for(void **state)
{
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};

	(void)state;
	assert_done(attests(key, "PASSED"));
	signatures("att", &m);
	assert_string_equal(m.config.media_type, OCI_CONFIG);
	assert_string_equal(m.layers[0].media_type, "application/vnd.dsse.envelope.v1+json");
	assert_string_equal(jval_get_str(m.layers[0].annotations, SIGN_COSIGN_NOTE), "");
	assert_string_equal(jval_get_str(m.layers[0].annotations, "predicateType"), "urn:test");
}

static void refuses_statements(void **state)
{
	static const char *const bad[] = {
	    "",
	    "[]",
	    "{}",
	    "{\"_type\":\"https://in-toto.io/Statement/v0.1\",\"predicateType\":\"x\"}",
	    "{\"_type\":\"https://in-toto.io/Statement/v1\",\"subject\":[]}",
	    ("{\"_type\":\"https://in-toto.io/Statement/v1\",\"predicateType\":\"x\","
	     "\"subject\":[{\"digest\":{\"sha512\":\"0\"}},7,{\"digest\":{\"sha256\":[]}}]}"),
	};
	struct digest elsewhere = digest_of("x", 1);
	struct buf s;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		s = (struct buf)BUF_INIT(ATTEST_MAX);
		buf_addf(&s, "%s", bad[i]);
		assert_int_equal(attest_image(layout, &image, &s, key, &e), -1);
		buf_release(&s);
	}
	say(&elsewhere, "PASSED", &s);
	assert_int_equal(attest_image(layout, &image, &s, key, &e), -1);
	assert_int_equal(e.kind, ERR_VERIFY);
	assert_non_null(strstr(e.msg, "is not about sha256:"));
	buf_release(&s);
	assert_int_equal(attests(key, "FAILED"), -1);
	assert_non_null(strstr(e.msg, "says that the image failed"));
}

/* Puts an envelope of our making in the place of the attestation. */
static void forge(const char *envelope)
{
	char *tag SCOPED(mem_freep) = mem_format("sha256-%s.att", digest_hex(&image.digest).s);
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};
	struct oci_desc d SCOPED(oci_desc_release) = {.media_type = mem_strdup(OCI_MANIFEST)};
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	const struct oci_index none = {0};

	assert_done(oci_referrers_save(layout, &image.digest, &none, &e)); /* the other store */
	signatures("att", &m);
	m.layers[0].size = strlen(envelope);
	assert_done(oci_layout_add(layout, envelope, strlen(envelope), &m.layers[0].digest, &e));
	oci_manifest_write(&m, &b);
	d.size = b.len;
	assert_done(oci_layout_add(layout, b.data, b.len, &d.digest, &e));
	assert_done(oci_layout_tag(layout, tag, &d, &e));
}

/* An envelope with the statement, the type and so many copies of the key's signature of it. */
static char *envelope(const char *type, int copies, bool spoil)
{
	struct buf s SCOPED(buf_release), text SCOPED(buf_release) = BUF_INIT(ATTEST_MAX);
	struct buf der SCOPED(buf_release) = BUF_INIT(72);
	struct buf sigs SCOPED(buf_release) = BUF_INIT(4096);
	char *payload SCOPED(mem_freep) = NULL, *sig SCOPED(mem_freep) = NULL;

	say(&image.digest, "PASSED", &s);
	buf_addf(&text, "DSSEv1 %zu %s %zu %s", strlen(type), type, s.len, s.data);
	assert_done(sign_bytes(key, text.data, text.len, &der, &e));
	if (spoil)
		der.data[der.len - 1] ^= 1;
	payload = base64_encode(s.data, s.len);
	sig = base64_encode(der.data, der.len);
	for (int i = 0; i < copies; i++)
		buf_addf(&sigs, "%s{\"sig\":\"%s\"}", i == 0 ? "" : ",", sig);
	return mem_format("{\"payload\":\"%s\",\"payloadType\":\"%s\",\"signatures\":[%s]}",
			  payload, type, sigs.data);
}

static void believes_no_other_envelope(void **state)
{
	static const struct {
		const char *type;
		int copies;
		bool spoil;
		int want;
	} rows[] = {
	    {"application/vnd.in-toto+json", 1, false, 0},
	    {"application/vnd.in-toto+json", 1, true, -1},
	    {"application/vnd.in-toto+json", 0, false, -1},
	    {"application/vnd.in-toto+json", 2, false, -1},
	    {"text/plain", 1, false, -1},
	};
	static const char *const garbage[] = {"", "{}", "[1]", "{\"payload\":1,\"signatures\":{}}"};

	(void)state;
	assert_done(attests(key, "PASSED"));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *text SCOPED(mem_freep) =
		    envelope(rows[i].type, rows[i].copies, rows[i].spoil);

		forge(text);
		assert_int_equal(is_attested(key, "PASSED"), rows[i].want);
	}
	for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
		forge(garbage[i]);
		assert_int_equal(is_attested(key, "PASSED"), -1);
	}
}

/* The text with each `from` as `to`; the caller owns it. */
static char *replaced(const char *text, const char *from, const char *to)
{
	struct buf b = BUF_INIT(ATTEST_MAX);

	for (const char *at; (at = strstr(text, from)) != NULL; text = at + strlen(from)) {
		buf_add(&b, text, (size_t)(at - text));
		buf_add(&b, to, strlen(to));
	}
	buf_add(&b, text, strlen(text));
	return buf_take(&b);
}

/* Who names his key, or writes base64 as URLs want it, has signed all the same. */
static void reads_what_others_write(void **state)
{
	char *plain SCOPED(mem_freep) = NULL, *named SCOPED(mem_freep) = NULL;
	char *url SCOPED(mem_freep) = NULL, *bare SCOPED(mem_freep) = NULL;

	(void)state;
	assert_done(attests(key, "PASSED"));
	plain = envelope("application/vnd.in-toto+json", 1, false);
	named = replaced(plain, "{\"sig\"", "{\"keyid\":\"anything\",\"sig\"");
	forge(named);
	assert_int_equal(is_attested(key, "PASSED"), 0);
	bare = replaced(plain, "=", "");
	url = replaced(bare, "+", "-");
	(void)memcpy(strstr(url, "in-toto-json"), "in-toto+json", 12);
	for (char *p = strstr(url, "\"sig\""); *p != '\0'; p++)
		*p = *p == '/' ? '_' : *p;
	forge(url);
	assert_int_equal(is_attested(key, "PASSED"), 0);
}

/* How many statements of the key the image has, and how many others. */
static void count_all(const struct oci_desc *d, size_t *ret_n, size_t *ret_others)
{
	struct sign_public *const keys[] = {(struct sign_public *)(uintptr_t)sign_key_public(key)};
	const struct attest_keys by = {keys, 1};
	struct attest_list all SCOPED(attest_list_release) = {0};

	assert_done(attest_collect(layout, &d->digest, &by, &all, &e));
	*ret_n = all.n;
	*ret_others = all.others;
}

/* Who hangs a statement on an image signs nothing: what is signed says which image it is about. */
static void takes_none_of_another_image(void **state)
{
	struct oci_desc twin SCOPED(oci_desc_release) = {0}, att SCOPED(oci_desc_release) = {0};
	struct oci_index list SCOPED(oci_index_release) = {0};
	struct buf s SCOPED(buf_release);
	char *from SCOPED(mem_freep) = mem_format("sha256-%s.att", digest_hex(&image.digest).s);
	char *to SCOPED(mem_freep) = NULL;
	size_t n, others;

	(void)state;
	assert_done(attests(key, "PASSED"));
	count_all(&image, &n, &others);
	assert_int_equal(n, 1);
	assert_int_equal(others, 0);
	add_image("twin", &twin);
	to = mem_format("sha256-%s.att", digest_hex(&twin.digest).s);
	assert_done(oci_layout_find(layout, from, NULL, &att, &e));
	assert_done(oci_layout_tag(layout, to, &att, &e));
	count_all(&twin, &n, &others);
	assert_int_equal(n, 0);
	assert_int_equal(others, 1);
	assert_done(oci_layout_tag(layout, to, &twin, &e)); /* has no layers */
	say(&image.digest, "PASSED", &s);
	assert_done(bundle_add(layout, &twin, &s, key, &list, &e));
	assert_done(oci_referrers_save(layout, &twin.digest, &list, &e));
	count_all(&twin, &n, &others);
	assert_int_equal(n, 0);
	assert_int_equal(others, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(knows_who_attested_what, make_layout, drop_layout),
	    cmocka_unit_test_setup_teardown(replaces_its_own_only, make_layout, drop_layout),
	    cmocka_unit_test_setup_teardown(says_what_cosign_looks_for, make_layout, drop_layout),
	    cmocka_unit_test_setup_teardown(refuses_statements, make_layout, drop_layout),
	    cmocka_unit_test_setup_teardown(believes_no_other_envelope, make_layout, drop_layout),
	    cmocka_unit_test_setup_teardown(reads_what_others_write, make_layout, drop_layout),
	    cmocka_unit_test_setup_teardown(takes_none_of_another_image, make_layout, drop_layout),
	};

	return cmocka_run_group_tests_name("sign-attest", tests, set_up, tear_down);
}
