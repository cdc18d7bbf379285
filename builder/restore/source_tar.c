/* source_tar.c - an archive, as a backup left it: by tar(1), openssl(1) and gpg(1), each with its
 * own arguments and no shell. A passphrase goes by a pipe. */
#include "restore/listed.h"
#include "restore/source.h"

#include "archive/owners.h"
#include "base/log.h"
#include "form/digest.h"
#include "site/secret.h"
#include "sys/fs.h"
#include "sys/proc.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEAD = 512, LIST_MAX = 256 << 20 };

enum packing { PLAIN, GZIP, ZSTD, BZIP2, XZ, SALTED, PGP, UNKNOWN };

static enum packing packing_of(const uint8_t *p, size_t n)
{
	static const struct {
		enum packing is;
		size_t at, n;
		const char *magic;
	} kinds[] = {{GZIP, 0, 2, "\x1f\x8b"},
		     {ZSTD, 0, 4, "\x28\xb5\x2f\xfd"},
		     {BZIP2, 0, 3, "BZh"},
		     {XZ, 0, 6,
		      "\xfd"
		      "7zXZ\0"},
		     {SALTED, 0, 8, "Salted__"},
		     {PGP, 0, 15, "-----BEGIN PGP "},
		     {PLAIN, 257, 5, "ustar"}};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (n >= kinds[i].at + kinds[i].n &&
		    memcmp(p + kinds[i].at, kinds[i].magic, kinds[i].n) == 0)
			return kinds[i].is;
	/* RFC 4880, 4.2: a packet of a session key, of either format */
	if (n > 0 && (p[0] == 0x84 || p[0] == 0x85 || p[0] == 0x8c || p[0] == 0xc1 || p[0] == 0xc3))
		return PGP;
	return UNKNOWN;
}

static int look(const char *path, enum packing *ret, struct err *e)
{
	int fd SCOPED(fd_closep) = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t head[HEAD];
	ssize_t n = fd < 0 ? -1 : read(fd, head, sizeof(head));

	if (n < 0)
		return err_sys(e, "read %s", path);
	*ret = packing_of(head, (size_t)n);
	return 0;
}

/* One way to open it. The result is only kept when it is an archive: what these programs encrypted
 * has no sum of its own, and a wrong key gives noise. */
struct opening {
	const char *from, *to;
	int fd; /* of `to` */
	const struct buf *secret;
};

static int open_by(const struct opening *o, const char *const *argv, struct err *e)
{
	const struct proc_spec spec = {
	    .argv = argv, .input = o->secret->data, .input_len = o->secret->len, .out_fd = o->fd};
	enum packing is;

	if (ftruncate(o->fd, 0) != 0 || lseek(o->fd, 0, SEEK_SET) != 0)
		return err_sys(e, "write what %s opens to", o->from);
	if (proc_ok(&spec, ERR_VERIFY, e) != 0 || look(o->to, &is, e) != 0)
		return -1;
	return is < SALTED
		   ? 0
		   : err_set(e, ERR_VERIFY, "%s: what the secret opens is no archive", o->from);
}

static int open_salted(const struct opening *o, struct err *e)
{
	/* the digest that makes the key of the passphrase: md5 before OpenSSL 1.1 */
	static const char *const digests[] = {"md5", "sha256"};
	struct err why = ERR_INIT;

	for (size_t i = 0; i < 2; i++) {
		const char *const argv[] = {"openssl", "enc",      "-d",    "-aes-128-cbc",
					    "-md",     digests[i], "-pass", "stdin",
					    "-in",     o->from,    NULL};

		if (open_by(o, argv, &why) == 0)
			return 0;
	}
	return err_set(e, ERR_VERIFY, "%s: the secret does not open it: %s", o->from, why.msg);
}

static int open_pgp(const struct opening *o, const char *home, struct err *e)
{
	const char *const argv[] = {"gpg",
				    "--batch",
				    "--no-tty",
				    "--quiet",
				    "--no-options",
				    "--homedir",
				    home,
				    "--pinentry-mode",
				    "loopback",
				    "--passphrase-fd",
				    "0",
				    "--output",
				    "-",
				    "--decrypt",
				    o->from,
				    NULL};

	return fs_mkdirs(AT_FDCWD, home, 0700, e) != 0 || open_by(o, argv, e) != 0
		   ? err_in(e, "%s", o->from)
		   : 0;
}

/* A file without a name, which a kill leaves nothing of, and the name that our programs open it by.
 */
static int nameless(const char *dir, int *ret_fd, char **ret_name, struct err *e)
{
	int fd = open(dir, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	char *temp SCOPED(mem_freep) = NULL;

	if (fd < 0) { /* a file system without O_TMPFILE */
		temp = fs_join(dir, "open.XXXXXX");
		fd = mkostemp(temp, O_CLOEXEC);
		if (fd < 0)
			return err_sys(e, "make a file in %s", dir);
		(void)unlink(temp);
	}
	*ret_fd = fd;
	*ret_name = mem_format("/proc/%d/fd/%d", (int)getpid(), fd);
	return 0;
}

/* The archive without its encryption, when it has one. */
static int decrypt(const char *path, enum packing is, const struct source_help *h, int *ret_fd,
		   char **ret, struct err *e)
{
	struct buf secret SCOPED(site_secret_release) = BUF_INIT(SITE_SECRET_MAX);
	char *to SCOPED(mem_freep) = NULL, *home SCOPED(mem_freep) = fs_join(h->work, "gnupg");
	int fd SCOPED(fd_closep) = -1;
	struct opening o = {.from = path, .secret = &secret};

	if (source_secret(h, path, &secret, e) != 0 || nameless(h->work, &fd, &to, e) != 0)
		return -1;
	o.to = to;
	o.fd = fd;
	if (secret.data[secret.len - 1] != '\n')
		buf_add(&secret, "\n", 1);
	if ((is == SALTED ? open_salted(&o, e) : open_pgp(&o, home, e)) != 0)
		return -1;
	*ret = STEAL(to);
	*ret_fd = STEAL_FD(fd);
	return 0;
}

static const char *const packed[] = {NULL, "--gzip", "--zstd", "--bzip2", "--xz"};

/* As options that are about the patterns behind them: a star does not go over a slash, and an
 * archive may name its root. */
static void add_excludes(const struct restore_filter *f, const struct listed *l, struct strv *argv)
{
	struct strv patterns SCOPED(strv_release) = {0};

	restore_filter_patterns(f, true, &patterns);
	strv_add(argv, "--wildcards");
	strv_add(argv, "--no-wildcards-match-slash");
	for (size_t i = 0; i < patterns.n; i++) {
		const char *p = patterns.v[i] + 1;

		if (strncmp(p, "**/", 3) == 0) {
			strv_add(argv, "--no-anchored");
			strv_addf(argv, "--exclude=%s", p + 3);
			continue;
		}
		strv_add(argv, "--anchored");
		strv_addf(argv, "--exclude=%s", p);
		strv_addf(argv, "--exclude=./%s", p);
		strv_addf(argv, "--exclude=/%s", p);
	}
	strv_add(argv, "--anchored");
	strv_add(argv, "--no-wildcards");
	for (size_t i = 0; i < l->n; i++)
		if (restore_filter_is_link(f, l->v[i].path))
			strv_addf(argv, "--exclude=%s", l->v[i].raw);
}

/* Every name, in the order of the archive; those that no test may have are counted, and named to
 * tar as what it leaves out. */
static int hold_back(const char *path, enum packing is, struct restore_filter *f, struct strv *argv,
		     struct err *e)
{
	static const struct restore_fetching how = {.tests = true, .count = true};
	struct buf names SCOPED(buf_release) = BUF_INIT(LIST_MAX);
	struct listed l SCOPED(listed_release) = {0};
	const char *const list[] = {"tar",
				    "--list",
				    "--verbose",
				    "--numeric-owner",
				    "--quoting-style=c",
				    "--absolute-names",
				    "--force-local",
				    "--file",
				    path,
				    packed[is],
				    NULL};
	const struct proc_spec spec = {.argv = list, .out = &names};

	if (proc_ok(&spec, ERR_VERIFY, e) != 0)
		return -1;
	if (names.over)
		return err_set(e, ERR_VERIFY, "%s: more names than fit", path);
	if (listed_tar(names.data, &l, e) != 0)
		return err_in(e, "%s", path);
	listed_find_links(&l, f);
	for (size_t i = 0; i < l.n; i++)
		(void)restore_filter_fetches(f, l.v[i].path, &how);
	add_excludes(f, &l, argv);
	return 0;
}

/* tar(1) takes an archive that was cut between two members for a whole one: what ends it are two
 * blocks of zeros (POSIX.1-2001, pax). A compressed one has an end of its own. */
static int check_end(const char *path, struct err *e)
{
	int fd SCOPED(fd_closep) = open(path, O_RDONLY | O_CLOEXEC);
	static const uint8_t zeros[2 * HEAD];
	uint8_t end[2 * HEAD];
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		return err_sys(e, "read %s", path);
	if (st.st_size >= (off_t)sizeof(end) &&
	    pread(fd, end, sizeof(end), st.st_size - (off_t)sizeof(end)) == (ssize_t)sizeof(end) &&
	    memcmp(end, zeros, sizeof(end)) == 0)
		return 0;
	(void)err_set(e, ERR_VERIFY, "%s has no end: it was cut off", path);
	return err_hint(e, "fetch or make the archive again");
}

static int unpack(const char *path, const struct source_help *h, const char *to, struct err *e)
{
	struct strv argv SCOPED(strv_release) = {0};
	struct proc_spec spec = {0};
	enum packing is = UNKNOWN;
	static const char *const words[] = {"tar",
					    "--extract",
					    "--force-local",
					    "--same-permissions",
					    "--same-owner",
					    "--numeric-owner",
					    "--no-acls",
					    "--xattrs",
					    "--xattrs-include=*",
					    "--xattrs-exclude=system.*",
					    "--sparse",
					    "--delay-directory-restore"};

	if (look(path, &is, e) != 0)
		return -1;
	if (is >= SALTED)
		return err_set(e, ERR_VERIFY, "%s is no archive that tar reads", path);
	if (is == PLAIN && check_end(path, e) != 0)
		return -1;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		strv_add(&argv, words[i]);
	if (packed[is] != NULL)
		strv_add(&argv, packed[is]);
	if (h->filter != NULL && h->env != SITE_PROD &&
	    hold_back(path, is, h->filter, &argv, e) != 0)
		return -1;
	strv_addf(&argv, "--file=%s", path);
	strv_addf(&argv, "--directory=%s", to);
	spec.argv = (const char *const *)argv.v;
	return proc_ok(&spec, ERR_VERIFY, e) == 0 ? 0 : err_in(e, "%s", path);
}

/* tar(1) would make numbers of this machine of the names in an archive, and drop an ACL with a name
 * that this machine does not have. Of a test nothing is kept: there are names in it that may not
 * stay. */
static int keep_owners(struct source *s, const char *path, const struct source_help *h,
		       struct err *e)
{
	char *to SCOPED(mem_freep) = fs_join(h->work, SOURCE_OWNERS);
	int fd SCOPED(fd_closep) = open(path, O_RDONLY | O_CLOEXEC);
	struct buf b SCOPED(buf_release) = BUF_INIT(SOURCE_OWNERS_MAX);

	if (fd < 0)
		return err_sys(e, "read %s", path);
	if (fs_rmtree(AT_FDCWD, to, e) != 0)
		return -1;
	if (owners_read(fd, &b, e) != 0) {
		/* of an archive, and not of a text of the operator's */
		e->kind = e->kind == ERR_RECIPE ? ERR_VERIFY : e->kind;
		return err_in(e, "%s", path);
	}
	if (h->env == SITE_PROD && fs_put_path(to, b.data, b.len, 0600, e) != 0)
		return -1;
	free(s->owners);
	s->owners = buf_take(&b);
	return 0;
}

static int fetch(struct source *s, const struct source_help *h, struct err *e)
{
	const char *path = s->path;
	char *to SCOPED(mem_freep) = fs_join(h->work, SOURCE_FETCHED);
	char *opened SCOPED(mem_freep) = NULL;
	int fd SCOPED(fd_closep) = -1;
	enum packing is = UNKNOWN;

	if (fs_rmtree(AT_FDCWD, to, e) != 0 || fs_mkdirs(AT_FDCWD, to, 0700, e) != 0 ||
	    look(s->path, &is, e) != 0)
		return -1;
	if ((is == SALTED || is == PGP) && decrypt(s->path, is, h, &fd, &opened, e) != 0)
		return -1;
	path = opened != NULL ? opened : path;
	return unpack(path, h, to, e) != 0 ? -1 : keep_owners(s, path, h, e);
}

/* Which file it was, and what of it was taken: an archive that is the same is not unpacked twice.
 */
static int identity(const char *path, const struct source_help *h, struct buf *ret, struct err *e)
{
	int fd SCOPED(fd_closep) = open(path, O_RDONLY | O_CLOEXEC);
	struct digest d;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		return err_sys(e, "read %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_USAGE, "%s is no file", path);
	if (digest_fd(fd, &d, NULL, e) != 0)
		return -1;
	buf_addf(ret, "%s %s\n", digest_text(&d).s, site_env_word(h->env));
	return 0;
}

int source_fetch_tar(struct source *s, const struct source_help *h, struct err *e)
{
	char *note SCOPED(mem_freep) = fs_join(h->work, SOURCE_UNPACKED);
	char *owners SCOPED(mem_freep) = fs_join(h->work, SOURCE_OWNERS);
	struct buf is SCOPED(buf_release) = BUF_INIT(128), was SCOPED(buf_release) = BUF_INIT(128);
	bool known = h->env == SITE_PROD ? access(owners, F_OK) == 0 : s->rootfd >= 0;
	struct err quiet = ERR_INIT;

	if (identity(s->path, h, &is, e) != 0)
		return -1;
	/* what the filter held back when it was unpacked must be counted in this run */
	if (known && fs_get_file(AT_FDCWD, note, &was, &quiet) == 0 &&
	    strcmp(was.data, is.data) == 0)
		return 0;
	/* the trees of before have names of the archive of before */
	if (s->perms != NULL)
		return err_set(e, ERR_BUSY, "%s changed meanwhile", s->text);
	if (fs_rmtree(AT_FDCWD, note, e) != 0)
		return -1;
	log_info("%s: unpack", s->text);
	return fetch(s, h, e) != 0 ? -1 : fs_put_path(note, is.data, is.len, 0600, e);
}
