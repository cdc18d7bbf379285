#include "restore/source.h"
#include "restore/scanned.h"

#include "base/log.h"
#include "base/num.h"
#include "site/secret.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void source_release(struct source *s)
{
	free(s->text);
	free(s->path);
	free(s->user);
	free(s->host);
	fd_closep(&s->rootfd);
	manifest_names_free(s->names);
	source_perms_free(s->perms);
	source_snapshot_free(s->snapshot);
	free(s->owners);
	strv_release(&s->by_number);
	*s = (struct source)SOURCE_INIT;
}

static bool word_ok(const char *s, const char *more)
{
	if (s[0] == '\0' || s[0] == '-')
		return false;
	for (; *s != '\0'; s++)
		if (!(*s >= 'a' && *s <= 'z') && !(*s >= 'A' && *s <= 'Z') &&
		    !(*s >= '0' && *s <= '9') && strchr(more, *s) == NULL)
			return false;
	return true;
}

/* [USER@]HOST[:PORT]/PATH: what ssh(1) and rsync(1) would read as something else is refused. */
static int parse_ssh(const char *rest, struct source *s, struct err *e)
{
	const char *slash = strchr(rest, '/');
	char *who SCOPED(mem_freep) = NULL;
	char *at, *colon;
	uint64_t port = 0;

	if (slash == NULL || slash[1] == '\0')
		return err_set(e, ERR_USAGE, "ssh://[USER@]HOST[:PORT]/PATH wants a path");
	who = mem_strndup(rest, (size_t)(slash - rest));
	at = strchr(who, '@');
	if (at != NULL)
		*at = '\0';
	s->host = mem_strdup(at != NULL ? at + 1 : who);
	s->user = at != NULL ? mem_strdup(who) : NULL;
	colon = strchr(s->host, ':');
	if (colon != NULL)
		*colon = '\0';
	if ((s->user != NULL && !word_ok(s->user, "._-")) || !word_ok(s->host, ".-") ||
	    (colon != NULL && (num_u64(colon + 1, 65535, &port) != 0 || port == 0)))
		return err_set(e, ERR_USAGE, "ssh://[USER@]HOST[:PORT]/PATH wants plain names");
	s->port = (unsigned)port;
	s->path = mem_strdup(slash);
	return 0;
}

/* BUCKET[/PREFIX] */
static int parse_s3(const char *rest, struct source *s, struct err *e)
{
	size_t n = strcspn(rest, "/");

	s->host = mem_strndup(rest, n);
	s->path = mem_strdup(rest[n] == '/' ? rest + n + 1 : "");
	return n >= 3 && n <= 63 && word_ok(s->host, ".-")
		   ? 0
		   : err_set(e, ERR_USAGE, "%s: s3://BUCKET/PREFIX wants the name of a bucket",
			     s->text);
}

static int has_permfile(int fd, bool *ret, struct err *e)
{
	struct strv names SCOPED(strv_release) = {0};
	static const char end[] = "-perms.txt";

	*ret = false;
	if (fs_list(fd, ".", &names, e) != 0)
		return -1;
	for (size_t i = 0; i < names.n && !*ret; i++) {
		size_t n = strlen(names.v[i]);

		*ret = n > strlen(end) && strcmp(names.v[i] + n - strlen(end), end) == 0;
	}
	return 0;
}

static bool named_account(const char *path)
{
	char *plain SCOPED(mem_freep) = mem_strdup(path);
	char *base SCOPED(mem_freep) = NULL;

	for (size_t n = strlen(plain); n > 1 && plain[n - 1] == '/'; n--)
		plain[n - 1] = '\0';
	base = fs_basename(plain);
	return strncmp(base, "tfrsync-", 8) == 0;
}

/* What a path is that nobody said anything of. */
static int look_at(struct source *s, struct err *e)
{
	int fd SCOPED(fd_closep) = -1;
	bool perms = false;
	struct stat st;

	if (stat(s->path, &st) != 0)
		return err_sys(e, "look at %s", s->path);
	if (S_ISREG(st.st_mode)) {
		s->kind = SOURCE_TAR;
		return 0;
	}
	if (fs_open_dir(AT_FDCWD, s->path, &fd, e) != 0 || has_permfile(fd, &perms, e) != 0)
		return -1;
	s->kind = perms || named_account(s->path) ? SOURCE_ACCOUNT : SOURCE_DIR;
	return 0;
}

static int parse(const char *text, struct source *s, struct err *e)
{
	static const struct {
		const char *prefix;
		enum source_kind kind;
	} kinds[] = {{"dir:", SOURCE_DIR},          {"account:", SOURCE_ACCOUNT},
		     {"ssh://", SOURCE_SSH},        {"tar:", SOURCE_TAR},
		     {"site:", SOURCE_SITE},        {"s3://", SOURCE_S3},
		     {"snapshot:", SOURCE_SNAPSHOT}};

	s->text = mem_strdup(text);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t n = strlen(kinds[i].prefix);

		if (strncmp(text, kinds[i].prefix, n) != 0)
			continue;
		s->kind = kinds[i].kind;
		if (s->kind == SOURCE_SSH)
			return parse_ssh(text + n, s, e);
		if (s->kind == SOURCE_S3)
			return parse_s3(text + n, s, e);
		s->path = mem_strdup(text + n);
		return text[n] != '\0' ? 0 : err_set(e, ERR_USAGE, "%s wants a path", text);
	}
	if (text[0] == '/') {
		s->path = mem_strdup(text);
		return look_at(s, e);
	}
	(void)err_set(e, ERR_USAGE, "no source of data: %s", text);
	return err_hint(e, "dir:PATH, account:PATH, ssh://[USER@]HOST/PATH, tar:FILE, site:FILE, "
			   "s3://BUCKET/PREFIX or "
			   "snapshot:REPO[@ID]");
}

int source_parse(const char *text, struct source *ret, struct err *e)
{
	struct source s SCOPED(source_release) = SOURCE_INIT;

	if (parse(text, &s, e) != 0)
		return -1;
	*ret = s;
	s = (struct source)SOURCE_INIT;
	return 0;
}

int source_secret(const struct source_help *h, const char *what, struct buf *ret, struct err *e)
{
	if (h->secret == NULL) {
		(void)err_set(e, ERR_USAGE, "%s wants a secret", what);
		return err_hint(e, "--secret-file FILE, or backup.secret of the site");
	}
	return site_secret_read(h->secret, ret, e) == 0 ? 0 : err_in(e, "the secret of %s", what);
}

/* The text of a regular file of the tree that is no link. */
static int table_of(int rootfd, const char *path, struct buf *ret, bool *ret_there, struct err *e)
{
	const struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
				     .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
	int fd SCOPED(fd_closep) = fs_openat2(rootfd, path, &how);
	struct stat st;
	char chunk[4096];
	ssize_t n = 0;

	*ret_there = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
	while (*ret_there && (n = read(fd, chunk, sizeof(chunk))) > 0)
		buf_add(ret, chunk, (size_t)n);
	if (n < 0)
		return err_sys(e, "read %s", path);
	return buf_over(ret) ? err_set(e, ERR_VERIFY, "%s: too large", path) : 0;
}

static int table_of_host(const char *path, struct buf *ret, struct err *e)
{
	buf_cut(ret, 0);
	if (fs_get(AT_FDCWD, path, ret, e) == 0)
		return 0;
	if (e->sys != ENOENT)
		return -1;
	*e = (struct err)ERR_INIT;
	return 0;
}

/* A tree of a whole machine says itself who its numbers are. */
int source_tables(const struct source *s, struct source_tables *ret, struct err *e)
{
	bool users = false, groups = false;

	if (table_of(s->rootfd, "etc/passwd", &ret->passwd, &users, e) != 0 ||
	    table_of(s->rootfd, "etc/group", &ret->group, &groups, e) != 0)
		return err_in(e, "%s", s->text);
	ret->own = users && groups;
	if (ret->own)
		return 0;
	return table_of_host("/etc/passwd", &ret->passwd, e) != 0 ||
		       table_of_host("/etc/group", &ret->group, e) != 0
		   ? -1
		   : 0;
}

void source_tables_release(struct source_tables *t)
{
	buf_release(&t->passwd);
	buf_release(&t->group);
}

static int names_of_tree(struct source *s, struct err *e)
{
	struct source_tables t SCOPED(source_tables_release) = SOURCE_TABLES_INIT;

	if (s->names != NULL)
		return 0;
	if (source_tables(s, &t, e) != 0)
		return -1;
	return manifest_names_of(t.passwd.data, t.group.data, &s->names, e) == 0
		   ? 0
		   : err_in(e, "%s", s->text);
}

static int open_root(struct source *s, const char *path, struct err *e)
{
	fd_closep(&s->rootfd);
	return fs_open_dir(AT_FDCWD, path, &s->rootfd, e);
}

/* What lies elsewhere, to WORK/fetched. */
static int fetch(struct source *s, const struct source_help *h, struct err *e)
{
	char *fetched SCOPED(mem_freep) = fs_join(h->work, SOURCE_FETCHED);
	char *note SCOPED(mem_freep) = fs_join(h->work, SOURCE_UNPACKED);
	char *left SCOPED(mem_freep) = fs_join(h->work, "open.tar");
	int rc = 0;

	if (h->dry_run)
		return err_set(e, ERR_USAGE, "%s has to be fetched: there is no --dry-run of it",
			       s->text);
	/* what a run that was killed has opened with a key */
	if (fs_rmtree(AT_FDCWD, left, e) != 0)
		return -1;
	/* it is no archive's any more */
	if (s->kind != SOURCE_TAR && fs_rmtree(AT_FDCWD, note, e) != 0)
		return -1;
	if (s->kind == SOURCE_SSH)
		rc = source_fetch_ssh(s, h, e);
	else if (s->kind == SOURCE_S3)
		rc = source_fetch_s3(s, h, e);
	else
		rc = source_fetch_tar(s, h, e);
	return rc == 0 ? open_root(s, fetched, e) : -1;
}

/* What was fetched may be an account too, and then nothing else says whose its files are. The name
 * of an archive says nothing of the root in it. */
static int read_perms(struct source *s, struct err *e)
{
	bool wanted =
	    s->kind == SOURCE_ACCOUNT || (s->kind == SOURCE_SSH && named_account(s->path));

	if (s->kind == SOURCE_DIR || s->perms != NULL)
		return 0;
	if (!wanted && has_permfile(s->rootfd, &wanted, e) != 0)
		return -1;
	return wanted ? source_perms_read(s->rootfd, &s->perms, e) : 0;
}

/* Who its files are, and what its numbers are called. */
static int read_owners(struct source *s, const struct source_help *h, struct err *e)
{
	if (read_perms(s, e) != 0)
		return err_in(e, "%s", s->text);
	if (s->kind == SOURCE_TAR && s->perms == NULL && source_owners(s, h, e) != 0)
		return err_in(e, "%s", s->text);
	return names_of_tree(s, e);
}

/* Removes from what was fetched for a test what a look into it finds. */
static int clean(const struct source_help *h, const char *dir, struct err *e)
{
	const struct manifest_opts names = {.names_only = true};
	struct manifest m SCOPED(manifest_release) = {0};
	const char **paths SCOPED(mem_freep) = NULL;
	int fd SCOPED(fd_closep) = -1;
	struct map drop = {0};
	int rc = fs_open_dir(AT_FDCWD, dir, &fd, e) != 0 || manifest_make(fd, &names, &m, e) != 0 ||
			 restore_scanned(dir, &m, h->filter, &drop, e) != 0
		     ? -1
		     : 0;

	paths = map_keys(&drop);
	for (size_t i = 0; rc == 0 && i < drop.n; i++)
		if (unlinkat(fd, paths[i], 0) != 0)
			rc = err_sys(e, "remove what was found in %s", dir);
	map_release(&drop, NULL);
	return rc;
}

static int fetch_and_look(struct source *s, const struct source_help *h, struct err *e)
{
	if (fetch(s, h, e) != 0)
		return -1;
	/* before anything of it is removed: its users, too */
	return read_owners(s, h, e);
}

/* What may not stay in a test goes at once, also when the fetching failed on its way. */
static int fetch_clean(struct source *s, const struct source_help *h, struct err *e)
{
	char *fetched SCOPED(mem_freep) = fs_join(h->work, SOURCE_FETCHED);
	struct err why = ERR_INIT;
	int rc = fetch_and_look(s, h, e);

	if (h->env == SITE_PROD || h->dry_run || (rc != 0 && access(fetched, F_OK) != 0) ||
	    clean(h, fetched, &why) == 0)
		return rc;
	if (rc == 0)
		*e = why;
	if (fs_rmtree(AT_FDCWD, fetched, &why) != 0)
		log_warn("%s", why.msg);
	return -1;
}

static int open_tree(struct source *s, const struct source_help *h, struct err *e)
{
	if (s->kind != SOURCE_DIR && s->kind != SOURCE_ACCOUNT)
		return fetch_clean(s, h, e);
	if (open_root(s, s->path, e) != 0)
		return -1;
	return read_owners(s, h, e);
}

int source_ready(struct source *s, const struct source_help *h, struct err *e)
{
	if (h->signers != NULL && s->kind != SOURCE_SNAPSHOT)
		return err_set(e, ERR_USAGE, "--pub wants a snapshot, and %s is none", s->text);
	if (s->kind == SOURCE_SITE)
		return source_open_site(s, h, e);
	if (s->kind == SOURCE_SNAPSHOT)
		return source_open_snapshot(s, h, e);
	return open_tree(s, h, e);
}

static int open_below(const struct source *s, const char *below)
{
	const struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
				     .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};

	return fs_openat2(s->rootfd, below[0] != '\0' ? below : ".", &how);
}

int source_has(const struct source *s, const char *below, bool *ret, struct err *e)
{
	int fd SCOPED(fd_closep) = -1;

	if (s->snapshot != NULL) {
		const struct manifest_entry *one =
		    manifest_find(source_snapshot_manifest(s->snapshot), below);

		*ret = one != NULL && one->type == MANIFEST_DIR;
		return 0;
	}
	fd = open_below(s, below);
	if (fd < 0 && errno != ENOENT) {
		(void)err_sys(e, "%s: open %s", s->text, below);
		return err_hint(e, "what is a link there leads out of the source");
	}
	*ret = fd >= 0;
	return 0;
}

void source_tree_release(struct source_tree *t)
{
	restore_view_release(&t->view);
	if (t->content.ctx != NULL)
		apply_content_free(&t->content);
	manifest_release(&t->made);
	manifest_seen_free(t->seen);
	fd_closep(&t->fd);
	*t = (struct source_tree){.fd = -1};
}

static int view(struct source_tree *t, const struct map *drop, struct err *e)
{
	const struct restore_part p = {.of = t->all,
				       .content = t->all_of,
				       .below = t->below,
				       .filter = t->filter,
				       .again = drop != NULL,
				       .drop = drop};

	restore_view_release(&t->view);
	if (restore_view_make(&p, &t->view, e) != 0)
		return -1;
	if (t->strip != NULL)
		restore_view_strip(&t->view, t->strip);
	return 0;
}

int source_tree_drop(struct source_tree *t, const struct map *drop, struct err *e)
{
	return view(t, drop, e);
}

/* What an earlier pass has read need not be read again, where it is as it was. */
static int make_tree(const struct source *s, const struct source_want *w, struct source_tree *t,
		     struct err *e)
{
	struct restore_making how = {.names = s->names,
				     .filter = w->filter,
				     .threads = w->threads,
				     .what = "read",
				     .living = w->living,
				     .later = w->later};

	if (w->seenfd >= 0 &&
	    manifest_seen_load(w->seenfd, w->content ? NULL : w->seen, &how.seen, e) != 0)
		return -1;
	t->seen = how.seen;
	t->seenfd = w->dry_run ? -1 : w->seenfd;
	t->seen_name = w->seen;
	if (restore_make(t->fd, &how, &t->made, e) != 0)
		return -1;
	return w->later ? 0 : source_tree_learnt(t, e);
}

int source_tree_learnt(struct source_tree *t, struct err *e)
{
	int rc = 0;

	manifest_settle(&t->made);
	if (t->seen != NULL && t->seenfd >= 0)
		rc = manifest_seen_save(t->seen, t->seenfd, t->seen_name, e);
	manifest_seen_free(t->seen);
	t->seen = NULL;
	return rc;
}

static int tree_of_dir(struct source *s, const struct source_want *w, struct source_tree *t,
		       struct err *e)
{
	uint64_t without = 0;

	t->fd = open_below(s, w->below);
	if (t->fd < 0)
		return err_sys(e, "open %s", w->below);
	if (make_tree(s, w, t, e) != 0)
		return -1;
	if (s->perms != NULL && source_perms_apply(s->perms, w->below, &t->made, &without, e) != 0)
		return -1;
	if (without > 0)
		log_warn("%s: %llu entries below /%s are in no permfile: they get the owner of "
			 "their directory",
			 s->text, (unsigned long long)without, w->below);
	if (apply_content_of_dir(t->fd, &t->made, &t->content, e) != 0)
		return -1;
	t->content.living = w->living;
	apply_content_learns(&t->content, &t->made, t->seen);
	t->all = &t->made;
	t->all_of = &t->content;
	t->below = "";
	return view(t, NULL, e);
}

int source_tree(struct source *s, const struct source_want *w, struct source_tree *ret,
		struct err *e)
{
	int rc;

	source_tree_release(ret);
	ret->strip = w->strip ? w->filter : NULL;
	if (s->snapshot == NULL) {
		rc = tree_of_dir(s, w, ret, e);
	} else {
		ret->all = source_snapshot_manifest(s->snapshot);
		ret->all_of = source_snapshot_content(s->snapshot);
		ret->below = w->below;
		ret->filter = w->filter;
		rc = view(ret, NULL, e);
	}
	return rc == 0 ? 0 : err_in(e, "%s", s->text);
}
