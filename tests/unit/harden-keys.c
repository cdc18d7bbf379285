/* harden/secret_text: keys as the programs of the world really write them, and what is public. */
#include "harden-lib.h"
#include "harden-secrets.h"

#include "sys/proc.h"

static struct rootfs t;

static int set_up(void **state)
{
	(void)state;
	t = rootfs_make();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	rootfs_drop(&t);
	return 0;
}

static bool made(const char *const *argv)
{
	struct err e = ERR_INIT;
	struct proc_spec s = {.argv = argv, .cwd = t.path};

	if (proc_ok(&s, ERR_FAIL, &e) == 0)
		return true;
	print_message("%s\n", e.msg);
	return false;
}

#define MAKE(...)                                                                                  \
	do {                                                                                       \
		if (!made((const char *const[]){__VA_ARGS__, NULL}))                               \
			fail();                                                                    \
	} while (0)

/* All that is found, one a line. */
static char *found(void)
{
	struct strv v SCOPED(strv_release) = {0};
	struct buf b = BUF_INIT(1 << 16);
	struct err e = ERR_INIT;

	if (secrets_in(t.path, &v, &e) != 0)
		fail_msg("%s", e.msg);
	for (size_t i = 0; i < v.n; i++)
		buf_addf(&b, "%s\n", v.v[i]);
	return buf_take(&b);
}

static void is_found(const char *want)
{
	char *got SCOPED(mem_freep) = found();

	assert_string_equal(got, want);
}

static void forget(const char *name)
{
	assert_int_equal(unlinkat(t.fd, name, 0), 0);
}

#define OPENSSL(...) MAKE("openssl", __VA_ARGS__)

/* Every form of DER, under a name that says nothing. */
static void der(void **state)
{
	static const char *const algorithms[][2] = {
	    {"RSA", "rsa_keygen_bits:1024"}, {"EC", "ec_paramgen_curve:P-256"}, {"ED25519", NULL}};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		const char *option = algorithms[i][1];

		if (option != NULL)
			OPENSSL("genpkey", "-algorithm", algorithms[i][0], "-pkeyopt", option,
				"-out", "k.pem");
		else
			OPENSSL("genpkey", "-algorithm", algorithms[i][0], "-out", "k.pem");
		is_found("/k.pem: private key\n");
		OPENSSL("pkcs8", "-topk8", "-nocrypt", "-in", "k.pem", "-outform", "DER", "-out",
			"a");
		OPENSSL("pkcs8", "-topk8", "-in", "k.pem", "-outform", "DER", "-passout", "pass:x",
			"-out", "b");
		if (i < 2)
			OPENSSL("pkey", "-in", "k.pem", "-outform", "DER", "-traditional", "-out",
				"c");
		OPENSSL("pkey", "-in", "k.pem", "-outform", "DER", "-pubout", "-out", "public");
		forget("k.pem");
		is_found(i < 2 ? "/a: private key\n/b: private key\n/c: private key\n"
			       : "/a: private key\n/b: private key\n");
		forget("a");
		forget("b");
		if (i < 2)
			forget("c");
	}
}

static void key_stores(void **state)
{
	(void)state;
	OPENSSL("req", "-x509", "-newkey", "rsa:1024", "-nodes", "-subj", "/CN=x", "-keyout",
		"k.pem", "-out", "cert.pem");
	OPENSSL("pkcs12", "-export", "-in", "cert.pem", "-inkey", "k.pem", "-passout", "pass:x",
		"-out", "store");
	forget("k.pem");
	is_found("/store: key store\n");
}

/* What everybody may have: certificates, requests, parameters, public keys, in PEM and DER. */
static void public_things_are_no_secrets(void **state)
{
	(void)state;
	OPENSSL("req", "-x509", "-newkey", "rsa:1024", "-nodes", "-subj", "/CN=x", "-keyout",
		"k.pem", "-out", "cert.pem");
	OPENSSL("x509", "-in", "cert.pem", "-outform", "DER", "-out", "cert.der");
	OPENSSL("req", "-new", "-key", "k.pem", "-subj", "/CN=x", "-outform", "DER", "-out",
		"request.der");
	OPENSSL("ecparam", "-name", "prime256v1", "-outform", "DER", "-out", "curve.der");
	OPENSSL("crl2pkcs7", "-nocrl", "-certfile", "cert.pem", "-outform", "DER", "-out",
		"p7.der");
	OPENSSL("rsa", "-in", "k.pem", "-RSAPublicKey_out", "-outform", "DER", "-out", "rsa.der");
	OPENSSL("genpkey", "-genparam", "-algorithm", "DH", "-pkeyopt", "group:ffdhe2048",
		"-outform", "DER", "-out", "dh.der");
	forget("k.pem");
	is_found("");
}

static void openssh_and_old_pem(void **state)
{
	(void)state;
	MAKE("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "id");
	is_found("/id: private key\n");
	MAKE("ssh-keygen", "-q", "-t", "rsa", "-b", "1024", "-m", "PEM", "-N", "secret", "-f",
	     "old");
	is_found("/id: private key\n/old: private key\n");
}

static void gnupg(void **state)
{
	(void)state;
	MAKE("gpg", "--homedir", ".", "--batch", "--quiet", "--passphrase", "", "--quick-gen-key",
	     "x", "ed25519", "sign", "never");
	MAKE("gpg", "--homedir", ".", "--batch", "--quiet", "--armor", "--output", "public",
	     "--export", "x");
	MAKE("gpg", "--homedir", ".", "--batch", "--quiet", "--armor", "--output", "secret",
	     "--export-secret-keys", "x");
	MAKE("gpgconf", "--homedir", ".", "--kill", "all");
	char *got SCOPED(mem_freep) = found();

	assert_non_null(strstr(got, "/secret: private key\n"));
	assert_non_null(strstr(got, "/private-keys-v1.d/"));
	assert_null(strstr(got, "/public"));
}

/* By hand: a realm of one name, one key (MIT's keytab file format). */
static void keytab(void **state)
{
	static const char bytes[] = "\x05\x02\0\0\0\x3a\0\x01\0\x07"
				    "EXAMPLE\0\x04host\0\0\0\x01"
				    "\0\0\0\0\x01\0\x12\0\x10"
				    "0123456789abcdef"
				    "................";
	char *path SCOPED(mem_freep) = fs_join(t.path, "any");
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(fs_put_path(path, bytes, sizeof(bytes) - 1, 0600, &e), 0);
	is_found("/any: keytab\n");
}

static void java_key_stores(void **state)
{
	static const char bytes[48] = "\xfe\xed\xfe\xed\0\0\0\x02\0\0\0\x01";
	char *path SCOPED(mem_freep) = fs_join(t.path, "any");
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(fs_put_path(path, bytes, sizeof(bytes), 0600, &e), 0);
	is_found("/any: key store\n");
}

/* A file that only begins like a key is something else. */
static void a_key_is_a_whole_file(void **state)
{
	char *path SCOPED(mem_freep) = fs_join(t.path, "a");
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 16);
	struct err e = ERR_INIT;

	(void)state;
	OPENSSL("genpkey", "-algorithm", "ED25519", "-outform", "DER", "-out", "a");
	is_found("/a: private key\n");
	assert_int_equal(fs_get(t.fd, "a", &b, &e), 0);
	buf_add(&b, "\0more", 5);
	assert_int_equal(fs_put_path(path, b.data, b.len, 0600, &e), 0);
	is_found("");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(der),
	    TEST(key_stores),
	    TEST(public_things_are_no_secrets),
	    TEST(openssh_and_old_pem),
	    TEST(gnupg),
	    TEST(keytab),
	    TEST(java_key_stores),
	    TEST(a_key_is_a_whole_file),
	};

	return cmocka_run_group_tests_name("harden-keys", tests, NULL, NULL);
}
