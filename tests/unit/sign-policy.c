#include "sign-layout.h"

#include "oci/referrers.h"
#include "sign/bundles.h"
#include "sign/policy.h"
#include "sign/promotion.h"

static struct sign_policy *load(const char *text)
{
	char *path SCOPED(mem_freep) = at("policy.yaml");
	struct sign_policy *p = NULL;

	put_file(path, text, strlen(text), 0644);
	e = (struct err)ERR_INIT;
	return sign_policy_load(path, &p, &e) == 0 ? p : NULL;
}

static struct sign_policy *must_load(const char *text)
{
	struct sign_policy *p = load(text);

	if (p == NULL)
		fail_msg("%s", e.msg);
	return p;
}

/* How many good signatures the policy found, or -1. */
static int judge(const char *text, const char *identity)
{
	struct sign_policy *p SCOPED(sign_policy_freep) = must_load(text);
	struct sign_report r SCOPED(sign_report_release) = {0};

	e = (struct err)ERR_INIT;
	if (sign_policy_verify(p, layout, &image, identity, &r, &e) != 0)
		return -1;
	return (int)r.n;
}

#define HEAD              "posmedia: 1\nrepositories:\n"
#define RULE(match, more) "  - match: \"" match "\"\n    keys: [" more "]\n"
static const char one[] = HEAD RULE("localhost:5000/pos/rti", "key.pub");
static const char two[] =
    HEAD RULE("localhost:5000/pos/rti", "key.pub, other.pub") "    require: 2\n";

static void test_one_key(void **state)
{
	(void)state;
	assert_refused(judge(one, id), ERR_VERIFY, "no OpenPGP signature");
	assert_non_null(strstr(e.msg, "policy.yaml:3: localhost:5000/pos/rti:16.1.5: "));
	sign_as(id, other);
	assert_refused(judge(one, id), ERR_VERIFY, "none of its 1 OpenPGP signatures");
	sign_as(id, key);
	assert_int_equal(judge(one, id), 3);
	assert_refused(judge(one, "localhost:5000/pos/rti:16.1.6"), ERR_VERIFY, "it is for");
	assert_refused(judge(one, "localhost:5000/pos/rti"), ERR_VERIFY, "it is for");
}

static void test_default_rejects(void **state)
{
	static const char daisy[] = "localhost:5000/pos/daisy:1";

	(void)state;
	sign_as(daisy, key);
	assert_refused(judge(one, daisy), ERR_VERIFY, "the default is to reject");
	assert_non_null(strstr(e.hint, "localhost:5000/pos/daisy"));
	assert_refused(judge("posmedia: 1\n", daisy), ERR_VERIFY, "default");
	assert_refused(judge("posmedia: 1\ndefault: reject\nrepositories: []\n", daisy), ERR_VERIFY,
		       "default");
	assert_int_equal(judge("posmedia: 1\ndefault: accept\n", daisy), 0);
	/* accepting by default does not weaken a rule */
	assert_refused(
	    judge(HEAD RULE("localhost:5000/pos/*", "other.pub") "default: accept\n", daisy),
	    ERR_VERIFY, "none of its");
}

static void test_two_of_two(void **state)
{
	(void)state;
	sign_as(id, key);
	assert_refused(judge(two, id), ERR_VERIFY, "by 2 of its 2 keys, found 1");
	sign_as("localhost:5000/pos/rti:other", other);
	assert_refused(judge(two, id), ERR_VERIFY, "by 2 of its 2 keys, found 1");
	sign_as(id, other);
	assert_int_equal(judge(two, id), 6);
}

/* The same key twice, in the policy or in the image, is one key. */
static void test_one_key_counts_once(void **state)
{
	char *copy SCOPED(mem_freep) = at("copy.pub");
	char *pub SCOPED(mem_freep) = at("key.pub");
	char *tag SCOPED(mem_freep) = NULL;
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 16);
	struct oci_manifest m = {0};
	struct oci_desc again[2], d = {0};
	char type[] = OCI_MANIFEST;

	(void)state;
	get_file(pub, &b);
	put_file(copy, b.data, b.len, 0644);
	assert_null(
	    load(HEAD RULE("localhost:5000/pos/rti", "key.pub, copy.pub") "    require: 2\n"));
	assert_non_null(strstr(e.msg, "policy.yaml:4:21: copy.pub: the same key twice"));

	sign_as(id, key);
	signatures("pgp", &m);
	again[0] = again[1] = m.layers[0];
	free(m.layers);
	m.layers = again;
	m.layers_n = 2;
	b.len = 0;
	oci_manifest_write(&m, &b);
	d = (struct oci_desc){.media_type = type, .size = b.len};
	assert_done(oci_layout_add(layout, b.data, b.len, &d.digest, &e));
	tag = mem_format("sha256-%s.pgp", digest_hex(&image.digest).s);
	assert_done(oci_layout_tag(layout, tag, &d, &e));
	assert_refused(judge(two, id), ERR_VERIFY,
		       "wants OpenPGP signatures by 2 of its 2 keys, found 1");
	assert_int_equal(judge(one, id), 4);
	m.layers = mem_zalloc(sizeof(*m.layers));
	m.layers[0] = again[0];
	m.layers_n = 1;
	oci_manifest_release(&m);
}

static void test_forms(void **state)
{
	char *tag SCOPED(mem_freep) = NULL;

	(void)state;
	sign_as(id, key);
	tag = mem_format("sha256-%s.pgp", digest_hex(&image.digest).s);
	/* point the OpenPGP tag at something with no layers */
	assert_done(oci_layout_tag(layout, tag, &image, &e));
	assert_refused(judge(one, id), ERR_VERIFY, "no OpenPGP signature");
	assert_int_equal(
	    judge(HEAD RULE("localhost:5000/pos/rti", "key.pub") "    forms: [cosign]\n", id), 2);
}

static void test_first_match_and_globs(void **state)
{
	static const char *const hits[] = {"localhost:5000/pos/*", "*/pos/rti", "*/*/*",
					   "localhost:500[0-9]/pos/rt?"};
	static const char *const misses[] = {"localhost:5000/*", "localhost:5000/po",
					     "localhost/pos/*", "localhost:5000/pos/rti:*"};
	(void)state;
	sign_as(id, key);
	for (size_t i = 0; i < sizeof(hits) / sizeof(hits[0]); i++) {
		char *text SCOPED(mem_freep) =
		    mem_format("%s  - match: \"%s\"\n    keys: [key.pub]\n", HEAD, hits[i]);

		assert_int_equal(judge(text, id), 3);
	}
	for (size_t i = 0; i < sizeof(misses) / sizeof(misses[0]); i++) {
		char *text SCOPED(mem_freep) =
		    mem_format("%s  - match: \"%s\"\n    keys: [key.pub]\n", HEAD, misses[i]);

		assert_refused(judge(text, id), ERR_VERIFY, "no rule for");
	}
	assert_refused(judge(HEAD RULE("localhost:5000/pos/rti", "other.pub")
				 RULE("localhost:5000/pos/*", "key.pub"),
			     id),
		       ERR_VERIFY, "policy.yaml:3:");
}

/* A statement that the image is let into a stage, under the name that it is verified by. */
static void promotes(const struct oci_desc *d, int stage, struct buf *ret)
{
	*ret = (struct buf)BUF_INIT(ATTEST_MAX);
	promotion_make(id, &d->digest, stage, NOW, ret);
}

static void promote(const struct oci_desc *d)
{
	for (int stage = 1; stage <= 2; stage++) {
		struct buf s SCOPED(buf_release);

		promotes(d, stage, &s);
		assert_done(attest_image(layout, d, &s, key, &e));
	}
}

/* Hangs the statements about one image on another, as who may push can. */
static void transplant(const struct oci_desc *from, const struct oci_desc *to)
{
	char *theirs SCOPED(mem_freep) = mem_format("sha256-%s.att", digest_hex(&from->digest).s);
	char *tag SCOPED(mem_freep) = mem_format("sha256-%s.att", digest_hex(&to->digest).s);
	struct oci_index list SCOPED(oci_index_release) = {0};
	struct oci_desc att SCOPED(oci_desc_release) = {0};

	assert_done(oci_layout_find(layout, theirs, NULL, &att, &e));
	assert_done(oci_layout_tag(layout, tag, &att, &e));
	assert_done(oci_referrers(layout, &to->digest, &list, &e));
	for (int stage = 1; stage <= 2; stage++) {
		struct buf s SCOPED(buf_release);

		promotes(from, stage, &s);
		assert_done(bundle_add(layout, to, &s, key, &list, &e));
	}
	assert_done(oci_referrers_save(layout, &to->digest, &list, &e));
}

static void test_statements_of_another_image(void **state)
{
	static const char stage[] =
	    HEAD RULE("localhost:5000/pos/rti", "key.pub") "    stage: prod\n";
	static const char type[] =
	    HEAD RULE("localhost:5000/pos/rti",
		      "key.pub") "    attestations: [{type: \"urn:posmedia:promotion:v1:qa\"}]\n";
	struct oci_desc twin SCOPED(oci_desc_release) = {0};

	(void)state;
	sign_as(id, key);
	add_image("twin", &twin);
	promote(&twin);
	transplant(&twin, &image);
	assert_refused(judge(stage, id), ERR_VERIFY, "is not promoted");
	assert_refused(judge(type, id), ERR_VERIFY, "wants an attestation");
	promote(&image);
	assert_int_equal(judge(stage, id), 3);
	assert_int_equal(judge(type, id), 3);
}

/* The name of one subject does not go with the digest of another. */
static void test_promotion_of_several(void **state)
{
	static const char qa[] = HEAD RULE("localhost:5000/pos/rti", "key.pub") "    stage: qa\n";
	struct buf s SCOPED(buf_release) = BUF_INIT(ATTEST_MAX);

	(void)state;
	sign_as(id, key);
	buf_addf(&s,
		 "{\"_type\":\"" ATTEST_STATEMENT "\",\"subject\":[{\"name\":\"%s\"},"
		 "{\"name\":\"other\",\"digest\":{\"sha256\":\"%s\"}}],\"predicateType\":\"%s\","
		 "\"predicate\":{\"stage\":\"qa\",\"timestamp\":1}}",
		 id, digest_hex(&image.digest).s, promotion_type(1));
	assert_done(attest_image(layout, &image, &s, key, &e));
	assert_refused(judge(qa, id), ERR_VERIFY, "is not promoted");
}

/* SOURCE_DATE_EPOCH is the time of what is made, not the time at which it is judged. */
static void test_keys_by_the_clock(void **state)
{
	static const char then[] = HEAD RULE(
	    "localhost:5000/pos/rti", "{file: key.pub, from: 2020-01-01}, {file: other.pub, until: "
				      "2021-01-01}") "    stage: qa\n";
	struct buf s SCOPED(buf_release);

	(void)state;
	sign_as(id, key);
	promotes(&image, 1, &s);
	assert_done(attest_image(layout, &image, &s, other, &e));
	assert_refused(judge(then, id), ERR_VERIFY, "is not promoted");
	assert_int_equal(setenv("SOURCE_DATE_EPOCH", "1600000000", 1), 0);
	assert_refused(judge(then, id), ERR_VERIFY, "is not promoted");
	assert_int_equal(unsetenv("SOURCE_DATE_EPOCH"), 0);
}

static void test_bad_files(void **state)
{
	static const char *const wrong[][2] = {
	    {"", "policy.yaml:"},
	    {"repositories: []\n", ":1:1: no posmedia: 1"},
	    {"posmedia: 2\n", ":1:11: this version"},
	    {"posmedia: 1\nposmedia: 1\n", ":2:1:"},
	    {"posmedia: 1\ndefualt: reject\n", ":2:1: unknown key defualt"},
	    {"posmedia: 1\ndefault: allow\n", ":2:10: wants reject or accept"},
	    {"posmedia: 1\ndefault: [reject]\n", ":2:10: wants reject or accept"},
	    {"posmedia: 1\nrepositories: {}\n", ":2:15: wants a list"},
	    {"posmedia: 1\nrepositories: [x]\n", ":2:16: wants a map"},
	    {HEAD "  - keys: [key.pub]\n", ":3:5: a rule without match"},
	    {HEAD "  - match: \"*\"\n    keys: [key.pub]\n", ":3:12: wants a pattern"},
	    {HEAD "  - match: [a/b]\n    keys: [key.pub]\n", ":3:12: wants a pattern"},
	    {HEAD "  - match: a/b\n", ":3:5: a rule without keys"},
	    {HEAD "  - match: a/b\n    keys: []\n", ":4:11: wants a list of 1"},
	    {HEAD "  - match: a/b\n    keys: key.pub\n", ":4:11: wants a list of 1"},
	    {HEAD "  - match: a/b\n    keys: [absent.pub]\n", ":4:12: "},
	    {HEAD "  - match: a/b\n    keys: [[key.pub]]\n", ":4:12: wants the file"},
	    {HEAD "  - match: a/b\n    keys: [key.gpg]\n", ":4:12: "},
	    {HEAD "  - match: a/b\n    keys: [key]\n", ":4:12: "},
	    {HEAD RULE("a/b", "key.pub") "    forms: [pgp]\n", ":5:13: wants openpgp, cosign"},
	    {HEAD RULE("a/b", "key.pub") "    forms: []\n", ":5:12: wants a list"},
	    {HEAD RULE("a/b", "key.pub") "    require: 0\n", ":5:14: wants a number"},
	    {HEAD RULE("a/b", "key.pub") "    require: -1\n", ":5:14: wants a number"},
	    {HEAD RULE("a/b", "key.pub") "    require: 2\n", ":5:14: requires 2 keys of 1"},
	    {HEAD RULE("a/b", "key.pub") "    requires: 1\n", ":5:5: unknown key requires"},
	    {HEAD RULE("a/b", "{from: 2026-01-01}"), ":4:12: wants the file"},
	    {HEAD RULE("a/b", "{file: key.pub, til: 1}"), ":4:28: unknown key til"},
	    {HEAD RULE("a/b", "{file: key.pub, until: 2026-13-01}"), ":4:35: wants a day"},
	    {HEAD RULE("a/b", "{file: key.pub}, key.pub"), ":4:29: key.pub: the same key twice"},
	    {HEAD RULE("a/b", "key.pub") "    stage: dev\n", ":5:12: wants qa or prod"},
	    {HEAD RULE("a/b", "key.pub") "    tsa: key.pub\n", ":5:10: "},
	    {HEAD RULE("a/b", "key.pub") "    attestations: [{}]\n", ":5:20: wants the type"},
	    {HEAD RULE("a/b", "key.pub") "    attestations: [{type: t, where: [x]}]\n",
	     ":5:37: wants a map"},
	};
	struct sign_policy *p = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_null(load(wrong[i][0]));
		if (e.kind != ERR_RECIPE || strstr(e.msg, wrong[i][1]) == NULL)
			fail_msg("%zu: kind %d: %s", i, (int)e.kind, e.msg);
	}
	assert_refused(sign_policy_load("/nonexistent.yaml", &p, &e), ERR_FAIL, "policy");
}

static void test_the_example(void **state)
{
	struct sign_policy *p SCOPED(sign_policy_freep) = NULL;
	struct sign_report r = {0};

	(void)state;
	sign_as(id, key);
	assert_done(sign_policy_load("signing/policy.yaml", &p, &e));
	assert_refused(sign_policy_verify(p, layout, &image, id, &r, &e), ERR_VERIFY, "reject");
}

#define t(f) cmocka_unit_test_setup_teardown(f, make_layout, drop_layout)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    t(test_one_key),
	    t(test_default_rejects),
	    t(test_two_of_two),
	    t(test_one_key_counts_once),
	    t(test_forms),
	    t(test_first_match_and_globs),
	    t(test_bad_files),
	    t(test_the_example),
	    t(test_statements_of_another_image),
	    t(test_promotion_of_several),
	    t(test_keys_by_the_clock),
	};

	return cmocka_run_group_tests_name("sign-policy", tests, set_up, tear_down);
}
