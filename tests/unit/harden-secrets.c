/* harden/secrets: what is found, and what only looks like it. */
#include "harden-lib.h"

#define KEY "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n"

struct row {
	const char *path, *text, *what; /* what: NULL = nothing is found */
};

static const struct row rows[] = {
    {"srv/a", "-----BEGIN PRIVATE KEY-----\n" KEY, "private key"},
    {"srv/b", "-----BEGIN RSA PRIVATE KEY-----\r\n" KEY, "private key"},
    {"srv/c", "-----BEGIN OPENSSH PRIVATE KEY-----\n" KEY, "private key"},
    {"srv/d", "-----BEGIN ENCRYPTED PRIVATE KEY-----\n" KEY, "private key"},
    {"srv/e", "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES\n\n" KEY,
     "private key"},
    {"srv/f", "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n" KEY, "private key"},
    {"srv/g", "PuTTY-User-Key-File-2: ssh-rsa\nEncryption: none\nComment: a key of somebody\n" KEY,
     "private key"},
    {"srv/h.yaml", "pad: this is a file\nkey: |\n    -----BEGIN PRIVATE KEY-----\n    " KEY,
     "private key"},
    {"srv/i.json", "{\"private_key\": \"-----BEGIN PRIVATE KEY-----\\n" KEY "\"}", "private key"},
    {"srv/j.pem",
     "-----BEGIN CERTIFICATE-----\n" KEY "-----END CERTIFICATE-----\n"
     "-----BEGIN PRIVATE KEY-----\n" KEY,
     "private key"},
    {"srv/k.p12", "x", "key store"},
    {"etc/ssh/ssh_host_rsa_key", "x", "ssh host key"},
    {"etc/ssl/private/ssl-cert-snakeoil.key", "x", "snake-oil key"},
    {"etc/machine-id", "0123456789abcdef0123456789abcdef\n", "machine id"},
    {"var/lib/dbus/machine-id", "0123456789abcdef0123456789abcdef\n", "machine id"},
    {"var/lib/systemd/random-seed", "x", "random seed"},
    {"etc/shadow", "root:$y$j9T$a$b:20000:0:99999:7:::\n", "password hash"},
    {"etc/shadow", "root:!$6$a$b:20000:0:99999:7:::\n", "password hash"},
    {"root/.ssh/authorized_keys", "ssh-ed25519 AAAA\n", "authorized keys"},
    {"home/x/.rhosts", "+ +\n", "trusted hosts"},
    {"root/.aws/credentials", "[default]\n", "credentials"},
    {".netrc", "machine x\n", "credentials"},

    {"srv/l", "-----BEGIN CERTIFICATE-----\n" KEY, NULL},
    {"srv/m", "-----BEGIN PUBLIC KEY-----\n" KEY, NULL},
    {"srv/n.c", "static const char begin[] = \"-----BEGIN PRIVATE KEY-----\"; /* what it is */\n",
     NULL},
    {"srv/o.md", "A key begins with\n-----BEGIN PRIVATE KEY-----\nand some lines of text.\n", NULL},
    {"etc/machine-id", "", NULL},
    {"etc/machine-id", "uninitialized\n", NULL},
    {"etc/shadow", "root:*:20000:0:99999:7:::\nx:!:20000::::::\n", NULL},
    {"srv/authorized_keys", "ssh-ed25519 AAAA\n", NULL},
    {"etc/ssh/ssh_config", "Host *\n", NULL},
};

static void row_holds(void **state)
{
	const struct row *row = *state;
	struct rootfs t = rootfs_make();
	struct strv found = {0};
	struct err e = ERR_INIT;

	put(&t, row->path, row->text, 0600);
	assert_int_equal(harden_secrets(t.path, &found, &e), 0);
	assert_int_equal(found.n, row->what == NULL ? 0 : 1);
	if (row->what != NULL) {
		char *line SCOPED(mem_freep) = mem_format("/%s: %s", row->path, row->what);

		assert_string_equal(found.v[0], line);
	}
	strv_release(&found);
	rootfs_drop(&t);
}

/* PKCS#8 in DER: a SEQUENCE that begins with a version. */
static void finds_der(void **state)
{
	static const unsigned char der[80] = {0x30, 0x82, 0x00, 0x4c, 0x02, 0x01, 0x00, 0x30};
	struct rootfs t = rootfs_make();
	struct strv found = {0};
	struct err e = ERR_INIT;
	char *path SCOPED(mem_freep) = fs_join(t.path, "server.key");

	(void)state;
	assert_int_equal(fs_put_path(path, der, sizeof(der), 0600, &e), 0);
	assert_int_equal(harden_secrets(t.path, &found, &e), 0);
	assert_int_equal(found.n, 1);
	strv_release(&found);
	rootfs_drop(&t);
}

/* Programs hold the words as data; a FIFO or a link out of the tree must not stop the search. */
static void looks_at_text_only(void **state)
{
	static const char program[] = "\177ELF\0-----BEGIN PRIVATE KEY-----\n" KEY;
	struct rootfs t = rootfs_make();
	struct strv found = {0};
	struct err e = ERR_INIT;
	char *path SCOPED(mem_freep) = fs_join(t.path, "program");

	(void)state;
	assert_int_equal(fs_put_path(path, program, sizeof(program), 0755, &e), 0);
	assert_int_equal(mkfifoat(t.fd, "fifo", 0644), 0);
	assert_int_equal(symlinkat("/etc/passwd", t.fd, "link"), 0);
	assert_int_equal(harden_secrets(t.path, &found, &e), 0);
	assert_int_equal(found.n, 0);
	strv_release(&found);
	rootfs_drop(&t);
}

static void allows_by_digest_and_by_path(void **state)
{
	static const char key[] = "-----BEGIN PRIVATE KEY-----\n" KEY;
	const struct digest d = digest_of(key, strlen(key));
	char *want SCOPED(mem_freep) =
	    mem_format("      - secrets: {kinds: [private-keys], allow: [\"/srv/ok/*\"], "
		       "allow-digests: [\"%s\"]}\n",
		       digest_hex(&d).s);
	struct rootfs t = rootfs_make();
	struct harden_profile *p = load_want(&t, want);
	char *text;

	(void)state;
	put(&t, "srv/published", key, 0644);
	put(&t, "srv/ok/test.pem", "-----BEGIN EC PRIVATE KEY-----\n" KEY, 0644);
	text = finding(p, &t);
	assert_string_equal(text, "");
	free(text);
	append(&t, "srv/published", " ");
	text = finding(p, &t);
	assert_string_equal(text, "/srv/published: private key");
	free(text);
	harden_profile_free(p);
	rootfs_drop(&t);
}

int main(void)
{
	enum { ROWS = sizeof(rows) / sizeof(rows[0]), MORE = 3 };
	static struct CMUnitTest tests[ROWS + MORE];

	tests[0] = (struct CMUnitTest)cmocka_unit_test(finds_der);
	tests[1] = (struct CMUnitTest)cmocka_unit_test(looks_at_text_only);
	tests[2] = (struct CMUnitTest)cmocka_unit_test(allows_by_digest_and_by_path);
	for (size_t i = 0; i < ROWS; i++)
		tests[MORE + i] = (struct CMUnitTest){
		    .name = rows[i].path,
		    .test_func = row_holds,
		    .initial_state = (void *)(uintptr_t)&rows[i],
		};
	return _cmocka_run_group_tests("harden-secrets", tests, ROWS + MORE, NULL, NULL);
}
