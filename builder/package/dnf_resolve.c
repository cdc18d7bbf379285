#include "package/dnf.h"

#include "base/log.h"
#include "base/num.h"
#include "form/version.h"
#include "package/archive.h"
#include "package/dnf_ask.h"
#include "package/pending.h"
#include "recipe/grammar.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define DATE_MAX    INT64_C(253402300799) /* the last second of the year 9999 */
#define PACKAGE_MAX (INT64_C(16) << 30)

/* "glibc-2.34-60.el9.src.rpm" -> "glibc 2.34-60.el9", or the package's own; the caller owns it. */
static char *source_of(const char *file, const struct lock_package *p)
{
	const char *end = strstr(file, ".src.rpm");
	size_t n, dashes = 0;

	if (end == NULL)
		end = strstr(file, ".nosrc.rpm");
	for (n = end == NULL ? 0 : (size_t)(end - file); n > 0; n--)
		if (file[n - 1] == '-' && ++dashes == 2)
			return mem_format("%.*s %.*s", (int)(n - 1), file,
					  (int)((size_t)(end - file) - n), file + n);
	return mem_format("%s %s", p->name, p->version);
}

static int get(const struct jval *o, const char *key, const struct grammar *g, char **ret,
	       struct err *e)
{
	const char *s = jval_get_str(o, key);

	if (s == NULL || !grammar_ok(g, s))
		return err_set(e, ERR_RECIPE,
			       "the index of a repository has no usable %s: \"%.80s\"", key,
			       s == NULL ? "" : s);
	*ret = mem_strdup(s);
	return 0;
}

/* What the package's file is, and where. */
static int take_file(const struct jval *o, struct lock_package *p, struct err *e)
{
	const char *kind = jval_get_str(o, "kind"), *digest = jval_get_str(o, "digest");
	int64_t size;

	if (kind == NULL || strcmp(kind, "sha256") != 0 || digest == NULL ||
	    digest_parse_hex(digest, &p->digest) != 0)
		return err_set(e, ERR_RECIPE, "%s %s: no SHA-256 in the index", p->name,
			       p->version);
	if (jval_get_int(o, "size", &size) != 0 || size <= 0 || size > PACKAGE_MAX)
		return err_set(e, ERR_RECIPE, "%s %s: no usable size", p->name, p->version);
	if (jval_get_bool(o, "elsewhere"))
		return err_set(e, ERR_RECIPE, "%s %s: not below its repository", p->name,
			       p->version);
	p->size = (uint64_t)size;
	return get(o, "path", &grammar_pool_path, &p->path, e);
}

static bool text_is(const struct jval *o, const char *key, const char *want)
{
	const char *s = jval_get_str(o, key);

	return s != NULL && strcmp(s, want) == 0;
}

/* A file of the store: it is what the lock said that it came from. */
static int take_archived(const struct archive *a, const struct jval *o, struct lock_package *p,
			 struct err *e)
{
	for (size_t i = 0; i < a->n; i++) {
		const struct lock_package *from = a->v[i].package;

		if (!text_is(o, "name", from->name) || !text_is(o, "version", from->version) ||
		    !text_is(o, "arch", from->arch))
			continue;
		*p = (struct lock_package){.name = mem_strdup(from->name),
					   .version = mem_strdup(from->version),
					   .arch = mem_strdup(from->arch),
					   .source = mem_strdup(from->source),
					   .repository = mem_strdup(a->v[i].id),
					   .path = mem_strdup(from->path),
					   .size = from->size,
					   .digest = from->digest};
		return 0;
	}
	return err_set(e, ERR_FAIL, "dnf's plan has a file that nobody gave it");
}

static int take_package(const struct archive *a, const struct jval *o, struct lock_package *p,
			struct err *e)
{
	const char *source = jval_get_str(o, "sourcerpm"), *from = jval_get_str(o, "repository");

	if (from != NULL && strcmp(from, "@commandline") == 0)
		return take_archived(a, o, p, e);
	if (get(o, "name", &grammar_locked_package, &p->name, e) != 0 ||
	    get(o, "version", &grammar_locked_version, &p->version, e) != 0 ||
	    get(o, "arch", &grammar_locked_arch, &p->arch, e) != 0 ||
	    get(o, "repository", &grammar_name, &p->repository, e) != 0 || take_file(o, p, e) != 0)
		return -1;
	p->source = source_of(source == NULL ? "" : source, p);
	if (grammar_ok(&grammar_source, p->source))
		return 0;
	return err_set(e, ERR_RECIPE, "%s %s: odd source package \"%.80s\"", p->name, p->version,
		       p->source);
}

/* createrepo writes the time as the revision, unless it was told another: then the newest file of
 * the index has it. */
static int date_of(const struct jval *o, int64_t *ret, struct err *e)
{
	const char *revision = jval_get_str(o, "revision");
	uint64_t n = 0;
	int64_t date = 0;

	if (revision != NULL && num_u64(revision, (uint64_t)DATE_MAX, &n) == 0 && n > 100000000)
		date = (int64_t)n;
	else if (jval_get_int(o, "date", &date) != 0 || date <= 0 || date > DATE_MAX)
		return err_set(e, ERR_RECIPE, "the index has no date");
	*ret = date;
	return 0;
}

/* What the lock calls the place of a repository: as the recipe writes it. */
static const char *label(const struct recipe_dnf *d, const struct recipe_repo *repo, bool then)
{
	if (!repo->below)
		return repo->url;
	if (then)
		return d->snapshots.n > 0 ? d->snapshots.v[0] : "system";
	return d->mirrors.v[0];
}

static int not_pinned(const struct recipe_repo *repo, const struct digest *is, struct err *e)
{
	(void)recipe_err(&repo->pos, e,
			 "the repository %s is in another state: its repomd.xml has "
			 "the SHA-256 %s",
			 repo->name, digest_hex(is).s);
	e->kind = ERR_VERIFY;
	return err_hint(e, "lock --snapshot TIME finds an older state; or write the new digest");
}

/* Its repomd.xml, and of when that is. */
static int read_repository(const struct jval *o, char **ret_id, struct digest *ret, int64_t *date,
			   struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(16 << 20);
	const char *file = jval_get_str(o, "repomd");

	if (get(o, "id", &grammar_name, ret_id, e) != 0)
		return -1;
	if (file == NULL || fs_get(AT_FDCWD, file, &b, e) != 0 || date_of(o, date, e) != 0)
		return err_in(e, "repository %s", *ret_id);
	*ret = digest_of(b.data, b.len);
	return 0;
}

static int look_at_repository(const struct jval *o, struct pending *b, struct err *e)
{
	char *id SCOPED(mem_freep) = NULL;
	struct digest d;
	int64_t date;

	if (read_repository(o, &id, &d, &date, e) != 0)
		return -1;
	pending_repository(b, id, &d, date);
	return 0;
}

static int take_repository(const struct recipe *r, const struct jval *o, struct lock_repository *to,
			   struct err *e)
{
	char *name SCOPED(mem_freep) = NULL;
	struct digest d;

	if (read_repository(o, &to->id, &d, &to->date, e) != 0)
		return -1;
	name = archive_suite(to->id);
	to->release = mem_strdup(digest_hex(&d).s);
	for (size_t i = 0; i < r->dnf->repos_n; i++) {
		const struct recipe_repo *repo = &r->dnf->repos[i];

		if (strcmp(repo->name, name) != 0)
			continue;
		if (repo->pinned && !digest_equal(&repo->repomd, &d))
			return not_pinned(repo, &d, e);
		to->mirror = mem_strdup(label(r->dnf, repo, strcmp(name, to->id) != 0));
	}
	return to->mirror != NULL ? 0 : err_set(e, ERR_FAIL, "dnf has a repository %s", to->id);
}

static int by_name(const void *a, const void *b)
{
	const struct lock_package *x = a, *y = b;
	int c = strcmp(x->name, y->name);

	return c != 0 ? c : strcmp(x->arch, y->arch);
}

static int by_id(const void *a, const void *b)
{
	const struct lock_repository *x = a, *y = b;

	return strcmp(x->id, y->id);
}

static bool noted(const struct lock *l, const char *id)
{
	for (size_t i = 0; i < l->repositories_n; i++)
		if (strcmp(l->repositories[i].id, id) == 0)
			return true;
	return false;
}

/* The repositories that once vouched for what came from the store. */
static void add_archived(const struct archive *a, struct lock *l)
{
	for (size_t i = 0; i < l->packages_n; i++) {
		const char *id = l->packages[i].repository;
		const struct lock_repository *r = noted(l, id) ? NULL : archive_repository(a, id);

		if (r != NULL)
			l->repositories[l->repositories_n++] =
			    (struct lock_repository){.id = mem_strdup(id),
						     .mirror = mem_strdup(r->mirror),
						     .release = mem_strdup(r->release),
						     .date = r->date};
	}
}

static int take_answer(const struct recipe *r, const struct archive *a, const struct jval *v,
		       struct lock *l, struct err *e)
{
	const struct jval *packages = jval_get(v, "packages");
	const struct jval *repositories = jval_get(v, "repositories");

	if (jval_len(packages) == 0 || jval_len(repositories) != r->dnf->repos_n)
		return recipe_err(&r->dnf->pos, e, "dnf's plan installs nothing");
	if (get(v, "solver", &grammar_line, &l->solver, e) != 0)
		return -1;
	l->repositories = mem_zalloc((r->dnf->repos_n + a->n) * sizeof(*l->repositories));
	for (size_t i = 0; i < r->dnf->repos_n; i++) {
		struct lock_repository *to = &l->repositories[l->repositories_n++];

		if (take_repository(r, jval_at(repositories, i), to, e) != 0)
			return -1;
		if (to->date > l->epoch)
			l->epoch = to->date;
	}
	l->packages = mem_zalloc((jval_len(packages) + 1) * sizeof(*l->packages));
	for (size_t i = 0; i < jval_len(packages); i++)
		if (take_package(a, jval_at(packages, i), &l->packages[l->packages_n++], e) != 0)
			return -1;
	add_archived(a, l);
	qsort(l->repositories, l->repositories_n, sizeof(*l->repositories), by_id);
	qsort(l->packages, l->packages_n, sizeof(*l->packages), by_name);
	return 0;
}

/* What the repositories have of the server's packages. */
static int offers(const struct dnf_question *q, struct match *m, struct err *e)
{
	struct jval *answer SCOPED(jval_freep) = NULL;
	struct jval *more = jval_object(), *names = jval_array();
	const struct jval *list;

	for (size_t i = 0; i < m->n; i++)
		if (!m->v[i].left_out)
			jval_push(names, jval_text(m->v[i].package->name));
	jval_put(more, "offers", names);
	if (dnf_ask(q, more, &answer, e) != 0)
		return -1;
	list = jval_get(answer, "offers");
	for (size_t i = 0; i < jval_len(list); i++) {
		const struct jval *o = jval_at(list, i);
		const char *name = jval_get_str(o, "name"), *version = jval_get_str(o, "version");
		const char *arch = jval_get_str(o, "arch");
		const char *where = jval_get_str(o, "repository");

		if (name != NULL && version != NULL && arch != NULL && where != NULL &&
		    grammar_ok(&grammar_locked_version, version))
			match_offer(m, name, version, arch, where);
	}
	return 0;
}

/* The versions that were found, and the architectures that they may be of. */
static struct jval *exact_json(const struct recipe *r, const struct match *m)
{
	struct jval *list = jval_array();

	for (size_t i = 0; i < m->n; i++) {
		const struct match_want *w = &m->v[i];
		struct jval *pin, *arches;

		if (w->left_out || w->version == NULL)
			continue;
		pin = jval_array();
		arches = jval_array();
		jval_push(arches,
			  jval_text(w->package->arch != NULL ? w->package->arch : r->dnf->arch));
		if (w->package->arch == NULL)
			jval_push(arches, jval_text("noarch"));
		jval_push(pin, jval_text(w->package->name));
		jval_push(pin, jval_text(w->version));
		jval_push(pin, arches);
		jval_push(list, pin);
	}
	return list;
}

/* The files of the store that the match takes, under names that dnf takes for packages. */
static int link_files(const struct archive *a, const struct match *m, const char *scratch,
		      struct jval *to, struct err *e)
{
	char *dir SCOPED(mem_freep) = fs_join(scratch, "stored");
	int fd SCOPED(fd_closep) = -1;

	if (fs_mkdirs(AT_FDCWD, dir, 0755, e) != 0 || fs_open_dir(AT_FDCWD, dir, &fd, e) != 0)
		return -1;
	for (size_t i = 0; i < a->n; i++) {
		char *blob SCOPED(mem_freep) = store_blob_path(a->store, &a->v[i].package->digest);
		char *name SCOPED(mem_freep) = mem_format("%zu.rpm", i);
		char *path SCOPED(mem_freep) = fs_join(dir, name);

		if (!archive_taken(m, &a->v[i]))
			continue;
		if (package_link(blob, fd, name, e) != 0)
			return -1;
		jval_push(to, jval_text(path));
	}
	return 0;
}

/* Finds each of the server's packages; *more is what dnf is asked for then. */
static int match(const struct dnf_question *q, const struct package_ask *a, struct archive *archive,
		 struct jval *more, struct err *e)
{
	const struct recipe *r = q->r;
	struct jval *files = jval_array();

	jval_put(more, "files", files);
	match_leave_out(a->match, &r->exclude);
	if (offers(q, a->match, e) != 0)
		return -1;
	if (a->store != NULL && archive_load(a->store, r, a->match, archive, e) != 0)
		return -1;
	archive_offer(archive, a->match);
	jval_put(more, "exact", exact_json(r, a->match));
	if (match_refuse(a->match, e) != 0)
		return -1;
	return link_files(archive, a->match, q->dir, files, e);
}

int dnf_resolve(const struct recipe *r, const struct package_ask *a, const char *scratch,
		struct lock *l, struct err *e)
{
	struct jval *answer SCOPED(jval_freep) = NULL, *more SCOPED(jval_freep) = jval_object();
	struct archive archive SCOPED(archive_release) = {0};

	const struct dnf_question q = {r, a->times.n > 0 ? a->times.v[0] : NULL, scratch};

	if (a->times.n > 1)
		return err_set(e, ERR_USAGE, "base.dnf takes one --snapshot");
	log_info("package indexes of release %s", r->dnf->release);
	if (a->match != NULL && match(&q, a, &archive, more, e) != 0)
		return -1;
	if (dnf_ask(&q, STEAL(more), &answer, e) != 0)
		return -1;
	return take_answer(r, &archive, answer, l, e);
}

static struct jval *installed_json(const struct pending *b)
{
	struct jval *list = jval_array();

	for (size_t i = 0; i < b->n; i++) {
		const struct pending_package *p = b->v[i];
		bool any = p->arch == NULL || strcmp(p->arch, "noarch") == 0;
		struct jval *one = jval_array();

		jval_push(one, jval_text(p->name));
		jval_push(one, any ? jval_null() : jval_text(p->arch));
		jval_push(list, one);
	}
	return list;
}

static void take_offer(const struct jval *o, struct pending *b)
{
	const struct jval *ids = jval_get(o, "advisories");
	struct strv advisories SCOPED(strv_release) = {0};
	const struct pending_offer offer = {.name = jval_get_str(o, "name"),
					    .version = jval_get_str(o, "version"),
					    .arch = jval_get_str(o, "arch"),
					    .where = jval_get_str(o, "repository"),
					    .compare = version_compare_rpm,
					    .security = jval_len(ids) > 0,
					    .advisories = &advisories};

	for (size_t i = 0; i < jval_len(ids); i++) {
		const char *id = jval_str(jval_at(ids, i));

		if (id != NULL && grammar_ok(&grammar_locked_version, id))
			strv_add(&advisories, id);
	}
	if (offer.name != NULL && offer.version != NULL && offer.arch != NULL &&
	    offer.where != NULL && grammar_ok(&grammar_locked_version, offer.version))
		pending_offer(b, &offer);
}

int dnf_pending(const struct recipe *r, const char *scratch, struct pending *b, struct err *e)
{
	const struct dnf_question q = {.r = r, .dir = scratch};
	struct jval *answer SCOPED(jval_freep) = NULL, *more = jval_object();
	const struct jval *offers, *repositories;

	jval_put(more, "installed", installed_json(b));
	if (dnf_ask(&q, more, &answer, e) != 0)
		return -1;
	offers = jval_get(answer, "offers");
	repositories = jval_get(answer, "repositories");
	for (size_t i = 0; i < jval_len(offers); i++)
		take_offer(jval_at(offers, i), b);
	for (size_t i = 0; i < jval_len(repositories); i++)
		if (look_at_repository(jval_at(repositories, i), b, e) != 0)
			return -1;
	return 0;
}
