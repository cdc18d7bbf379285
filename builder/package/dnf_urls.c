#include "package/dnf.h"

#include "package/archive.h"
#include "package/snapshot.h"
#include <stdlib.h>
#include <string.h>

static void add_base(const char *base, const char *path, struct strv *ret)
{
	size_t n = strlen(base), m = strlen(path);
	const char *between = n > 0 && base[n - 1] == '/' ? "" : "/";
	const char *end = m > 0 && path[m - 1] == '/' ? "" : "/";

	if (m == 0)
		strv_addf(ret, "%s%s", base, between);
	else
		strv_addf(ret, "%s%s%s%s", base, between, path, end);
}

/* Where it was at a time: only for those below mirrors can that be said. */
static int bases_then(const struct recipe_dnf *d, const struct recipe_repo *repo, const char *time,
		      struct strv *ret, struct err *e)
{
	const char *set = getenv("POSMEDIA_DNF_SNAPSHOT");
	size_t before = ret->n, most = d->snapshots.n > 0 ? d->snapshots.n : 1;

	if (!repo->below) {
		(void)recipe_err(&repo->pos, e, "the repository %s has no snapshots", repo->name);
		return err_hint(e, "write its url as a path below mirrors and snapshots");
	}
	for (size_t i = 0; i < most; i++) {
		const char *template = d->snapshots.n > 0 ? d->snapshots.v[i] : "system";
		char *base SCOPED(mem_freep) = NULL;

		if (strcmp(template, "system") == 0)
			template = set != NULL ? set : "";
		base = snapshot_url(template, time);
		if (base != NULL)
			add_base(base, repo->url, ret);
	}
	if (ret->n > before)
		return 0;
	(void)recipe_err(&d->pos, e, "no snapshots are known of these repositories");
	return err_hint(e,
			"name dated trees in POSMEDIA_DNF_SNAPSHOT, or under snapshots: as a URL "
			"with {time}, {date} or {day}");
}

int dnf_bases(const struct recipe_dnf *d, const struct recipe_repo *repo, const char *time,
	      struct strv *ret, struct err *e)
{
	const char *set = getenv("POSMEDIA_DNF_MIRROR");
	size_t before = ret->n;

	if (time != NULL)
		return bases_then(d, repo, time, ret, e);
	if (!repo->below)
		add_base(repo->url, "", ret);
	for (size_t i = 0; repo->below && i < d->mirrors.n; i++) {
		const char *mirror = d->mirrors.v[i];

		if (strcmp(mirror, "system") == 0)
			mirror = set;
		if (mirror != NULL && mirror[0] != '\0')
			add_base(mirror, repo->url, ret);
	}
	if (ret->n > before)
		return 0;
	(void)recipe_err(&repo->pos, e, "no mirror is known for the repository %s", repo->name);
	return err_hint(e, "set POSMEDIA_DNF_MIRROR, or list mirrors in the recipe");
}

int dnf_urls(const struct recipe *r, const struct lock_package *p, struct strv *ret, struct err *e)
{
	struct strv bases SCOPED(strv_release) = {0};
	char *path SCOPED(mem_freep) = package_path_encode(p->path);
	char *name SCOPED(mem_freep) = archive_suite(p->repository);
	const char *behind = p->repository + strlen(name);
	const char *time = snapshot_seconds(behind + (*behind == '_')) >= 0 ? behind + 1 : NULL;
	const struct recipe_repo *repo = NULL;

	for (size_t i = 0; i < r->dnf->repos_n; i++)
		if (strcmp(r->dnf->repos[i].name, name) == 0)
			repo = &r->dnf->repos[i];
	if (repo == NULL)
		return err_set(e, ERR_RECIPE, "%s: base.dnf has no repository %s", r->file,
			       p->repository);
	if (dnf_bases(r->dnf, repo, time, &bases, e) != 0)
		return -1;
	for (size_t i = 0; i < bases.n; i++)
		strv_addf(ret, "%s%s", bases.v[i], path);
	return 0;
}
