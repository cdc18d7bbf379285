#include "harden/secrets.h"

#include "harden/accounts.h"
#include "harden/harden.h"
#include "harden/root.h"
#include "sys/fs.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HEAD = 512, TEXT = 64 << 10, KEY_MIN = 64 };

/* Files known by their names. Patterns as root_match has them. */
struct named {
	const char *pattern;
	enum secret_kind kind;
	const char *what;
};

static const struct named names[] = {
    {"etc/ssh/ssh_host_*_key", SECRET_HOST_KEY, "ssh host key"},
    {"etc/ssh/ssh_host_*_key.pub", SECRET_HOST_KEY, "ssh host key"},
    {"etc/ssl/private/ssl-cert-snakeoil.key", SECRET_IDENTITY, "snake-oil key"},
    {"etc/ssl/certs/ssl-cert-snakeoil.pem", SECRET_IDENTITY, "snake-oil certificate"},
    {"var/lib/systemd/random-seed", SECRET_IDENTITY, "random seed"},
    {"var/lib/random-seed", SECRET_IDENTITY, "random seed"},
    {"var/lib/urandom/random-seed", SECRET_IDENTITY, "random seed"},
    {"var/lib/systemd/credential.secret", SECRET_IDENTITY, "credential secret"},
    {"var/lib/samba/private/secrets.tdb", SECRET_IDENTITY, "samba machine secrets"},
    {"**/*.p12", SECRET_PRIVATE_KEY, "key store"},
    {"**/*.pfx", SECRET_PRIVATE_KEY, "key store"},
    {"**/*.jks", SECRET_PRIVATE_KEY, "key store"},
    {"**/*.keystore", SECRET_PRIVATE_KEY, "key store"},
    {"**/.ssh/authorized_keys", SECRET_TRUST, "authorized keys"},
    {"**/.ssh/authorized_keys2", SECRET_TRUST, "authorized keys"},
    {"etc/ssh/authorized_keys*", SECRET_TRUST, "authorized keys"},
    {"**/.rhosts", SECRET_TRUST, "trusted hosts"},
    {"**/.shosts", SECRET_TRUST, "trusted hosts"},
    {"etc/hosts.equiv", SECRET_TRUST, "trusted hosts"},
    {"etc/ssh/shosts.equiv", SECRET_TRUST, "trusted hosts"},
    {"**/.netrc", SECRET_CREDENTIAL, "credentials"},
    {"**/.pgpass", SECRET_CREDENTIAL, "credentials"},
    {"**/.my.cnf", SECRET_CREDENTIAL, "credentials"},
    {"**/.git-credentials", SECRET_CREDENTIAL, "credentials"},
    {"**/.aws/credentials", SECRET_CREDENTIAL, "credentials"},
    {"**/.docker/config.json", SECRET_CREDENTIAL, "credentials"},
    {"**/.config/containers/auth.json", SECRET_CREDENTIAL, "credentials"},
    {"**/.kube/config", SECRET_CREDENTIAL, "credentials"},
    {"etc/ipsec.secrets", SECRET_CREDENTIAL, "IPsec secrets"},
    {"etc/apt/auth.conf", SECRET_CREDENTIAL, "credentials"},
    {"etc/apt/auth.conf.d/*", SECRET_CREDENTIAL, "credentials"},
};

static void add(struct secrets *s, const char *path, enum secret_kind kind, const char *what)
{
	s->v = mem_resize(s->v, s->n + 1, sizeof(*s->v));
	s->v[s->n++] = (struct secret){.path = mem_strdup(path), .kind = kind, .what = what};
}

void secrets_release(struct secrets *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i].path);
	free(s->v);
	*s = (struct secrets){0};
}

static const struct named *find_name(const char *path, unsigned kinds)
{
	const char *slash = strrchr(path, '/'), *name = slash == NULL ? path : slash + 1;

	/* the last component decides most cases without a look at the directories */
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *last = strrchr(names[i].pattern, '/') + 1;

		if ((names[i].kind & kinds) == 0 || (*last != '*' && *last != *name))
			continue;
		if (root_match(names[i].pattern, path))
			return &names[i];
	}
	return NULL;
}

static size_t read_some(int fd, char *p, size_t n)
{
	size_t have = 0;

	while (have < n) {
		ssize_t r = read(fd, p + have, n - have);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			break;
		have += (size_t)r;
	}
	return have;
}

/* Whether key bytes follow: a line of base64, or the headers that old encrypted keys have. */
static bool key_follows(const char *p, const char *end)
{
	size_t n = 0;

	if (end - p > 1 && p[0] == '\\' && p[1] == 'n')
		p += 2; /* inside a JSON or shell string */
	while (p < end && isspace((unsigned char)*p))
		p++;
	if (end - p > 10 && (memcmp(p, "Proc-Type:", 10) == 0 || memcmp(p, "Version: ", 9) == 0))
		return true;
	while (p < end && (isalnum((unsigned char)*p) || *p == '+' || *p == '/' || *p == '=')) {
		p++;
		n++;
	}
	return n >= 32;
}

/* PEM (RFC 7468), OpenSSH and OpenPGP armour of a private key, or PuTTY's form. */
static bool has_private_key(const char *p, size_t n)
{
	static const char begin[] = "-----BEGIN ", putty[] = "PuTTY-User-Key-File-";
	enum { LABEL_MAX = 40 };
	const char *end = p + n, *at = p;

	if (n > sizeof(putty) && memcmp(p, putty, sizeof(putty) - 1) == 0)
		return true;
	while ((at = memmem(at, (size_t)(end - at), begin, sizeof(begin) - 1)) != NULL) {
		const char *close;
		size_t left;

		at += sizeof(begin) - 1;
		left = (size_t)(end - at) < LABEL_MAX ? (size_t)(end - at) : LABEL_MAX;
		close = memmem(at, left, "-----", 5);
		if (close == NULL || memmem(at, (size_t)(close - at), "PRIVATE KEY", 11) == NULL)
			continue;
		if (key_follows(close + 5, end))
			return true;
	}
	return false;
}

/* DER: a SEQUENCE that is a whole file named like a key (PKCS#1, PKCS#8). */
static bool is_der_key(const char *path, const char *head, size_t n)
{
	size_t len = strlen(path);

	return len > 4 && strcmp(path + len - 4, ".key") == 0 && n > 8 &&
	       (unsigned char)head[0] == 0x30 && (unsigned char)head[1] == 0x82 &&
	       head[4] == 0x02 && head[5] == 0x01;
}

/* text: TEXT bytes of scratch. */
static bool holds_key(int rootfd, const struct facts_file *f, char *text)
{
	int fd SCOPED(fd_closep) = -1;
	size_t n;

	if (!S_ISREG(f->st.st_mode) || f->st.st_size < KEY_MIN)
		return false;
	fd = root_open(rootfd, f->path, O_RDONLY | O_NOFOLLOW);
	if (fd < 0)
		return false;
	n = read_some(fd, text, HEAD);
	if (is_der_key(f->path, text, n))
		return true;
	if (memchr(text, '\0', n) != NULL)
		return false;
	if (n == HEAD)
		n += read_some(fd, text + HEAD, TEXT - HEAD);
	return has_private_key(text, n);
}

static int find_machine_id(int rootfd, struct secrets *ret, struct err *e)
{
	static const char *const paths[] = {"etc/machine-id", "var/lib/dbus/machine-id"};

	for (int i = 0; i < 2; i++) {
		struct buf text SCOPED(buf_release) = BUF_INIT(4096);
		struct stat st;

		/* a link to the other one is no copy */
		if (root_stat(rootfd, paths[i], false, &st) != 1 || !S_ISREG(st.st_mode))
			continue;
		if (root_read(rootfd, paths[i], &text, NULL, e) != 0)
			return -1;
		if (text.len > 0 && strncmp(text.data, "uninitialized", 13) != 0)
			add(ret, paths[i], SECRET_IDENTITY, "machine id");
	}
	return 0;
}

static int find_hashes(int rootfd, struct secrets *ret, struct err *e)
{
	static const char *const paths[] = {"etc/shadow", "etc/shadow-", "etc/gshadow",
					    "etc/gshadow-", "etc/security/opasswd"};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct buf text SCOPED(buf_release) = BUF_INIT(ROOT_FILE_MAX);

		if (root_read(rootfd, paths[i], &text, NULL, e) != 0)
			return -1;
		/* crypt(5): "$id$salt$hash", after a lock's '!' as well */
		if (strstr(text.data, ":$") != NULL || strstr(text.data, ":!$") != NULL)
			add(ret, paths[i], SECRET_HASH, "password hash");
	}
	return 0;
}

int secrets_find(int rootfd, struct facts *f, unsigned kinds, struct secrets *ret, struct err *e)
{
	struct secrets s SCOPED(secrets_release) = {0};
	char *text SCOPED(mem_freep) = mem_zalloc(TEXT);
	const struct facts_files *files;

	if (facts_files(f, &files, e) != 0)
		return -1;
	for (size_t i = 0; i < files->n; i++) {
		const struct facts_file *file = &files->v[i];
		const struct named *n = NULL;

		if (!S_ISREG(file->st.st_mode) && !S_ISLNK(file->st.st_mode))
			continue;
		n = find_name(file->path, kinds);
		if (n != NULL)
			add(&s, file->path, n->kind, n->what);
		else if ((kinds & SECRET_PRIVATE_KEY) != 0 && holds_key(rootfd, file, text) &&
			 find_name(file->path, SECRET_ALL) == NULL)
			add(&s, file->path, SECRET_PRIVATE_KEY, "private key");
	}
	if ((kinds & SECRET_IDENTITY) != 0 && find_machine_id(rootfd, &s, e) != 0)
		return -1;
	if ((kinds & SECRET_HASH) != 0 && find_hashes(rootfd, &s, e) != 0)
		return -1;
	*ret = s;
	s = (struct secrets){0};
	return 0;
}

int harden_secrets(const char *root, struct strv *ret_found, struct err *e)
{
	int fd SCOPED(fd_closep) = -1;
	struct facts *f SCOPED(facts_freep) = NULL;
	struct secrets s SCOPED(secrets_release) = {0};

	if (fs_open_dir(AT_FDCWD, root, &fd, e) != 0)
		return -1;
	f = facts_new(fd);
	if (secrets_find(fd, f, SECRET_ALL, &s, e) != 0)
		return -1;
	for (size_t i = 0; i < s.n; i++)
		strv_addf(ret_found, "/%s: %s", s.v[i].path, s.v[i].what);
	return 0;
}
