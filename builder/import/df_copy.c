#include "base/glob.h"
#include "base/num.h"
#include "import/df.h"
#include "recipe/grammar.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One COPY or ADD while it is done. */
struct copy {
	struct df *d;
	int context;       /* the directory */
	const char *dest;  /* absolute, without a slash at its end */
	bool into;         /* dest is a directory */
	char overlay[32];  /* "overlay-1" */
	const char *sub;   /* where in dest the source goes that is being copied */
	unsigned mode;     /* of --chmod, or 0 */
	const char *owner; /* "0:0" */
	bool any;          /* something was found */
};

/* ---- flags */

static const char *flag(const struct df *d, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < d->i->flags.n; i++)
		if (strncmp(d->i->flags.v[i], name, n) == 0 && d->i->flags.v[i][n] == '=')
			return d->i->flags.v[i] + n + 1;
	return NULL;
}

static void other_flags(struct df *d)
{
	static const char *const known[] = {"--from=", "--chown=", "--chmod=", "--checksum=", NULL};

	for (size_t i = 0; i < d->i->flags.n; i++) {
		const char *f = d->i->flags.v[i];
		const char *const *k = known;

		while (*k != NULL && strncmp(f, *k, strlen(*k)) != 0)
			k++;
		if (*k == NULL && strcmp(f, "--link") != 0)
			found(&d->at, RULE_OPTION, "\"%s\" is not carried over", f);
	}
}

/* "0:0" of --chown; the caller owns it. */
static char *owner_of(struct df *d)
{
	const char *given = flag(d, "--chown");
	const char *colon = given != NULL ? strchr(given, ':') : NULL;
	const char *group = colon != NULL ? colon + 1 : "0";
	char *user SCOPED(mem_freep) =
	    given != NULL ? mem_strndup(given, strcspn(given, ":")) : mem_strdup("0");
	uint64_t n;

	if (colon == NULL)
		group = user;
	if (num_u64(user, UINT32_MAX - 1, &n) == 0 && num_u64(group, UINT32_MAX - 1, &n) == 0)
		return mem_format("%s:%s", user, group);
	found(&d->at, RULE_OPTION, "the owner \"%s\" has no number: root's for now", given);
	return mem_strdup("0:0");
}

/* ---- files of the context */

static bool room(struct copy *c, uint64_t bytes)
{
	struct df *d = c->d;

	d->files++;
	d->bytes += bytes;
	if (d->files <= COPY_FILES_MAX && d->bytes <= COPY_BYTES_MAX)
		return true;
	if (d->files == COPY_FILES_MAX + 1 || d->bytes - bytes <= COPY_BYTES_MAX)
		found(&d->at, RULE_MISSING_SOURCE,
		      "more than %d files or 64 MiB are copied: take the rest as a medium",
		      COPY_FILES_MAX);
	return false;
}

static int add_file(struct copy *c, int dir, const char *name, const char *to, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(COPY_BYTES_MAX);
	char *at SCOPED(mem_freep) = mem_format("%s%s", c->overlay, to);
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return err_sys(e, "%s", name);
	if (!room(c, (uint64_t)st.st_size))
		return 0;
	if (S_ISDIR(st.st_mode)) {
		draft_file(c->d->im, at, "", 0, S_IFDIR);
	} else if (S_ISLNK(st.st_mode)) {
		char link[4096];
		ssize_t n = readlinkat(dir, name, link, sizeof(link) - 1);

		if (n < 0)
			return err_sys(e, "%s", name);
		draft_file(c->d->im, at, link, (size_t)n, S_IFLNK);
	} else if (S_ISREG(st.st_mode)) {
		mode_t mode = (st.st_mode & 0111) != 0 ? 0755 : 0644;

		if (fs_get_file(dir, name, &b, e) != 0)
			return -1;
		draft_file(c->d->im, at, b.data, b.len, c->mode != 0 ? c->mode : mode);
	}
	c->any = true;
	return 0;
}

static int on_entry(void *ctx, const struct fs_entry *en, struct err *e)
{
	struct copy *c = ctx;
	char *to SCOPED(mem_freep) =
	    mem_format("%s/%s", strcmp(c->dest, "/") == 0 ? "" : c->dest, en->path);

	return add_file(c, en->parent_fd, en->name, to, e);
}

/* Opens what a path of the context names, or -1; links do not lead out of the context. */
static int open_source(struct copy *c, const char *path, struct stat *st)
{
	struct err quiet = ERR_INIT;
	int fd = -1;

	if (fs_open_in_root(c->context, path, O_RDONLY | O_NONBLOCK, &fd, &quiet) != 0)
		return -1;
	if (fstat(fd, st) == 0 && (S_ISDIR(st->st_mode) || S_ISREG(st->st_mode)))
		return fd;
	(void)close(fd);
	return -1;
}

/* Puts an open plain file at its place. */
static int add_open_file(struct copy *c, int fd, const struct stat *st, const char *path)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(COPY_BYTES_MAX);
	char *name SCOPED(mem_freep) = fs_basename(path);
	char *at SCOPED(mem_freep) = NULL;
	mode_t mode = (st->st_mode & 0111) != 0 ? 0755 : 0644;
	const char *dest = strcmp(c->dest, "/") == 0 ? "" : c->dest;
	char chunk[16384];
	ssize_t n;

	at = c->into ? mem_format("%s%s/%s", c->overlay, dest, name)
		     : mem_format("%s%s", c->overlay, dest);
	if (!room(c, (uint64_t)st->st_size))
		return 0;
	while ((n = read(fd, chunk, sizeof(chunk))) > 0)
		buf_add(&b, chunk, (size_t)n);
	draft_file(c->d->im, at, b.data, b.len, c->mode != 0 ? c->mode : mode);
	c->any = true;
	return 0;
}

static int copy_path(struct copy *c, const char *path, struct err *e)
{
	struct stat st;
	int fd SCOPED(fd_closep) = open_source(c, path, &st);

	if (fd < 0) {
		char *shown SCOPED(mem_freep) = harmless(path, strlen(path));

		found(&c->d->at, RULE_MISSING_SOURCE, "there is no \"%s\" in the context", path);
		strv_addf(&c->d->im->d.overlays, "# missing: %s", shown);
		return 0;
	}
	if (S_ISREG(st.st_mode))
		return add_open_file(c, fd, &st, path);
	c->any = true;
	return fs_walk(fd, on_entry, c, e);
}

struct matches {
	const char *pattern;
	struct strv paths;
	bool more;
};

static int on_match(void *ctx, const struct fs_entry *en, struct err *e)
{
	struct matches *m = ctx;

	(void)e;
	if (m->more || !glob_match(m->pattern, en->path))
		return 0;
	m->more = m->paths.n == COPY_FILES_MAX;
	if (!m->more)
		strv_add(&m->paths, en->path);
	return 0;
}

static int copy_source(struct copy *c, const char *source, struct err *e)
{
	char *clean SCOPED(mem_freep) = NULL;
	struct df bare = *c->d;
	struct matches m = {0};
	int rc = 0;

	bare.workdir = NULL;
	clean = df_path(&bare, source);
	if (clean == NULL || strpbrk(source, "*?[") == NULL)
		return copy_path(c, clean != NULL ? clean : source, e);
	m.pattern = clean + 1;
	rc = fs_walk(c->context, on_match, &m, e);
	if (m.more)
		found(&c->d->at, RULE_MISSING_SOURCE,
		      "\"%s\" is more than %d files: take the rest as a medium", source,
		      COPY_FILES_MAX);
	if (rc == 0 && m.paths.n == 0)
		rc = copy_path(c, source, e);
	for (size_t i = 0; i < m.paths.n && rc == 0; i++)
		rc = copy_path(c, m.paths.v[i], e);
	strv_release(&m.paths);
	return rc;
}

/* ---- archives and downloads */

static bool is_archive(const char *path)
{
	static const char *const ends[] = {".tar",     ".tar.gz", ".tgz", ".tar.xz",  ".txz",
					   ".tar.bz2", ".tbz2",   ".tbz", ".tar.zst", NULL};
	size_t n = strlen(path);

	for (const char *const *s = ends; *s != NULL; s++)
		if (n > strlen(*s) && strcmp(path + n - strlen(*s), *s) == 0)
			return true;
	return false;
}

/* The digest of a file of the context, or "WANTED". */
static void digest_source(struct copy *c, const char *path, char *ret, size_t ret_n)
{
	struct err quiet = ERR_INIT;
	struct digest dg;
	struct stat st;
	int fd SCOPED(fd_closep) = open_source(c, path, &st);

	(void)snprintf(ret, ret_n, "WANTED");
	if (fd < 0 || !S_ISREG(st.st_mode)) {
		found(&c->d->at, RULE_MISSING_SOURCE, "there is no \"%s\" in the context", path);
		return;
	}
	if (digest_fd(fd, &dg, NULL, &quiet) == 0)
		(void)snprintf(ret, ret_n, "%s", digest_hex(&dg).s);
}

static void add_step(struct copy *c, const char *medium, const char *what)
{
	struct df *d = c->d;
	const char *base = strrchr(what, '/');
	struct strv argv = {0};
	char *parent SCOPED(mem_freep) = fs_dirname(c->dest);
	char *run SCOPED(mem_freep) = NULL;
	char *writes SCOPED(mem_freep) =
	    yaml_scalar(c->into || is_archive(what) ? c->dest : parent);

	strv_add(&argv, "cp");
	strv_add(&argv, "-a");
	strv_addf(&argv, "/media/%s/%s", medium,
		  is_archive(what) && strstr(what, "://") == NULL
		      ? "."
		      : (base != NULL ? base + 1 : what));
	strv_addf(&argv, "%s%s", c->dest, c->into && strcmp(c->dest, "/") != 0 ? "/" : "");
	run = yaml_flow(&argv);
	strv_addf(&d->im->d.steps,
		  "name: add-%u\n# %s:%u\nmount: {%s: /media/%s}\nrun: %s\nwrites: [%s]", ++d->runs,
		  d->at.src->name, d->at.line, medium, medium, run, writes);
	strv_release(&argv);
}

static void add_archive(struct copy *c, const char *source)
{
	struct df *d = c->d;
	char *path SCOPED(mem_freep) = fs_join(d->context, source);
	char *url SCOPED(mem_freep) = yaml_scalar(path);
	char *medium SCOPED(mem_freep) = NULL;
	const char *slash = strrchr(source, '/');
	char digest[DIGEST_HEX + 1];

	digest_source(c, source, digest, sizeof(digest));
	if (d->scratch && !d->filled && strcmp(c->dest, "/") == 0 && d->im->o.base == NULL) {
		strv_addf(&d->im->d.base, "tar:\n  url: %s\n  sha256: %s", url, digest);
		d->filled = true;
		return;
	}
	if (strcmp(c->dest, "/") == 0 && d->scratch && !d->filled) {
		found(&d->at, RULE_BASE_REPLACED, "%s was the whole system", source);
		d->filled = true;
		return;
	}
	medium = draft_medium_name(d->im, slash != NULL ? slash + 1 : source);
	strv_addf(&d->im->d.media, "%s:\n# %s:%u\nurl: %s\nsha256: %s", medium, d->at.src->name,
		  d->at.line, url, digest);
	add_step(c, medium, source);
}

static void add_url(struct copy *c, const char *url)
{
	struct df *d = c->d;
	const char *sum = flag(d, "--checksum");
	struct digest dg;
	bool known = sum != NULL && digest_parse(sum, &dg) == 0;
	char *medium SCOPED(mem_freep) = draft_fetch(&d->at, url, known ? digest_hex(&dg).s : NULL);

	if (!known)
		found(&d->at, RULE_FETCH, "a download%s%s: %s",
		      medium != NULL ? ", now the medium " : "", medium != NULL ? medium : "", url);
	if (medium != NULL)
		add_step(c, medium, url);
}

static int one_source(struct copy *c, const char *given, struct err *e)
{
	char *source SCOPED(mem_freep) = without_userinfo(&c->d->at, given, strlen(given));
	bool add = strcmp(c->d->i->name, "ADD") == 0;

	if (add && (strstr(source, "://") != NULL || strncmp(source, "git@", 4) == 0)) {
		add_url(c, source);
		return 0;
	}
	if (add && is_archive(source)) {
		add_archive(c, source);
		return 0;
	}
	return copy_source(c, source, e);
}

/* ---- the instruction */

static void add_heredocs(struct copy *c)
{
	for (size_t i = 0; i < c->d->i->heredocs_n; i++) {
		const struct dockerfile_heredoc *h = &c->d->i->heredocs[i];
		const char *dest = strcmp(c->dest, "/") == 0 ? "" : c->dest;
		char *at SCOPED(mem_freep) =
		    c->into ? mem_format("%s%s/%s", c->overlay, dest, h->marker)
			    : mem_format("%s%s", c->overlay, dest);

		if (!h->quoted && strchr(h->body, '$') != NULL)
			found(&c->d->at, RULE_HEREDOC_EXPANDS,
			      "\"%s\" has variables, which are not expanded here", h->marker);
		draft_file(c->d->im, at, h->body, strlen(h->body), c->mode != 0 ? c->mode : 0644);
		c->any = true;
	}
}

/* All words but the last are sources. */
static int sources(struct copy *c, const struct strv *words, struct err *e)
{
	struct df *d = c->d;
	char *owner SCOPED(mem_freep) = owner_of(d);
	const char *mode = flag(d, "--chmod");

	if (mode != NULL && num_mode(mode, &c->mode) != 0)
		found(&d->at, RULE_BAD_VALUE, "--chmod=%s is no mode", mode);
	if ((c->mode & ~0777U) != 0)
		found(&d->at, RULE_BAD_VALUE, "--chmod=%s: only %03o of it is carried over", mode,
		      c->mode & 0777);
	c->mode &= 0777;
	(void)snprintf(c->overlay, sizeof(c->overlay), "overlay-%u", d->overlays + 1);
	df_check_volume(d, c->dest);
	add_heredocs(c);
	for (size_t i = 0; i + 1 < words->n; i++)
		if (strncmp(words->v[i], "<<", 2) != 0 && one_source(c, words->v[i], e) != 0)
			return -1;
	if (c->any) {
		char *from SCOPED(mem_freep) = draft_path(d->im, c->overlay);

		d->overlays++;
		strv_addf(&d->im->d.overlays, "{from: %s, to: /, owner: \"%s\"}", from, owner);
	}
	if (d->copied.n < DF_COPIED_MAX)
		strv_add(&d->copied, c->dest);
	return 0;
}

static enum outcome copy_words(struct df *d, const struct strv *words)
{
	const char *last = words->v[words->n - 1];
	char *dest SCOPED(mem_freep) = df_path(d, last);
	size_t n = strlen(last);
	struct copy c = {.d = d, .context = -1, .dest = dest};
	struct err e = ERR_INIT;
	int rc;

	if (dest == NULL || !grammar_ok(&grammar_image_path, dest)) {
		found(&d->at, RULE_BAD_VALUE, "\"%s\" is no path", last);
		return OUTCOME_FOUND;
	}
	c.into = (n > 0 && last[n - 1] == '/') || words->n > 2 || strcmp(dest, "/") == 0 ||
		 strcmp(last, ".") == 0;
	if (fs_open_dir(AT_FDCWD, d->context, &c.context, &e) != 0) {
		found(&d->at, RULE_MISSING_SOURCE, "%s", e.msg);
		return OUTCOME_FOUND;
	}
	rc = sources(&c, words, &e);
	(void)close(c.context);
	if (rc != 0)
		found(&d->at, RULE_MISSING_SOURCE, "%s", e.msg);
	return rc == 0 ? OUTCOME_CARRIED : OUTCOME_FOUND;
}

static void look_for_dockerignore(struct df *d)
{
	char *path SCOPED(mem_freep) = fs_join(d->context, ".dockerignore");

	if (d->copied.n == 0 && access(path, F_OK) == 0)
		found(&d->at, RULE_DOCKERIGNORE, "the context has a .dockerignore");
}

enum outcome df_copy(struct df *d)
{
	struct strv words = {0};
	const char *from = flag(d, "--from");
	enum outcome o = OUTCOME_FOUND;

	other_flags(d);
	if (from != NULL) {
		found(&d->at, RULE_COPY_FROM, "from \"%s\": %s", from, d->i->rest);
		return OUTCOME_FOUND;
	}
	look_for_dockerignore(d);
	if (d->i->form == DOCKERFILE_SHELL)
		df_words(d, d->i->rest, true, &words);
	else
		strv_extend(&words, &d->i->exec);
	if (words.n >= 2)
		o = copy_words(d, &words);
	else
		found(&d->at, RULE_NOT_UNDERSTOOD, "%s wants a source and a destination",
		      d->i->name);
	strv_release(&words);
	return o;
}
