/* What GnuPG, OpenSSL's own program and skopeo say about keys and signatures of ours. */
#include "sign-layout.h"

#include "sys/proc.h"
#include <stdio.h>

static const char manifest_text[] =
    "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\"}";
static char *home, *env_home;

static int enter(void **state)
{
	if (set_up(state) != 0)
		return -1;
	home = at("gnupg");
	env_home = mem_format("GNUPGHOME=%s", home);
	return mkdir(home, 0700);
}

static int leave(void **state)
{
	free(home);
	free(env_home);
	return tear_down(state);
}

/* Runs a program in the scratch directory; returns its exit status and what it said. */
static int run(const char *const *argv, struct buf *out)
{
	const char *env[] = {"PATH=/usr/bin:/bin", "LC_ALL=C", env_home, NULL};
	struct proc_spec spec = {
	    .argv = argv, .env = env, .cwd = scratch, .out = out, .err = out, .timeout_ms = 60000};
	struct proc_result r;

	out->len = 0;
	if (proc_run(&spec, &r, &e) != 0)
		fail_msg("%s", e.msg);
	return r.status;
}

#define RUN(out, ...) run((const char *const[]){__VA_ARGS__, NULL}, out)
#define GPG                                                                                        \
	"gpg", "--batch", "--no-autostart", "--trust-model", "always", "--no-default-keyring",     \
	    "--keyring"

static void put(const char *name, const void *p, size_t n)
{
	char *path SCOPED(mem_freep) = at(name);

	put_file(path, p, n, 0644);
}

static void message_for(const char *identity, struct buf *payload, struct buf *msg)
{
	struct digest d = digest_of(manifest_text, sizeof(manifest_text) - 1);

	payload->len = msg->len = 0;
	sign_payload(SIGN_OPENPGP, identity, &d, NOW, payload);
	assert_done(sign_openpgp(key, payload->data, payload->len, NOW, msg, &e));
}

static void test_gpg_reads_the_keyring(void **state)
{
	struct buf out SCOPED(buf_release) = BUF_INIT(1 << 16);
	char *ring SCOPED(mem_freep) = at("key.gpg");
	char *fpr SCOPED(mem_freep) = sign_openpgp_fingerprint(sign_key_public(key), NOW);
	char *want SCOPED(mem_freep) = mem_format("fpr:::::::::%s:", fpr);

	(void)state;
	if (RUN(&out, GPG, ring, "--with-colons", "--check-sigs") != 0)
		fail_msg("%s", out.data);
	assert_non_null(strstr(out.data, want));
	assert_non_null(strstr(out.data, "Test <test@example.org>"));
	assert_non_null(strstr(out.data, "\nsig:!:")); /* the self-signature is good */
	assert_non_null(strstr(out.data, ":1700000000:"));
}

static void test_gpg_opens_the_message(void **state)
{
	struct buf payload SCOPED(buf_release) = BUF_INIT(1 << 16);
	struct buf msg SCOPED(buf_release) = BUF_INIT(1 << 16);
	struct buf out SCOPED(buf_release) = BUF_INIT(1 << 16);
	struct buf got SCOPED(buf_release) = BUF_INIT(1 << 16);
	char *mine SCOPED(mem_freep) = at("key.gpg");
	char *theirs SCOPED(mem_freep) = at("other.gpg");
	char *opened SCOPED(mem_freep) = at("opened");
	size_t full = 0;

	(void)state;
	for (int i = 0; i < 20000 && (full == 0 || msg.len == full); i++) {
		message_for(id, &payload, &msg); /* the last one has a short number */
		full = msg.len > full ? msg.len : full;
	}
	put("message", msg.data, msg.len);
	if (RUN(&out, GPG, mine, "--output", "opened", "--decrypt", "message") != 0)
		fail_msg("%s", out.data);
	assert_non_null(strstr(out.data, "Good signature from \"Test <test@example.org>\""));
	get_file(opened, &got);
	assert_string_equal(got.data, payload.data);
	assert_int_not_equal(RUN(&out, GPG, theirs, "--verify", "message"), 0);
	msg.data[40] ^= 1;
	put("message", msg.data, msg.len);
	assert_int_not_equal(RUN(&out, GPG, mine, "--verify", "message"), 0);
}

static int skopeo(const char *reference, struct buf *out)
{
	char *fpr SCOPED(mem_freep) = sign_openpgp_fingerprint(sign_key_public(key), NOW);

	return RUN(out, "skopeo", "standalone-verify", "manifest", reference, fpr, "message");
}

static void test_skopeo_verifies(void **state)
{
	struct buf payload SCOPED(buf_release) = BUF_INIT(1 << 16);
	struct buf msg SCOPED(buf_release) = BUF_INIT(1 << 16);
	struct buf out SCOPED(buf_release) = BUF_INIT(1 << 16);

	(void)state;
	message_for(id, &payload, &msg);
	put("message", msg.data, msg.len);
	put("manifest", manifest_text, sizeof(manifest_text) - 1);
	assert_int_not_equal(skopeo(id, &out), 0); /* the key is not there yet */
	if (RUN(&out, "gpg", "--batch", "--no-autostart", "--import", "key.gpg") != 0)
		fail_msg("%s", out.data);
	if (skopeo(id, &out) != 0)
		fail_msg("%s", out.data);
	assert_int_not_equal(skopeo("localhost:5000/pos/rti:16.1.6", &out), 0);
	put("manifest", "{}", 2);
	assert_int_not_equal(skopeo(id, &out), 0);
}

/* Writes the image and its OpenPGP signatures as skopeo's "dir:" transport keeps them. */
static void write_dir(void)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 20);
	struct oci_manifest m = {0};
	char *dir SCOPED(mem_freep) = at("dir");
	char *config SCOPED(mem_freep) = NULL;

	assert_done(fs_mkdirs(AT_FDCWD, dir, 0755, &e));
	put("dir/version", "Directory Transport Version: 1.1\n", 33);
	assert_done(oci_layout_read(layout, &image.digest, &b, &e));
	put("dir/manifest.json", b.data, b.len);
	assert_done(oci_manifest_parse(b.data, b.len, &m, &e));
	b.len = 0;
	assert_done(oci_layout_read(layout, &m.config.digest, &b, &e));
	config = mem_format("dir/%s", digest_hex(&m.config.digest).s);
	put(config, b.data, b.len);
	oci_manifest_release(&m);
	signatures("pgp", &m);
	for (size_t i = 0; i < m.layers_n; i++) {
		char *name SCOPED(mem_freep) = mem_format("dir/signature-%zu", i + 1);

		b.len = 0;
		assert_done(oci_layout_read(layout, &m.layers[i].digest, &b, &e));
		put(name, b.data, b.len);
	}
	oci_manifest_release(&m);
}

/* Copies it under a policy that wants `identity` signed by the keyrings' keys. */
static int copy_under(const char *identity, const char *const rings[2], struct buf *out)
{
	char *entry[2] = {NULL, NULL};
	char *policy SCOPED(mem_freep) = NULL;
	char *gone SCOPED(mem_freep) = at("copy");
	int rc;

	for (int i = 0; i < 2 && rings[i] != NULL; i++)
		entry[i] =
		    mem_format("%s{\"type\":\"signedBy\",\"keyType\":\"GPGKeys\",\"keyPath\":"
			       "\"%s/%s\",\"signedIdentity\":{\"type\":\"exactReference\","
			       "\"dockerReference\":\"%s\"}}",
			       i > 0 ? "," : "", scratch, rings[i], identity);
	policy = mem_format("{\"default\":[%s%s]}", entry[0], entry[1] != NULL ? entry[1] : "");
	free(entry[0]);
	free(entry[1]);
	put("policy.json", policy, strlen(policy));
	rc = RUN(out, "skopeo", "--policy", "policy.json", "copy", "dir:dir", "dir:copy");
	assert_done(fs_rmtree(AT_FDCWD, gone, &e));
	return rc;
}

static void test_skopeo_copies_under_policy(void **state)
{
	static const char *const mine[2] = {"key.gpg"}, *const theirs[2] = {"other.gpg"},
				 *const both[2] = {"key.gpg", "other.gpg"};
	static const char later[] = "localhost:5000/pos/rti:16.1.6";
	struct buf out SCOPED(buf_release) = BUF_INIT(1 << 16);

	(void)state;
	sign_as(id, key);
	write_dir();
	if (copy_under(id, mine, &out) != 0)
		fail_msg("%s", out.data);
	assert_int_not_equal(copy_under(id, theirs, &out), 0);
	assert_int_not_equal(copy_under(id, both, &out), 0);
	assert_int_not_equal(copy_under(later, mine, &out), 0);
	sign_as(later, key); /* a second identity and a second key beside the first */
	sign_as(id, other);
	write_dir();
	assert_int_equal(copy_under(id, both, &out), 0);
	assert_int_equal(copy_under(later, mine, &out), 0);
	assert_int_not_equal(copy_under(later, both, &out), 0);
}

static void test_openssl_verifies(void **state)
{
	struct buf der SCOPED(buf_release) = BUF_INIT(128);
	struct buf out SCOPED(buf_release) = BUF_INIT(1 << 16);

	(void)state;
	assert_done(sign_bytes(key, "message", 7, &der, &e));
	put("der", der.data, der.len);
	put("bytes", "message", 7);
	if (RUN(&out, "openssl", "dgst", "-sha256", "-verify", "key.pub", "-signature", "der",
		"bytes") != 0)
		fail_msg("%s", out.data);
	assert_int_not_equal(RUN(&out, "openssl", "dgst", "-sha256", "-verify", "other.pub",
				 "-signature", "der", "bytes"),
			     0);
}

static void test_openssl_signs(void **state)
{
	struct buf der SCOPED(buf_release) = BUF_INIT(128);
	struct buf out SCOPED(buf_release) = BUF_INIT(1 << 16);
	char *path SCOPED(mem_freep) = at("der2");

	(void)state;
	put("bytes", "message", 7);
	if (RUN(&out, "openssl", "dgst", "-sha256", "-sign", "key", "-out", "der2", "bytes") != 0)
		fail_msg("%s", out.data);
	get_file(path, &der);
	assert_done(sign_verify(sign_key_public(key), "message", 7, der.data, der.len, &e));
}

static void test_openssl_unseals(void **state)
{
	struct buf out SCOPED(buf_release) = BUF_INIT(1 << 16);
	struct sign_key *k SCOPED(sign_key_freep) = NULL;
	char *path SCOPED(mem_freep) = at("sealed");
	char *json SCOPED(mem_freep) = at("made.json");
	char *made SCOPED(mem_freep) = at("made");

	(void)state;
	assert_done(sign_key_new(path, uid, "secret", &e));
	if (RUN(&out, "openssl", "asn1parse", "-in", "sealed") != 0)
		fail_msg("%s", out.data);
	assert_non_null(strstr(out.data, "scrypt"));
	assert_non_null(strstr(out.data, "aes-256-cbc"));
	put("pass", "secret\n", 7);
	if (RUN(&out, "openssl", "pkey", "-in", "sealed", "-passin", "file:pass", "-noout",
		"-check") != 0)
		fail_msg("%s", out.data);
	/* and the other way, with the key derivation that is OpenSSL's usual one */
	if (RUN(&out, "openssl", "pkcs8", "-topk8", "-in", "key", "-out", "made", "-passout",
		"file:pass") != 0)
		fail_msg("%s", out.data);
	put_file(json, "{\"created\":1,\"uid\":\"x\"}", 23, 0644);
	assert_int_equal(chmod(made, 0600), 0);
	assert_done(sign_key_load(made, "secret", &k, &e));
}

static void must_run(const char *const *argv)
{
	struct buf out SCOPED(buf_release) = BUF_INIT(1 << 16);

	if (run(argv, &out) != 0)
		fail_msg("%s", out.data);
}

#define MUST_RUN(...) must_run((const char *const[]){__VA_ARGS__, NULL})

static void test_other_kinds_are_refused(void **state)
{
	static const char *const kinds[][2] = {{"EC", "ec_paramgen_curve:P-384"},
					       {"EC", "ec_paramgen_curve:secp256k1"},
					       {"RSA", "rsa_keygen_bits:2048"}};
	char *path SCOPED(mem_freep) = at("alien");
	char *pub_path SCOPED(mem_freep) = at("alien.pub");
	char *json SCOPED(mem_freep) = at("alien.json");

	(void)state;
	put_file(json, "{\"created\":1,\"uid\":\"x\"}", 23, 0644);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct sign_key *k = NULL;
		struct sign_public *pub = NULL;

		MUST_RUN("openssl", "genpkey", "-algorithm", kinds[i][0], "-pkeyopt", kinds[i][1],
			 "-out", "alien");
		MUST_RUN("openssl", "pkey", "-in", "alien", "-pubout", "-out", "alien.pub");
		assert_int_equal(chmod(path, 0600), 0);
		assert_refused(sign_key_load(path, NULL, &k, &e), ERR_VERIFY, "P-256");
		assert_refused(sign_public_load(pub_path, &pub, &e), ERR_VERIFY, "P-256");
	}
}

/* The same point, written in the two ways that RFC 5480 allows and we do not. */
static void test_other_encodings_are_refused(void **state)
{
	char *pub_path SCOPED(mem_freep) = at("alien.pub");
	struct sign_public *pub = NULL;

	(void)state;
	MUST_RUN("openssl", "ec", "-in", "key", "-param_enc", "explicit", "-pubout", "-out",
		 "alien.pub");
	assert_refused(sign_public_load(pub_path, &pub, &e), ERR_VERIFY, "P-256");
	MUST_RUN("openssl", "ec", "-in", "key", "-conv_form", "compressed", "-pubout", "-out",
		 "alien.pub");
	assert_refused(sign_public_load(pub_path, &pub, &e), ERR_VERIFY, "P-256");
	assert_refused(sign_public_load("/nonexistent", &pub, &e), ERR_FAIL, "No such file");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_gpg_reads_the_keyring),
	    cmocka_unit_test(test_gpg_opens_the_message),
	    cmocka_unit_test(test_skopeo_verifies),
	    cmocka_unit_test_setup_teardown(test_skopeo_copies_under_policy, make_layout,
					    drop_layout),
	    cmocka_unit_test(test_openssl_verifies),
	    cmocka_unit_test(test_openssl_signs),
	    cmocka_unit_test(test_openssl_unseals),
	    cmocka_unit_test(test_other_kinds_are_refused),
	    cmocka_unit_test(test_other_encodings_are_refused),
	};

	return cmocka_run_group_tests_name("sign-strangers", tests, enter, leave);
}
