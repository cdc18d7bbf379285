/* source_ssh.c - a tree of another machine, by the real rsync(1) over the real ssh(1). */
#include "restore/listed.h"
#include "restore/source.h"

#include "base/log.h"
#include "site/secret.h"
#include "sys/fs.h"
#include "sys/proc.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SAID_MAX = 1 << 20 };
/* Of a file's blocks rsync(1) keeps 40 bytes each. */
enum { BLOCK = 4096, BLOCKS_MAX = 2 << 20 };

/* rsync parts the value of -e at blanks and quotes. */
static int check_plain(const char *path, const char *what, struct err *e)
{
	if (path[0] == '/' && strpbrk(path, " \t\n\"'\\") == NULL)
		return 0;
	(void)err_set(e, ERR_USAGE, "%s wants an absolute path without blanks and quotes", what);
	return -1;
}

/* A key that is a file stays where it is; another is in memory as long as *fd is open, and ssh
 * finds it there: no disk has it. */
static int key_file(const struct source_help *h, char **ret, int *fd, struct err *e)
{
	struct buf key SCOPED(site_secret_release) = BUF_INIT(SITE_SECRET_MAX);

	if (h->secret == NULL)
		return 0;
	if (source_secret(h, "ssh", &key, e) != 0)
		return -1;
	if (h->secret->file != NULL) {
		*ret = mem_strdup(h->secret->file);
		return 0;
	}
	*fd = memfd_create("key", MFD_CLOEXEC);
	if (*fd < 0 || fchmod(*fd, 0600) != 0)
		return err_sys(e, "make a file in memory");
	if (fs_write_all(*fd, key.data, key.len, e) != 0)
		return -1;
	*ret = mem_format("/proc/%d/fd/%d", (int)getpid(), *fd);
	return 0;
}

static int shell_of(const struct source *s, const struct source_help *h, const char *key,
		    char **ret, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(8192);

	if (h->known_hosts == NULL) {
		(void)err_set(e, ERR_USAGE, "%s: nothing says which key its host has", s->text);
		return err_hint(e, "--known-hosts FILE, or backup.known_hosts of the site");
	}
	if (check_plain(h->known_hosts, "known_hosts", e) != 0 ||
	    (key != NULL && check_plain(key, "the key", e) != 0))
		return -1;
	buf_addf(&b,
		 "ssh -F none -T -oBatchMode=yes -oStrictHostKeyChecking=yes "
		 "-oUserKnownHostsFile=%s -oGlobalKnownHostsFile=/dev/null -oUpdateHostKeys=no "
		 "-oClearAllForwardings=yes -oIdentityAgent=none -oConnectTimeout=30 "
		 "-oServerAliveInterval=15 -oServerAliveCountMax=4",
		 h->known_hosts);
	if (key != NULL)
		buf_addf(&b, " -oIdentitiesOnly=yes -oIdentityFile=%s", key);
	if (s->port != 0)
		buf_addf(&b, " -oPort=%u", s->port);
	*ret = buf_take(&b);
	return 0;
}

/* rsync's own patterns: what begins with a slash is anchored at the source's root, as ours are;
 * what does not is looked for at any depth. */
static void add_patterns(const struct source_help *h, const char *option, struct strv *argv)
{
	struct strv patterns SCOPED(strv_release) = {0};

	if (h->filter == NULL)
		return;
	restore_filter_patterns(h->filter, false, &patterns);
	for (size_t i = 0; i < patterns.n; i++) {
		bool deep = strncmp(patterns.v[i], "/**/", 4) == 0;

		strv_addf(argv, "%s=%s", option, deep ? patterns.v[i] + 4 : patterns.v[i]);
	}
}

/* rsync(1) takes the first pattern that fits, and looks for nothing in a directory that it leaves
 * out: each directory above a claim is let in, and nothing else of it. */
static void add_claim(const char *at, struct strv *argv)
{
	for (const char *slash = strchr(at + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/'))
		strv_addf(argv, "--include=%.*s/", (int)(slash - at), at);
	strv_addf(argv, "--include=%s/***", at);
}

/* Whose numbers those are, its tables say. */
static void add_claims(const struct source_help *h, struct strv *argv)
{
	static const char *const tables[] = {"/etc/passwd", "/etc/group"};

	if (h->claims == NULL)
		return;
	for (size_t i = 0; i < h->claims_n; i++)
		add_claim(h->claims[i].at, argv);
	strv_add(argv, "--include=/etc/");
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		strv_addf(argv, "--include=%s", tables[i]);
	strv_add(argv, "--exclude=*");
}

struct transfer {
	const struct source *s;
	const struct source_help *h;
	const char *shell, *to;
	struct strv links; /* other names of what is held back, as arguments */
};

/* Ends the arguments with where from. */
static void add_source(const struct transfer *t, struct strv *argv)
{
	const struct source *s = t->s;

	strv_add(argv, "--protect-args");
	strv_add(argv, "--timeout=600");
	strv_addf(argv, "--rsh=%s", t->shell);
	strv_add(argv, "--");
	strv_addf(argv, "%s%s%s:%s/", s->user != NULL ? s->user : "", s->user != NULL ? "@" : "",
		  s->host, s->path);
}

static int run(const struct transfer *t, const struct strv *argv, struct buf *out, struct err *e)
{
	struct buf said SCOPED(buf_release) = BUF_INIT(SAID_MAX);
	const struct proc_spec spec = {
	    .argv = (const char *const *)argv->v, .out = out, .err = &said};

	return proc_ok(&spec, ERR_REMOTE, e) == 0 ? 0 : err_in(e, "%s", t->s->text);
}

static int note_bytes(void *ctx, const struct fs_entry *en, struct err *e)
{
	uint64_t *most = ctx;

	(void)e;
	if (S_ISREG(en->st.st_mode) && (uint64_t)en->st.st_size > *most)
		*most = (uint64_t)en->st.st_size;
	return 0;
}

/* Record files change in place, a block of a disk here and there: by rsync's own choice, the square
 * root of the size, each costs many times its bytes. It keeps all sums of a file in memory. */
static int add_block_size(const struct transfer *t, struct strv *argv, struct err *e)
{
	int fd SCOPED(fd_closep) = -1;
	uint64_t most = 0;

	if (fs_open_dir(AT_FDCWD, t->to, &fd, e) != 0 || fs_walk(fd, note_bytes, &most, e) != 0)
		return -1;
	if (most <= UINT64_C(1) * BLOCKS_MAX * BLOCK)
		strv_addf(argv, "--block-size=%u", (unsigned)BLOCK);
	return 0;
}

static int rsync_once(const struct transfer *t, const char *const *more, struct buf *out,
		      bool inplace, struct err *e)
{
	struct strv argv SCOPED(strv_release) = {0};

	strv_add(&argv, "rsync");
	strv_add(&argv, "-aHAXS");
	strv_add(&argv, "--numeric-ids");
	strv_add(&argv, "--delete");
	strv_add(&argv, "--delete-excluded");
	if (inplace)
		strv_add(&argv, "--inplace");
	if (add_block_size(t, &argv, e) != 0)
		return -1;
	for (; *more != NULL; more++)
		strv_add(&argv, *more);
	for (size_t i = 0; i < t->links.n; i++)
		strv_add(&argv, t->links.v[i]);
	add_patterns(t->h, "--exclude", &argv);
	add_claims(t->h, &argv);
	add_source(t, &argv);
	strv_addf(&argv, "%s/", t->to);
	return run(t, &argv, out, e);
}

/* In place, or a file of which a block changed is written anew; what a kill leaves half done has
 * another time and is compared again. Before 3.1.3 the other side does not do that with holes. */
static int rsync(const struct transfer *t, const char *const *more, struct buf *out, struct err *e)
{
	struct err why = ERR_INIT;

	if (rsync_once(t, more, out, true, &why) == 0)
		return 0;
	if (strstr(why.msg, "--inplace") == NULL) {
		*e = why;
		return -1;
	}
	return rsync_once(t, more, out, false, e);
}

/* Counts an entry of the list that is held back, but not what is below another one. */
static void count_one(struct restore_filter *f, const char *path, struct map *held)
{
	char *above SCOPED(mem_freep) = mem_strdup(path);

	for (char *slash; (slash = strrchr(above, '/')) != NULL;) {
		*slash = '\0';
		if (map_has(held, above))
			return;
	}
	if (strcmp(path, ".") != 0 && !restore_filter_wants(f, path, MANIFEST_FILE))
		(void)map_add(held, path, NULL);
}

/* What the filter keeps from being fetched: a list of it and of all directories, each before what
 * is in it, "MODE SIZE DATE TIME PATH", and of a link " -> TARGET". */
static int count(const struct transfer *t, struct err *e)
{
	struct strv argv SCOPED(strv_release) = {0};
	struct buf names SCOPED(buf_release) = BUF_INIT(64 << 20);
	struct map held = {0};

	strv_add(&argv, "rsync");
	strv_add(&argv, "-r");
	strv_add(&argv, "--links");
	strv_add(&argv, "--list-only");
	add_patterns(t->h, "--include", &argv);
	strv_add(&argv, "--include=*/");
	strv_add(&argv, "--exclude=*");
	add_source(t, &argv);
	if (run(t, &argv, &names, e) != 0)
		return -1;
	if (names.over)
		return err_set(e, ERR_REMOTE, "%s: more names than fit", t->s->text);
	for (char *at = names.data, *end; (end = strchr(at, '\n')) != NULL; at = end + 1) {
		bool link = at[0] == 'l';
		char *arrow;

		*end = '\0';
		for (int column = 0; column < 4; column++) {
			at += strspn(at, " ");
			at += strcspn(at, " ");
		}
		at += at[0] == ' ';
		arrow = link ? strstr(at, " -> ") : NULL;
		if (arrow != NULL)
			*arrow = '\0';
		count_one(t->h->filter, at, &held);
	}
	map_release(&held, NULL);
	return 0;
}

/* A path as a pattern, in which a backslash is one only where there is a wildcard, too. */
static void add_literal(const char *path, struct strv *argv)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 20);
	bool wild = strpbrk(path, "*?[") != NULL;

	for (; *path != '\0'; path++) {
		if (wild && strchr("*?[\\", *path) != NULL)
			buf_add(&b, "\\", 1);
		buf_add(&b, path, 1);
	}
	strv_addf(argv, "--exclude=/%s", b.data);
}

/* All names, which of them are one file's, and what of them a test may not have; counted once. */
static int look(struct transfer *t, bool first, struct err *e)
{
	static const char *const words[] = {"rsync", "-aHn", "--numeric-ids", LISTED_RSYNC};
	struct strv argv SCOPED(strv_release) = {0};
	struct buf names SCOPED(buf_release) = BUF_INIT(256 << 20);
	struct listed l SCOPED(listed_release) = {0};
	char *nothing SCOPED(mem_freep) = fs_join(t->h->work, "nothing");
	struct map held = {0};

	/* where there is nothing, all is new */
	if (fs_mkdirs(AT_FDCWD, nothing, 0700, e) != 0)
		return -1;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		strv_add(&argv, words[i]);
	add_claims(t->h, &argv);
	add_source(t, &argv);
	strv_addf(&argv, "%s/", nothing);
	if (run(t, &argv, &names, e) != 0)
		return -1;
	if (names.over)
		return err_set(e, ERR_REMOTE, "%s: more names than fit", t->s->text);
	if (listed_rsync(names.data, &l, e) != 0)
		return err_in(e, "%s", t->s->text);
	listed_find_links(&l, t->h->filter);
	for (size_t i = 0; i < l.n; i++) {
		const char *path = l.v[i].path;

		if (restore_filter_is_link(t->h->filter, path))
			add_literal(path, &t->links);
		if (first && path[0] != '\0')
			count_one(t->h->filter, path, &held);
	}
	map_release(&held, NULL);
	return 0;
}

/* What differs in content, though size and time do not, rsync finds only when it reads all. What
 * still differs then was changed meanwhile. */
static int compare(const struct transfer *t, struct err *e)
{
	static const char *const look[] = {"-nc", "--itemize-changes", NULL};
	static const char *const again[] = {"-c", NULL};
	struct buf first SCOPED(buf_release) = BUF_INIT(SAID_MAX);
	struct buf second SCOPED(buf_release) = BUF_INIT(SAID_MAX);

	if (rsync(t, look, &first, e) != 0)
		return -1;
	if (first.len == 0 && !first.over)
		return 0;
	if (rsync(t, again, NULL, e) != 0 || rsync(t, look, &second, e) != 0)
		return -1;
	if (second.len == 0 && !second.over)
		return 0;
	(void)err_set(e, ERR_BUSY, "%s changes while it is copied: %.*s", t->s->text,
		      (int)strcspn(second.data, "\n"), second.data);
	return err_hint(e, "stop what writes there, and restore again");
}

static int bring(struct transfer *t, struct err *e)
{
	static const char *const plain[] = {NULL};
	const struct source_help *h = t->h;
	bool first = t->s->rootfd < 0;
	int rc = 0;

	/* counted once a run, and not of a machine of which most is left alone */
	if (h->filter != NULL && h->env != SITE_PROD)
		rc = look(t, first, e);
	else if (first && h->filter != NULL && h->claims == NULL)
		rc = count(t, e);
	if (rc == 0 && h->last && h->proved && h->ahead != NULL)
		h->ahead(h->ctx);
	if (rc == 0)
		rc = rsync(t, plain, NULL, e);
	return rc == 0 && h->last && !h->proved ? compare(t, e) : rc;
}

int source_fetch_ssh(struct source *s, const struct source_help *h, struct err *e)
{
	char *to SCOPED(mem_freep) = fs_join(h->work, SOURCE_FETCHED);
	char *key SCOPED(mem_freep) = NULL, *shell SCOPED(mem_freep) = NULL;
	int keyfd SCOPED(fd_closep) = -1;
	struct transfer t = {.s = s, .h = h, .to = to};
	int rc;

	if (!proc_has("rsync")) {
		(void)err_set(e, ERR_FAIL, "there is no rsync here");
		return err_hint(e, "install rsync and openssh-client");
	}
	if (fs_mkdirs(AT_FDCWD, to, 0700, e) != 0 || key_file(h, &key, &keyfd, e) != 0 ||
	    shell_of(s, h, key, &shell, e) != 0)
		return -1;
	t.shell = shell;
	log_info("%s: rsync", s->text);
	rc = bring(&t, e);
	strv_release(&t.links);
	return rc;
}
