#include "harden/secrets.h"

#include "harden/accounts.h"
#include "harden/harden.h"
#include "harden/root.h"
#include "harden/secret_text.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HEAD = 512, TEXT = 64 << 10, KEY_MIN = 40 };

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
    {"**/.rnd", SECRET_IDENTITY, "random seed"},
    {"var/lib/systemd/credential.secret", SECRET_IDENTITY, "credential secret"},
    {"var/lib/NetworkManager/secret_key", SECRET_IDENTITY, "secret of this machine"},
    {"etc/hostid", SECRET_IDENTITY, "host id"},
    {"etc/nvme/hostid", SECRET_IDENTITY, "host id"},
    {"etc/nvme/hostnqn", SECRET_IDENTITY, "host id"},
    {"var/lib/samba/private/secrets.tdb", SECRET_IDENTITY, "samba machine secrets"},
    {"**/*.p12", SECRET_PRIVATE_KEY, "key store"},
    {"**/*.pfx", SECRET_PRIVATE_KEY, "key store"},
    {"**/*.jks", SECRET_PRIVATE_KEY, "key store"},
    {"**/*.keystore", SECRET_PRIVATE_KEY, "key store"},
    {"**/private-keys-v1.d/*.key", SECRET_PRIVATE_KEY, "private key of GnuPG"},
    {"**/secring.gpg", SECRET_PRIVATE_KEY, "private key of GnuPG"},
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
    {"**/.config/gcloud/*credentials*", SECRET_CREDENTIAL, "credentials"},
    {"**/.azure/*okens.json", SECRET_CREDENTIAL, "credentials"},
    {"**/.config/gh/hosts.yml", SECRET_CREDENTIAL, "credentials"},
    {"**/.dockercfg", SECRET_CREDENTIAL, "credentials"},
    {"**/.s3cfg", SECRET_CREDENTIAL, "credentials"},
    {"**/.pypirc", SECRET_CREDENTIAL, "credentials"},
    {"**/.vault-token", SECRET_CREDENTIAL, "credentials"},
    {"**/.smbcredentials", SECRET_CREDENTIAL, "credentials"},
    {"**/.docker/config.json", SECRET_CREDENTIAL, "credentials"},
    {"**/.config/containers/auth.json", SECRET_CREDENTIAL, "credentials"},
    {"**/.kube/config", SECRET_CREDENTIAL, "credentials"},
    {"etc/apt/auth.conf", SECRET_CREDENTIAL, "credentials"},
    {"etc/apt/auth.conf.d/*", SECRET_CREDENTIAL, "credentials"},
};

/* Packages ship these with remarks only. */
static const char *const files_of_secrets[] = {"etc/ipsec.secrets",   "etc/ppp/chap-secrets",
					       "etc/ppp/pap-secrets", "etc/krb5.keytab",
					       "etc/samba/smbpasswd", "etc/exim4/passwd.client"};

/* passwd(5), shadow(5) and their kin: find_hashes reads them row by row. */
static const char *const files_of_accounts[] = {
    "etc/shadow",           "etc/shadow-", "etc/gshadow", "etc/gshadow-",
    "etc/security/opasswd", "etc/passwd",  "etc/passwd-", "etc/group",
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

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

/* Adds to the *have bytes at p until there are n or the file ends. */
static int read_some(int fd, char *p, size_t n, size_t *have)
{
	while (*have < n) {
		ssize_t r = read(fd, p + *have, n - *have);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return r < 0 ? -1 : 0;
		*have += (size_t)r;
	}
	return 0;
}

bool secret_is_accounts(const char *path)
{
	for (size_t i = 0; i < COUNT(files_of_accounts); i++)
		if (strcmp(path, files_of_accounts[i]) == 0)
			return true;
	return false;
}

bool secret_is_list(const char *path)
{
	for (size_t i = 0; i < COUNT(files_of_secrets); i++)
		if (strcmp(path, files_of_secrets[i]) == 0)
			return true;
	return false;
}

const char *secret_named(const char *path, enum secret_kind *ret)
{
	const struct named *n = find_name(path, SECRET_ALL);

	if (n == NULL)
		return NULL;
	*ret = n->kind;
	return n->what;
}

/* Where what the content of a file says goes. */
struct sink {
	struct secrets *s;
	const char *path;
};

static void on_seen(void *ctx, const struct secret_seen *s)
{
	const struct sink *k = ctx;

	add(k->s, k->path, s->kind, s->what);
}

/* The kinds that the content of a file is asked for: not what its name says already, nor what
 * find_hashes looks for. */
static unsigned kinds_of(const char *path)
{
	const struct named *n = find_name(path, SECRET_ALL);
	unsigned kinds = SECRET_ALL;

	if (secret_is_accounts(path))
		kinds &= ~(unsigned)SECRET_HASH;
	if (n != NULL)
		kinds &= ~(unsigned)n->kind;
	/* such a file is a key */
	if (n != NULL && (n->kind & (SECRET_HOST_KEY | SECRET_IDENTITY)) != 0)
		kinds &= ~(unsigned)SECRET_PRIVATE_KEY;
	return kinds;
}

/* Adds what the content of a file says, one of each kind. text: TEXT bytes of scratch. */
static int look_into(int rootfd, const struct facts_file *f, char *text, struct secrets *ret,
		     struct err *e)
{
	struct secret_look l = {.path = f->path, .p = text, .size = (uint64_t)f->st.st_size};
	struct sink k = {ret, f->path};
	int fd SCOPED(fd_closep) = -1;
	int rc;

	if (f->clean || !S_ISREG(f->st.st_mode) || f->st.st_size < KEY_MIN)
		return 0;
	fd = root_open(rootfd, f->path, O_RDONLY | O_NOFOLLOW);
	if (fd < 0)
		return err_sys(e, "look into /%s", f->path);
	rc = read_some(fd, text, HEAD, &l.n);
	if (rc == 0 && l.n == HEAD && memchr(text, '\0', HEAD) == NULL)
		rc = read_some(fd, text, TEXT, &l.n);
	if (rc != 0)
		return err_sys(e, "look into /%s", f->path);
	secret_kinds(&l, kinds_of(f->path), on_seen, &k);
	return 0;
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
	for (size_t i = 0; i < COUNT(files_of_accounts); i++) {
		struct buf text SCOPED(buf_release) = BUF_INIT(ROOT_FILE_MAX);

		if (root_read(rootfd, files_of_accounts[i], &text, NULL, e) != 0)
			return -1;
		/* crypt(5): "$id$salt$hash"; opasswd(5) has it further behind */
		if (secret_in_rows(text.data) || strstr(text.data, ":$") != NULL ||
		    strstr(text.data, ":!$") != NULL)
			add(ret, files_of_accounts[i], SECRET_HASH, "password hash");
	}
	return 0;
}

static int find_credentials(int rootfd, struct secrets *ret, struct err *e)
{
	for (size_t i = 0; i < COUNT(files_of_secrets); i++) {
		struct buf text SCOPED(buf_release) = BUF_INIT(ROOT_FILE_MAX);

		if (root_read(rootfd, files_of_secrets[i], &text, NULL, e) != 0)
			return -1;
		if (secret_in_lines(text.data))
			add(ret, files_of_secrets[i], SECRET_CREDENTIAL, "credentials");
	}
	return 0;
}

static bool has(const struct secrets *s, const char *path, enum secret_kind kind)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].kind == kind && strcmp(s->v[i].path, path) == 0)
			return true;
	return false;
}

static void forget(void *p)
{
	secrets_release(p);
	free(p);
}

/* What contents say, of all files, beyond what names give away; read once, whatever is asked. */
static int contents(int rootfd, struct facts *f, const struct facts_files *files,
		    const struct secrets **ret, struct err *e)
{
	char *text SCOPED(mem_freep) = mem_zalloc(TEXT);
	struct secrets *s = facts_kept(f);

	*ret = s;
	if (s != NULL)
		return 0;
	s = mem_zalloc(sizeof(*s));
	for (size_t i = 0; i < files->n; i++)
		if (look_into(rootfd, &files->v[i], text, s, e) != 0) {
			forget(s);
			return -1;
		}
	facts_keep(f, s, forget);
	*ret = s;
	return 0;
}

static void by_name(const struct facts_files *files, unsigned kinds, struct secrets *ret)
{
	for (size_t i = 0; i < files->n; i++) {
		const struct facts_file *file = &files->v[i];
		const struct named *n = NULL;

		if (!file->clean && (S_ISREG(file->st.st_mode) || S_ISLNK(file->st.st_mode)))
			n = find_name(file->path, kinds);
		if (n != NULL)
			add(ret, file->path, n->kind, n->what);
	}
}

static void by_content(const struct secrets *all, unsigned kinds, struct secrets *ret)
{
	for (size_t i = 0; i < all->n; i++)
		if ((all->v[i].kind & kinds) != 0 && !has(ret, all->v[i].path, all->v[i].kind))
			add(ret, all->v[i].path, all->v[i].kind, all->v[i].what);
}

int secrets_find(int rootfd, struct facts *f, unsigned kinds, struct secrets *ret, struct err *e)
{
	const unsigned read = SECRET_PRIVATE_KEY | SECRET_CREDENTIAL | SECRET_HASH;
	struct secrets s SCOPED(secrets_release) = {0};
	const struct facts_files *files;
	const struct secrets *all;

	if (facts_files(f, &files, e) != 0)
		return -1;
	if ((kinds & SECRET_CREDENTIAL) != 0 && find_credentials(rootfd, &s, e) != 0)
		return -1;
	by_name(files, kinds, &s);
	if ((kinds & read) != 0) {
		if (contents(rootfd, f, files, &all, e) != 0)
			return -1;
		by_content(all, kinds, &s);
	}
	if ((kinds & SECRET_IDENTITY) != 0 && find_machine_id(rootfd, &s, e) != 0)
		return -1;
	if ((kinds & SECRET_HASH) != 0 && find_hashes(rootfd, &s, e) != 0)
		return -1;
	*ret = s;
	s = (struct secrets){0};
	return 0;
}
