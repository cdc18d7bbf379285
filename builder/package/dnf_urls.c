#include "package/dnf.h"

#include "package/archive.h"
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

int dnf_bases(const struct recipe_dnf *d, const struct recipe_repo *repo, struct strv *ret,
	      struct err *e)
{
	const char *set = getenv("POSMEDIA_DNF_MIRROR");
	size_t before = ret->n;

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
	const struct recipe_repo *repo = NULL;

	for (size_t i = 0; i < r->dnf->repos_n; i++)
		if (strcmp(r->dnf->repos[i].name, name) == 0)
			repo = &r->dnf->repos[i];
	if (repo == NULL)
		return err_set(e, ERR_RECIPE, "%s: base.dnf has no repository %s", r->file,
			       p->repository);
	if (dnf_bases(r->dnf, repo, &bases, e) != 0)
		return -1;
	for (size_t i = 0; i < bases.n; i++)
		strv_addf(ret, "%s%s", bases.v[i], path);
	return 0;
}
