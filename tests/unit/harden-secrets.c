/* harden/secrets: what is found, and what only looks like it. */
#include "harden-secrets.h"
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

    {"srv/ssh.com", "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nComment: \"x\"\n" KEY,
     "private key"},
    {"srv/cosign.key", "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n" KEY, "private key"},
    {"srv/age.txt",
     "# created: "
     "today\nAGE-SECRET-KEY-1QQPQYRZ9GX8QQPQYRZ9GX8QQPQYRZ9GX8QQPQYRZ9GX8QQPQYRZ9GX8QQ\n",
     "private key of age"},
    {"srv/minisign.key",
     "untrusted comment: minisign encrypted secret key\n"
     "RWRTY0Iy0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrst=\n",
     "private key of minisign"},
    {"srv/signify.sec",
     "untrusted comment: signify secret key\n"
     "RWRCSwAAAAB0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopq=\n",
     "private key of signify"},
    {"srv/minisign.pub",
     "untrusted comment: minisign public key 0123456789ABCDEF\n"
     "RWRTY0Iy0123456789abcdefghijklmnopqrstuvwxyz0123456789abc\n",
     NULL},
    {"etc/wireguard/wg0.conf",
     "[Interface]\nPrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\n",
     "private key of WireGuard"},
    {"srv/jwk.json",
     "{\"kty\":\"EC\",\"crv\":\"P-256\",\"d\": \"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE\"}",
     "private JSON web key"},
    {"root/.gnupg/private-keys-v1.d/0123456789ABCDEF.key", "x", "private key of GnuPG"},
    {"root/.gnupg/secring.gpg", "x", "private key of GnuPG"},
    {"root/.rnd", "x", "random seed"},
    {"var/lib/NetworkManager/secret_key", "x", "secret of this machine"},
    {"etc/nvme/hostnqn", "x", "host id"},
    {"etc/passwd", "root:$1$abcdefgh$0123456789abcdefghijkl:0:0::/:/bin/sh\n", "password hash"},
    {"etc/passwd", "root:aBcDeFgHiJkLm:0:0::/:/bin/sh\n", "password hash"},
    {"etc/gshadow", "staff:$y$j9T$abc$def:root:\n", "password hash"},
    {"etc/security/opasswd", "x:1000:1:$6$abc$0123456789\n", "password hash"},
    {"etc/nginx/htpasswd", "ada:$apr1$abcdefgh$0123456789abcdefghijkl\n", "password hash"},
    {"srv/users", "# people\nada:{SHA}0DPiKuNIrrVmD8IUCuw1hQxNqZc=\n", "password hash"},
    {"etc/ppp/chap-secrets", "# Secrets\n\"ada\" * \"secret\" *\n", "credentials"},
    {"etc/ipsec.secrets", ": PSK \"secret\"\n", "credentials"},
    {"etc/samba/smbpasswd", "ada:1000:XX:0123456789ABCDEF0123456789ABCDEF:[U]:\n", "credentials"},
    {"srv/app.env", "AWS_SECRET_ACCESS_KEY=abcdefghijklmnopqrstuvwxyz0123456789ABCD\n",
     "credentials of a cloud"},
    {"root/.dockercfg", "{}", "credentials"},

    {"srv/ssh.com.pub", "---- BEGIN SSH2 PUBLIC KEY ----\n" KEY, NULL},
    {"srv/age.pub", "age1qqpqyrz9gx8qqpqyrz9gx8qqpqyrz9gx8qqpqyrz9gx8qqpqyrz9gx8qq\n", NULL},
    {"srv/age.md", "A key is AGE-SECRET-KEY-1 and more of it, which nobody else may see.\n", NULL},
    {"srv/wg.md", "Write PrivateKey = (what wg genkey says), one line for each interface.\n", NULL},
    {"srv/jwk.pub", "{\"kty\":\"EC\",\"x\":\"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE\"}", NULL},
    {"etc/ppp/chap-secrets", "# Secrets for authentication using CHAP\n# client server\n", NULL},
    {"etc/ipsec.secrets", "# none\ninclude /var/lib/strongswan/ipsec.secrets.inc\n", NULL},
    {"usr/share/doc/x", "ada:$apr1$abcdefgh$0123456789abcdefghijkl and some more\n", NULL},
    {"etc/motd", "the price: $6$ or so, as it is written on each of the shelves here\n", NULL},
    {"srv/aws.md", "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n", NULL},
    {"etc/passwd", "root:x:0:0::/:/bin/sh\nsync:*:4:65534::/:/bin/sync\n", NULL},
    {"etc/gshadow", "root:*::\nstaff:!::root\n", NULL},
    {"etc/shadow", "x:*LK*:20000::::::\ny:!locked:20000::::::\n", NULL},
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
	assert_int_equal(secrets_in(t.path, &found, &e), 0);
	assert_int_equal(found.n, row->what == NULL ? 0 : 1);
	if (row->what != NULL) {
		char *line SCOPED(mem_freep) = mem_format("/%s: %s", row->path, row->what);

		assert_string_equal(found.v[0], line);
	}
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
	assert_int_equal(secrets_in(t.path, &found, &e), 0);
	assert_int_equal(found.n, 0);
	strv_release(&found);
	rootfs_drop(&t);
}

static bool said(const struct strv *found, const char *line)
{
	for (size_t i = 0; i < found->n; i++)
		if (strcmp(found->v[i], line) == 0)
			return true;
	return false;
}

/* A secret does not stand before one of another kind, nor does a name. */
static void each_kind_of_a_file(void **state)
{
	char *both SCOPED(mem_freep) =
	    mem_format("t=AK%s\n-----BEGIN PRIVATE KEY-----\n" KEY, "IAQWERTYUIOPASDFGH");
	struct rootfs t = rootfs_make();
	struct harden_profile *p = load_want(&t, "      - secrets: {kinds: [private-keys]}\n");
	struct strv found = {0};
	struct err e = ERR_INIT;
	char *text;

	(void)state;
	put(&t, "srv/both", both, 0600);
	text = finding(p, &t);
	assert_string_equal(text, "/srv/both: private key");
	free(text);
	put(&t, ".netrc", both, 0600);
	put(&t, "etc/ssh/ssh_host_rsa_key", "-----BEGIN PRIVATE KEY-----\n" KEY, 0600);
	assert_int_equal(secrets_in(t.path, &found, &e), 0);
	assert_true(said(&found, "/srv/both: private key"));
	assert_true(said(&found, "/srv/both: access key of a cloud"));
	assert_true(said(&found, "/.netrc: private key"));
	assert_true(said(&found, "/.netrc: credentials"));
	assert_true(said(&found, "/etc/ssh/ssh_host_rsa_key: ssh host key"));
	assert_int_equal(found.n, 5);
	strv_release(&found);
	harden_profile_free(p);
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

	tests[0] = (struct CMUnitTest)cmocka_unit_test(looks_at_text_only);
	tests[1] = (struct CMUnitTest)cmocka_unit_test(allows_by_digest_and_by_path);
	tests[2] = (struct CMUnitTest)cmocka_unit_test(each_kind_of_a_file);
	for (size_t i = 0; i < ROWS; i++)
		tests[MORE + i] = (struct CMUnitTest){
		    .name = rows[i].path,
		    .test_func = row_holds,
		    .initial_state = (void *)(uintptr_t)&rows[i],
		};
	return _cmocka_run_group_tests("harden-secrets", tests, ROWS + MORE, NULL, NULL);
}
