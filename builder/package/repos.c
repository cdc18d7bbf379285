#include "package/repos.h"

#include "package/snapshot.h"
#include "package/sources.h"
#include "sys/fs.h"
#include "sys/intr.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIRRORS_MAX 16

static void repo_release(struct repo *r)
{
	free(r->suite);
	free(r->time);
	free(r->id);
	free(r->uri);
}

void repos_release(struct repos *s)
{
	for (size_t i = 0; i < s->n; i++)
		repo_release(&s->v[i]);
	free(s->v);
	private_release(&s->apt);
	*s = (struct repos){0};
}

int repos_make(const struct recipe *r, const char *dir, struct repos *ret, struct err *e)
{
	struct repos s = {.r = r};

	if (private_make(r, dir, &s.apt, e) != 0)
		return -1;
	*ret = s;
	return 0;
}

static struct repo *add(struct repos *s, char *suite)
{
	s->v = mem_resize(s->v, s->n + 1, sizeof(*s->v));
	s->v[s->n] = (struct repo){.suite = suite};
	return &s->v[s->n++];
}

static void add_suite(struct repos *s, char *suite, const char *time)
{
	struct repo *repo = add(s, suite);

	repo->time = time != NULL ? mem_strdup(time) : NULL;
	repo->id = time != NULL ? snapshot_id(suite, time) : mem_strdup(suite);
}

void repos_add(struct repos *s, const char *time)
{
	const struct recipe_apt *a = s->r->apt;

	add_suite(s, mem_strdup(a->suite), time);
	for (size_t i = 0; i < a->pockets.n; i++)
		add_suite(s, mem_format("%s-%s", a->suite, a->pockets.v[i]), time);
}

void repos_add_own(struct repos *s, const char *dir)
{
	struct repo *repo = add(s, mem_strdup("./"));

	repo->id = mem_strdup("");
	repo->uri = mem_format("file://%s/", dir);
}

/* What apt says about keys and signatures, whichever repository it is. */
static bool is_trust_problem(const char *said)
{
	static const char *const words[] = {
	    "GPG error",   "is not signed",
	    "NO_PUBKEY",   "does not have a Release file",
	    "isn't valid", "no longer has a Release file",
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strstr(said, words[i]) != NULL)
			return true;
	return false;
}

static int update_err(struct repos *s, const struct buf *err, bool *absent, struct err *e)
{
	char *said SCOPED(mem_freep) = private_complaint(err);

	if (absent != NULL)
		*absent = strstr(said, "does not have a Release file") != NULL &&
			  strstr(said, "GPG error") == NULL;
	if (strstr(said, "Hash Sum mismatch") != NULL || strstr(said, "unexpected size") != NULL)
		return err_set(e, ERR_VERIFY, "an index is not the one that was signed: %s", said);
	if (is_trust_problem(said)) {
		(void)recipe_err(&s->r->apt->pos, e, "a repository is refused: %s", said);
		return err_hint(e,
				"base.apt.keyring (%s) must hold the archive's keys, and the suite "
				"must exist there",
				s->r->apt->keyring);
	}
	(void)err_set(e, ERR_REMOTE, "the package indexes cannot be had: %s", said);
	if (strstr(said, "is expired") != NULL || strstr(said, "is not valid yet") != NULL)
		return err_hint(e, "the mirror is out of date, or this machine's clock is wrong");
	return err_hint(e, "check the network, or name another mirror in POSMEDIA_APT_MIRROR");
}

/* Where the n-th mirror or snapshot of a repository is, or its last. */
static int locate(struct repos *s, struct repo *repo, size_t n, bool *ret_more, struct err *e)
{
	struct strv found SCOPED(strv_release) = {0};

	if (strcmp(repo->suite, "./") == 0)
		return 0;
	if (repo->time == NULL) {
		if (sources_find(s->r->apt, repo->suite, &found, e) != 0)
			return -1;
	} else {
		snapshot_find(s->r->apt, repo->suite, repo->time, &found);
	}
	if (found.n == 0) {
		(void)recipe_err(&s->r->apt->pos, e, "no snapshots are known for the suite %s",
				 repo->suite);
		return err_hint(e, "set POSMEDIA_APT_SNAPSHOT (and POSMEDIA_APT_SECURITY_SNAPSHOT "
				   "for -security) to a URL with {time} in it");
	}
	free(repo->uri);
	repo->uri = mem_strdup(found.v[n < found.n ? n : found.n - 1]);
	*ret_more = *ret_more || n + 1 < found.n;
	return 0;
}

/* Updates from the n-th mirror of each suite (or its last). *ret_more: another one may be tried. */
static int update(struct repos *s, size_t n, bool *absent, bool *ret_more, struct err *e)
{
	static const char *const argv[] = {"apt-get", "-q", "update", NULL};
	struct private_source *sources SCOPED(mem_freep) = mem_zalloc(s->n * sizeof(*sources));
	struct buf out SCOPED(buf_release) = BUF_INIT(1 << 20);
	struct buf err SCOPED(buf_release) = BUF_INIT(1 << 20);
	int status = 0;

	*ret_more = false;
	for (size_t i = 0; i < s->n; i++) {
		if (locate(s, &s->v[i], n, ret_more, e) != 0)
			return -1;
		sources[i] = (struct private_source){
		    .suite = s->v[i].suite, .uri = s->v[i].uri, .old = s->v[i].time != NULL};
	}
	if (private_sources(&s->apt, sources, s->n, e) != 0 ||
	    private_run(&s->apt, argv, &out, &err, &status, e) != 0)
		return -1;
	return status == 0 ? 0 : update_err(s, &err, absent, e);
}

int repos_update(struct repos *s, bool *absent, struct err *e)
{
	bool more = true;
	int r = -1;

	for (size_t n = 0; more && n < MIRRORS_MAX; n++) {
		r = update(s, n, absent, &more, e);
		if (r == 0 || e->kind != ERR_REMOTE)
			return r;
	}
	return r;
}

/* apt writes "file:/path/" for "file:///path/". */
static bool same_uri(const char *a, const char *b)
{
	static const char file[] = "file://";

	a += strncmp(a, file, sizeof(file) - 1) == 0 ? sizeof(file) - 1 : 0;
	b += strncmp(b, file, sizeof(file) - 1) == 0 ? sizeof(file) - 1 : 0;
	a += strncmp(a, "file:", 5) == 0 ? 5 : 0;
	b += strncmp(b, "file:", 5) == 0 ? 5 : 0;
	return strcmp(a, b) == 0;
}

static const struct repo *find(const struct repos *s, const char *suite, const char *uri)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->v[i].suite, suite) == 0 && same_uri(s->v[i].uri, uri))
			return &s->v[i];
	return NULL;
}

enum { SUITE, URI, FILE_NAME, KEY, FIELDS };

/* Cuts a line of FIELDS fields, each ended by a tab, off the front. */
static int take_line(char **p, char *f[FIELDS], struct err *e)
{
	for (size_t i = 0; i < FIELDS; i++) {
		f[i] = *p;
		*p += strcspn(*p, "\t\n");
		if (**p != '\t')
			return err_set(e, ERR_FAIL, "apt-get indextargets: odd output");
		*(*p)++ = '\0';
	}
	*p += strspn(*p, "\n");
	return 0;
}

int repos_each(struct repos *s, int (*fn)(void *ctx, const struct repos_index *x, struct err *e),
	       void *ctx, struct err *e)
{
	static const char *const argv[] = {"apt-get",
					   "indextargets",
					   "--format",
					   "$(RELEASE)\t$(REPO_URI)\t$(FILENAME)\t$(METAKEY)\t",
					   "Created-By: Packages",
					   NULL};
	struct buf out SCOPED(buf_release) = BUF_INIT(1 << 20);
	struct buf err SCOPED(buf_release) = BUF_INIT(1 << 16);
	int status = 0;

	if (private_run(&s->apt, argv, &out, &err, &status, e) != 0)
		return -1;
	if (status != 0)
		return err_set(e, ERR_FAIL, "apt-get indextargets: exit %d", status);
	for (char *p = out.data; *p != '\0';) {
		struct repos_index x = {0};
		char *f[FIELDS];

		if (take_line(&p, f, e) != 0)
			return -1;
		x = (struct repos_index){find(s, f[SUITE], f[URI]), f[FILE_NAME], strlen(f[KEY])};
		if (x.repo == NULL || x.key >= strlen(x.path))
			return err_set(e, ERR_FAIL,
				       "apt has an index of %s, which nobody asked for", f[SUITE]);
		if (intr_pending())
			return intr_err(e);
		if (fn(ctx, &x, e) != 0)
			return -1;
	}
	return 0;
}

int repos_release_text(const struct repos_index *x, struct buf *ret, struct err *e)
{
	size_t n = strlen(x->path) - x->key;
	char *path SCOPED(mem_freep) = mem_format("%.*sInRelease", (int)n, x->path);

	if (access(path, R_OK) != 0) { /* an archive that signs in a file of its own */
		free(path);
		path = mem_format("%.*sRelease", (int)n, x->path);
	}
	return fs_get(AT_FDCWD, path, ret, e);
}
