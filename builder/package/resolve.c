#include "package/apt.h"

#include "base/log.h"
#include "package/archive.h"
#include "package/index.h"
#include "package/repos.h"
#include "package/search.h"
#include "package/snapshot.h"
#include "package/sources.h"
#include "sys/fs.h"
#include <ctype.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#define PLAN_MAX (16 << 20)

struct solve {
	const struct recipe *r;
	const struct package_ask *ask;
	struct repos repos;
	struct archive archive;
	struct strv want; /* what apt is asked to install */
	struct set set;
	char *solver;
	struct lock_repository *repositories;
	size_t repositories_n;
};

static const char *const plan_argv[] = {"apt-get", "-q", "-y", "-s", "install", "--"};

static void repository_release(struct lock_repository *r)
{
	free(r->id);
	free(r->mirror);
	free(r->release);
}

static void solve_release(struct solve *s)
{
	repos_release(&s->repos);
	archive_release(&s->archive);
	strv_release(&s->want);
	set_release(&s->set);
	free(s->solver);
	for (size_t i = 0; i < s->repositories_n; i++)
		repository_release(&s->repositories[i]);
	free(s->repositories);
}

static int want_required(void *ctx, const struct repos_index *x, struct err *e)
{
	struct solve *s = ctx;

	return index_required(x->path, s->r->apt->arch, &s->want, e);
}

static int fill_set(void *ctx, const struct repos_index *x, struct err *e)
{
	struct solve *s = ctx;

	return index_fill(x->path, x->repo->id, &s->set, e);
}

static bool excluded(const struct recipe *r, const char *name)
{
	for (size_t i = 0; i < r->exclude.n; i++)
		if (fnmatch(r->exclude.v[i], name, 0) == 0)
			return true;
	return false;
}

static bool name_ok(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789+-.");

	/* apt takes "name-" for "remove name" */
	return n >= 2 && isalnum((unsigned char)s[0]) && s[n - 1] != '-' &&
	       (s[n] == '\0' || (s[n] == '=' && s[n + 1] != '\0'));
}

/* All that the server has and that can be had. */
static void want_matched(const struct match *m, struct strv *ret)
{
	for (size_t i = 0; i < m->n; i++)
		if (!m->v[i].left_out && m->v[i].version != NULL)
			strv_add(ret, m->v[i].package->name);
}

/* The essential and required packages, the recipe's own, and the server's. */
static int find_wanted(struct solve *s, struct err *e)
{
	struct strv all SCOPED(strv_release) = {0};

	if (repos_each(&s->repos, want_required, s, e) != 0)
		return -1;
	all = s->want;
	s->want = (struct strv){0};
	for (size_t i = 0; i < all.n; i++)
		if (!excluded(s->r, all.v[i]) && name_ok(all.v[i]))
			strv_add(&s->want,
				 strcmp(all.v[i], "usrmerge") == 0 ? "usr-is-merged" : all.v[i]);
	for (size_t i = 0; i < s->r->install.n; i++) {
		if (!name_ok(s->r->install.v[i]))
			return recipe_err(&s->r->apt->pos, e,
					  "packages.install: \"%s\" is no package name",
					  s->r->install.v[i]);
		strv_add(&s->want, s->r->install.v[i]);
	}
	if (s->ask->match != NULL)
		want_matched(s->ask->match, &s->want);
	strv_sort(&s->want);
	strv_uniq(&s->want);
	return 0;
}

static int plan(struct solve *s, struct err *e)
{
	struct strv argv SCOPED(strv_release) = {0};
	struct buf out SCOPED(buf_release) = BUF_INIT(PLAN_MAX);
	struct buf err SCOPED(buf_release) = BUF_INIT(1 << 20);
	int status = 0;

	for (size_t i = 0; i < sizeof(plan_argv) / sizeof(plan_argv[0]); i++)
		strv_add(&argv, plan_argv[i]);
	strv_extend(&argv, &s->want);
	if (private_run(&s->repos.apt, (const char *const *)(uintptr_t)argv.v, &out, &err, &status,
			e) != 0)
		return -1;
	if (status != 0) {
		const char *unmet = strstr(out.data, "unmet dependencies:\n");
		char *said SCOPED(mem_freep) = private_complaint(&err);
		int n = unmet == NULL ? 0 : (int)strnlen(unmet, 400);

		(void)recipe_err(&s->r->apt->pos, e, "apt cannot install this set: %s%s%.*s", said,
				 n > 0 ? "; " : "", n, n > 0 ? unmet : "");
		return err_hint(e, "see packages.install and packages.exclude of the recipe");
	}
	return set_parse_plan(out.data, &s->set, e);
}

static int join(struct solve *s, struct err *e)
{
	if (repos_each(&s->repos, fill_set, s, e) != 0)
		return -1;
	for (size_t i = 0; i < s->set.n; i++)
		if (!s->set.v[i].is_known)
			return err_set(e, ERR_FAIL, "%s %s stands in apt's plan but in no index",
				       s->set.v[i].lock.name, s->set.v[i].lock.version);
	set_mark_essential(&s->set);
	return 0;
}

static bool noted(const struct solve *s, const char *id)
{
	for (size_t i = 0; i < s->repositories_n; i++)
		if (strcmp(s->repositories[i].id, id) == 0)
			return true;
	return false;
}

static void note(struct solve *s, struct lock_repository r)
{
	s->repositories =
	    mem_resize(s->repositories, s->repositories_n + 1, sizeof(*s->repositories));
	s->repositories[s->repositories_n++] = r;
}

/* Whether a package of the set comes from there. */
static bool is_used(const struct solve *s, const char *id)
{
	for (size_t i = 0; i < s->set.n; i++)
		if (strcmp(s->set.v[i].lock.repository, id) == 0)
			return true;
	return false;
}

/* Noted once for each; of snapshots for a match, those that something comes from. */
static int add_repository(void *ctx, const struct repos_index *x, struct err *e)
{
	struct solve *s = ctx;
	const struct repo *repo = x->repo;
	struct buf b SCOPED(buf_release) = BUF_INIT(16 << 20);
	struct lock_repository r = {0};
	struct digest d;

	if (repo->id[0] == '\0' || noted(s, repo->id) ||
	    (repo->time != NULL && s->ask->match != NULL && !is_used(s, repo->id)))
		return 0;
	if (repos_release_text(x, &b, e) != 0 || index_release_date(b.data, b.len, &r.date, e) != 0)
		return err_in(e, "%s", repo->id);
	d = digest_of(b.data, b.len);
	r.id = mem_strdup(repo->id);
	r.release = mem_strdup(digest_hex(&d).s);
	r.mirror = mem_strdup(repo->time != NULL ? snapshot_label(s->r->apt, repo->time, repo->uri)
						 : sources_label(s->r->apt, repo->uri));
	note(s, r);
	return 0;
}

/* What the store's archive gave is vouched for by the repositories of the locks that it was in. */
static void add_archived(struct solve *s)
{
	for (size_t i = 0; i < s->set.n; i++) {
		const char *id = s->set.v[i].lock.repository;
		const struct lock_repository *r = archive_repository(&s->archive, id);

		if (r != NULL && !noted(s, id))
			note(s, (struct lock_repository){.id = mem_strdup(id),
							 .mirror = mem_strdup(r->mirror),
							 .release = mem_strdup(r->release),
							 .date = r->date});
	}
}

static int offer(void *ctx, const struct repos_index *x, struct err *e)
{
	struct solve *s = ctx;

	return index_offer(x->path, x->repo->id, s->ask->match, e);
}

/* The newest date of the repositories. */
static int newest(void *ctx, const struct repos_index *x, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(16 << 20);
	int64_t *ret = ctx, date;

	if (repos_release_text(x, &b, e) != 0 || index_release_date(b.data, b.len, &date, e) != 0)
		return err_in(e, "%s", x->repo->id);
	if (date > *ret)
		*ret = date;
	return 0;
}

/* The times of snapshots that something was found in. */
static void found_at(const struct solve *s, struct strv *ret)
{
	const struct match *m = s->ask->match;

	for (size_t i = 0; i < m->n; i++) {
		const char *where = m->v[i].where;
		const char *time = where != NULL ? strchr(where, '_') : NULL;

		if (time != NULL && archive_repository(&s->archive, where) == NULL)
			strv_add(ret, time + 1);
	}
	strv_sort(ret);
	strv_uniq(ret);
}

/* Adds the repositories of other times that have what today's do not. */
static int search(struct solve *s, const char *scratch, struct err *e)
{
	struct strv times SCOPED(strv_release) = {0};
	struct search look = {.recipe = s->r, .scratch = scratch, .match = s->ask->match};

	if (match_missing(look.match) == 0 || s->ask->times.n > 0)
		return 0;
	if (repos_each(&s->repos, newest, &look.now, e) != 0 || search_snapshots(&look, e) != 0)
		return -1;
	found_at(s, &times);
	for (size_t i = 0; i < times.n; i++)
		repos_add(&s->repos, times.v[i]);
	return 0;
}

/* Exactly these versions: apt alone would take the newest. */
static int pin(struct solve *s, struct err *e)
{
	const struct match *m = s->ask->match;
	struct strv names SCOPED(strv_release) = {0}, versions SCOPED(strv_release) = {0};

	for (size_t i = 0; i < m->n; i++) {
		if (m->v[i].left_out || m->v[i].version == NULL)
			continue;
		strv_add(&names, m->v[i].package->name);
		strv_add(&versions, m->v[i].version);
	}
	return private_pin(&s->repos.apt, &names, &versions, e);
}

/* Finds each of the server's packages, in the repositories that apt was told of, in the store, or
 * in the past; then apt is told where, and of nothing else. */
static int match(struct solve *s, const char *scratch, struct err *e)
{
	struct match *m = s->ask->match;
	char *own SCOPED(mem_freep) = mem_format("%s/stored", scratch);
	size_t repos = s->repos.n, stored = 0;

	match_leave_out(m, &s->r->exclude);
	if (repos_each(&s->repos, offer, s, e) != 0)
		return -1;
	if (s->ask->store != NULL && archive_load(s->ask->store, s->r, m, &s->archive, e) != 0)
		return -1;
	archive_offer(&s->archive, m);
	if (search(s, scratch, e) != 0)
		return -1;
	if (match_refuse(m, e) != 0)
		return -1;
	if (fs_mkdirs(AT_FDCWD, own, 0755, e) != 0 ||
	    archive_index(&s->archive, m, own, &stored, e) != 0 || pin(s, e) != 0)
		return -1;
	if (stored > 0)
		repos_add_own(&s->repos, own);
	return s->repos.n == repos ? 0 : repos_update(&s->repos, NULL, e);
}

static int by_name(const void *a, const void *b)
{
	const struct lock_package *x = a, *y = b;
	int c = strcmp(x->name, y->name);

	return c != 0 ? c : strcmp(x->arch, y->arch);
}

/* Hands everything over to the lock; nothing can fail from here on. */
static void hand_over(struct solve *s, struct lock *l)
{
	l->packages = mem_zalloc((s->set.n + 1) * sizeof(*l->packages));
	for (size_t i = 0; i < s->set.n; i++) {
		l->packages[l->packages_n++] = s->set.v[i].lock;
		s->set.v[i].lock = (struct lock_package){0};
	}
	qsort(l->packages, l->packages_n, sizeof(*l->packages), by_name);
	l->repositories = STEAL(s->repositories);
	l->repositories_n = s->repositories_n;
	s->repositories_n = 0;
	l->epoch = 0;
	for (size_t i = 0; i < l->repositories_n; i++)
		if (l->repositories[i].date > l->epoch)
			l->epoch = l->repositories[i].date;
	l->solver = STEAL(s->solver);
}

/* "apt 2.6.1 (amd64)" -> "apt 2.6.1" */
static int find_solver(struct solve *s, struct err *e)
{
	static const char *const argv[] = {"apt-get", "--version", NULL};
	struct buf out SCOPED(buf_release) = BUF_INIT(1 << 16);
	struct buf err SCOPED(buf_release) = BUF_INIT(1 << 16);
	int status = 0;
	size_t n;

	if (private_run(&s->repos.apt, argv, &out, &err, &status, e) != 0)
		return -1;
	n = strcspn(out.data, " \n");
	n += out.data[n] == ' ' ? 1 + strcspn(out.data + n + 1, " \n") : 0;
	s->solver = mem_strndup(out.data, n);
	return 0;
}

static int begin(struct solve *s, const char *scratch, struct err *e)
{
	if (s->r->apt == NULL)
		return err_set(e, ERR_RECIPE, "%s: base has no apt", s->r->file);
	if (repos_make(s->r, scratch, &s->repos, e) != 0 || find_solver(s, e) != 0)
		return -1;
	if (s->ask->times.n == 0 || s->ask->match != NULL)
		repos_add(&s->repos, NULL);
	for (size_t i = 0; i < s->ask->times.n; i++)
		repos_add(&s->repos, s->ask->times.v[i]);
	log_info("package indexes of %s", s->r->apt->suite);
	return repos_update(&s->repos, NULL, e);
}

int apt_resolve(const struct recipe *r, const struct package_ask *ask, const char *scratch,
		struct lock *l, struct err *e)
{
	struct solve s SCOPED(solve_release) = {.r = r, .ask = ask};

	if (begin(&s, scratch, e) != 0 || (ask->match != NULL && match(&s, scratch, e) != 0))
		return -1;
	if (find_wanted(&s, e) != 0 || plan(&s, e) != 0 || join(&s, e) != 0 ||
	    repos_each(&s.repos, add_repository, &s, e) != 0 || set_batches(&s.set, l, e) != 0)
		return -1;
	add_archived(&s);
	hand_over(&s, l);
	return 0;
}
