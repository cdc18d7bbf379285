#include "package/apt.h"

#include "base/log.h"
#include "package/index.h"
#include "package/private.h"
#include "package/sources.h"
#include "sys/fs.h"
#include "sys/intr.h"
#include <ctype.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PLAN_MAX    (16 << 20)
#define MIRRORS_MAX 16

struct solve {
	const struct recipe *r;
	struct private_apt apt;
	struct strv suites; /* "bookworm", "bookworm-updates", ... */
	struct strv uris;   /* where each was had from */
	struct strv want;   /* what apt is asked to install */
	struct set set;
	char *solver;
	struct lock_repository *repositories; /* room for one a suite */
	size_t repositories_n;
};

static const char *const plan_argv[] = {"apt-get", "-q", "-y", "-s", "install", "--"};

static void solve_release(struct solve *s)
{
	private_release(&s->apt);
	strv_release(&s->suites);
	strv_release(&s->uris);
	strv_release(&s->want);
	set_release(&s->set);
	free(s->solver);
	for (size_t i = 0; i < s->repositories_n; i++) {
		free(s->repositories[i].id);
		free(s->repositories[i].mirror);
		free(s->repositories[i].release);
	}
	free(s->repositories);
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

static int update_err(struct solve *s, const struct buf *err, struct err *e)
{
	char *said SCOPED(mem_freep) = private_complaint(err);

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

/* Updates from the n-th mirror of each suite (or its last). *ret_more: another one may be tried. */
static int update(struct solve *s, size_t n, bool *ret_more, struct err *e)
{
	static const char *const argv[] = {"apt-get", "-q", "update", NULL};
	struct buf out SCOPED(buf_release) = BUF_INIT(1 << 20);
	struct buf err SCOPED(buf_release) = BUF_INIT(1 << 20);
	int status = 0;

	*ret_more = false;
	strv_release(&s->uris);
	for (size_t i = 0; i < s->suites.n; i++) {
		struct strv found SCOPED(strv_release) = {0};

		if (sources_find(s->r->apt, s->suites.v[i], &found, e) != 0)
			return -1;
		strv_add(&s->uris, found.v[n < found.n ? n : found.n - 1]);
		*ret_more = *ret_more || n + 1 < found.n;
	}
	if (private_sources(&s->apt, &s->suites, &s->uris, e) != 0 ||
	    private_run(&s->apt, argv, &out, &err, &status, e) != 0)
		return -1;
	return status == 0 ? 0 : update_err(s, &err, e);
}

static int update_any(struct solve *s, struct err *e)
{
	bool more = true;
	int r = -1;

	for (size_t n = 0; more && n < MIRRORS_MAX; n++) {
		r = update(s, n, &more, e);
		if (r == 0 || e->kind != ERR_REMOTE)
			return r;
	}
	return r;
}

/* Calls fn for each index apt has, in the order of the sources. Each line is SUITE, FILE, KEY by
 * tabs: the repository's own file is FILE with "InRelease" in place of KEY. */
static int for_indexes(struct solve *s, int (*fn)(struct solve *s, char *const f[3], struct err *e),
		       struct err *e)
{
	static const char *const argv[] = {"apt-get",
					   "indextargets",
					   "--format",
					   "$(RELEASE)\t$(FILENAME)\t$(METAKEY)\t",
					   "Created-By: Packages",
					   NULL};
	struct buf out SCOPED(buf_release) = BUF_INIT(1 << 20);
	struct buf err SCOPED(buf_release) = BUF_INIT(1 << 16);
	int status = 0;

	if (private_run(&s->apt, argv, &out, &err, &status, e) != 0)
		return -1;
	if (status != 0)
		return err_set(e, ERR_FAIL, "apt-get indextargets: exit %d", status);
	for (char *p = out.data; *p != '\0'; p += strspn(p, "\n")) {
		char *f[3];

		for (size_t i = 0; i < 3; i++) {
			f[i] = p;
			p += strcspn(p, "\t\n");
			if (*p != '\t')
				return err_set(e, ERR_FAIL, "apt-get indextargets: odd output");
			*p++ = '\0';
		}
		if (intr_pending())
			return intr_err(e);
		if (fn(s, f, e) != 0)
			return -1;
	}
	return 0;
}

static int want_required(struct solve *s, char *const f[3], struct err *e)
{
	return index_required(f[1], s->r->apt->arch, &s->want, e);
}

static int fill_set(struct solve *s, char *const f[3], struct err *e)
{
	return index_fill(f[1], f[0], &s->set, e);
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

/* The essential and required packages and the recipe's own. */
static int find_wanted(struct solve *s, struct err *e)
{
	struct strv all SCOPED(strv_release) = {0};

	if (for_indexes(s, want_required, e) != 0)
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
	if (private_run(&s->apt, (const char *const *)(uintptr_t)argv.v, &out, &err, &status, e) !=
	    0)
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
	if (for_indexes(s, fill_set, e) != 0)
		return -1;
	for (size_t i = 0; i < s->set.n; i++)
		if (!s->set.v[i].is_known)
			return err_set(e, ERR_FAIL, "%s %s stands in apt's plan but in no index",
				       s->set.v[i].lock.name, s->set.v[i].lock.version);
	set_mark_essential(&s->set);
	return 0;
}

/* The Release file that vouches for the index f; noted once for each suite. */
static int add_repository(struct solve *s, char *const f[3], struct err *e)
{
	struct lock_repository *repo = &s->repositories[s->repositories_n];
	struct buf b SCOPED(buf_release) = BUF_INIT(16 << 20);
	struct digest d;
	size_t n = strlen(f[1]), key = strlen(f[2]), at = 0;
	char *path = NULL;

	for (size_t i = 0; i < s->repositories_n; i++)
		if (strcmp(s->repositories[i].id, f[0]) == 0)
			return 0;
	while (at < s->suites.n && strcmp(s->suites.v[at], f[0]) != 0)
		at++;
	if (at == s->suites.n || s->repositories_n == s->suites.n || n <= key)
		return err_set(e, ERR_FAIL, "apt has an index of %s, which nobody asked for", f[0]);
	path = mem_format("%.*sInRelease", (int)(n - key), f[1]);
	if (access(path, R_OK) != 0) { /* an archive that signs in a file of its own */
		free(path);
		path = mem_format("%.*sRelease", (int)(n - key), f[1]);
	}
	if (fs_get(AT_FDCWD, path, &b, e) != 0 ||
	    index_release_date(b.data, b.len, &repo->date, e) != 0) {
		free(path);
		return err_in(e, "%s", f[0]);
	}
	free(path);
	d = digest_of(b.data, b.len);
	repo->id = mem_strdup(f[0]);
	repo->release = mem_strdup(digest_hex(&d).s);
	repo->mirror = mem_strdup(sources_label(s->r->apt, s->uris.v[at]));
	s->repositories_n++;
	return 0;
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

	if (private_run(&s->apt, argv, &out, &err, &status, e) != 0)
		return -1;
	n = strcspn(out.data, " \n");
	n += out.data[n] == ' ' ? 1 + strcspn(out.data + n + 1, " \n") : 0;
	s->solver = mem_strndup(out.data, n);
	return 0;
}

int apt_resolve(const struct recipe *r, const char *scratch, struct lock *l, struct err *e)
{
	struct solve s SCOPED(solve_release) = {.r = r};

	if (r->apt == NULL)
		return err_set(e, ERR_RECIPE, "%s: base has no apt", r->file);
	strv_add(&s.suites, r->apt->suite);
	for (size_t i = 0; i < r->apt->pockets.n; i++)
		strv_addf(&s.suites, "%s-%s", r->apt->suite, r->apt->pockets.v[i]);
	s.repositories = mem_zalloc(s.suites.n * sizeof(*s.repositories));
	if (private_make(r, scratch, &s.apt, e) != 0 || find_solver(&s, e) != 0)
		return -1;
	log_info("package indexes of %s", r->apt->suite);
	if (update_any(&s, e) != 0 || find_wanted(&s, e) != 0 || plan(&s, e) != 0 ||
	    join(&s, e) != 0 || for_indexes(&s, add_repository, e) != 0 ||
	    set_batches(&s.set, l, e) != 0)
		return -1;
	hand_over(&s, l);
	return 0;
}
