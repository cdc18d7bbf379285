/* base_dnf.c - base.dnf: rpm packages from signed repositories. */
#include "recipe/sections.h"

#include <stdlib.h>
#include <string.h>

static int read_repo_url(const char *root, const struct yaml *y, const struct field *f, void *to,
			 struct err *e)
{
	struct recipe_repo *repo = to;

	if (read_word(root, y, f, to, e) != 0)
		return -1;
	repo->below = strstr(repo->url, "://") == NULL;
	return 0;
}

static int read_signed(const char *root, const struct yaml *y, const struct field *f, void *to,
		       struct err *e)
{
	static const char *const by[] = {"repomd", "packages", NULL};
	char *word SCOPED(mem_freep) = NULL;
	const struct field into = {f->key, read_choice, 0, by, false};
	struct recipe_repo *repo = to;

	if (read_choice(root, y, &into, &word, e) != 0)
		return -1;
	repo->unsigned_index = strcmp(word, "packages") == 0;
	return 0;
}

static int read_repomd(const char *root, const struct yaml *y, const struct field *f, void *to,
		       struct err *e)
{
	const struct field into = {f->key, read_digest, offsetof(struct recipe_repo, repomd), NULL,
				   false};
	struct recipe_repo *repo = to;

	repo->pinned = true;
	return read_digest(root, y, &into, to, e);
}

static const struct field repo_fields[] = {
    {"name", read_word, offsetof(struct recipe_repo, name), &grammar_name, true},
    {"url", read_repo_url, offsetof(struct recipe_repo, url), &grammar_repo_url, true},
    {"gpgkey", read_file, offsetof(struct recipe_repo, key), NULL, true},
    {"signed", read_signed, 0, NULL, false},
    {"repomd", read_repomd, 0, NULL, false},
    {0},
};

static const char *const unique_name[] = {"name", NULL};
static const struct array array_repos = {repo_fields,
					 unique_name,
					 sizeof(struct recipe_repo),
					 offsetof(struct recipe_dnf, repos_n),
					 offsetof(struct recipe_repo, pos),
					 NULL};

static int read_repos(const char *root, const struct yaml *y, const struct field *f, void *to,
		      struct err *e)
{
	const struct field into = {f->key, read_array, offsetof(struct recipe_dnf, repos),
				   &array_repos, false};

	if (y->kind == YAML_LIST && (y->n == 0 || y->n > RECIPE_REPOS_MAX))
		return schema_refuse(y, e, "Name each with its gpgkey.",
				     "\"repos\" wants 1 to %d repositories", RECIPE_REPOS_MAX);
	return read_array(root, y, &into, to, e);
}

static const char *const archs[] = {"x86_64", "aarch64", NULL};
static const struct field dnf_fields[] = {
    {"release", read_word, offsetof(struct recipe_dnf, release), &grammar_release, true},
    {"arch", read_choice, offsetof(struct recipe_dnf, arch), archs, false},
    {"mirrors", read_mirrors, offsetof(struct recipe_dnf, mirrors), &grammar_mirror, false},
    {"snapshots", read_set, offsetof(struct recipe_dnf, snapshots), &grammar_snapshot, false},
    {"repos", read_repos, 0, NULL, true},
    {0},
};

int read_dnf(const char *root, const struct yaml *y, const struct field *f, void *to, struct err *e)
{
	struct recipe *r = to;
	struct recipe_dnf *dnf;

	if (schema_want_map(y, f->key, e) != 0)
		return -1;
	dnf = r->dnf = mem_zalloc(sizeof(*r->dnf));
	dnf->pos = schema_pos(y);
	if (schema_map(root, y, dnf_fields, dnf, e) != 0)
		return -1;
	if (dnf->mirrors.n == 0)
		strv_add(&dnf->mirrors, "system");
	if (dnf->arch == NULL)
		dnf->arch = mem_strdup(archs[0]);
	return 0;
}

struct jval *recipe_dnf_json(const struct recipe *r)
{
	struct jval *dnf = jval_object(), *repos = jval_array();

	for (size_t i = 0; i < r->dnf->repos_n; i++) {
		const struct recipe_repo *repo = &r->dnf->repos[i];
		struct jval *o = jval_object();

		jval_put_text(o, "name", repo->name);
		jval_put_text(o, "url", repo->url);
		jval_put(o, "gpgkey", recipe_path_json(r, repo->key));
		jval_put_text(o, "signed", repo->unsigned_index ? "packages" : "repomd");
		if (repo->pinned)
			jval_put_text(o, "repomd", digest_hex(&repo->repomd).s);
		jval_push(repos, o);
	}
	if (r->dnf->snapshots.n > 0)
		jval_put(dnf, "snapshots", recipe_list_json(&r->dnf->snapshots));
	jval_put_text(dnf, "release", r->dnf->release);
	jval_put_text(dnf, "arch", r->dnf->arch);
	jval_put(dnf, "mirrors", recipe_list_json(&r->dnf->mirrors));
	jval_put(dnf, "repos", repos);
	return dnf;
}

const char *recipe_dnf_platform(const struct recipe_dnf *dnf)
{
	return strcmp(dnf->arch, "aarch64") == 0 ? "arm64" : "amd64";
}

void recipe_dnf_files(const struct recipe_dnf *dnf, struct strv *ret)
{
	for (size_t i = 0; i < dnf->repos_n; i++)
		if (!strv_has(ret, dnf->repos[i].key))
			strv_add(ret, dnf->repos[i].key);
}

void recipe_dnf_free(struct recipe_dnf *dnf)
{
	if (dnf == NULL)
		return;
	for (size_t i = 0; dnf->repos != NULL && i < dnf->repos_n; i++) {
		free(dnf->repos[i].name);
		free(dnf->repos[i].url);
		free(dnf->repos[i].key);
	}
	free(dnf->repos);
	free(dnf->release);
	free(dnf->arch);
	strv_release(&dnf->mirrors);
	strv_release(&dnf->snapshots);
	free(dnf);
}
