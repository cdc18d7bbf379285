/* base.c - the base of a recipe: which kind it is, and what each kind says. */
#include "recipe/sections.h"

#include <stdlib.h>
#include <string.h>

static const char *const kinds[] = {[RECIPE_APT] = "apt",
				    [RECIPE_DNF] = "dnf",
				    [RECIPE_OCI] = "oci",
				    [RECIPE_TAR] = "tar",
				    [RECIPE_SCRATCH] = "scratch"};

int read_mirrors(const char *root, const struct yaml *y, const struct field *f, void *to,
		 struct err *e)
{
	const struct strv *mirrors = (const void *)((const char *)to + f->at);

	if (read_set(root, y, f, to, e) != 0)
		return -1;
	if (mirrors->n > 1 && strv_has(mirrors, "system"))
		return schema_refuse(y, e, "Write [system], or name every mirror.",
				     "\"mirrors\": system does not go with others");
	return 0;
}

static const struct field apt_fields[] = {
    {"suite", read_word, offsetof(struct recipe_apt, suite), &grammar_suite, true},
    {"keyring", read_file, offsetof(struct recipe_apt, keyring), NULL, true},
    {"pockets", read_set, offsetof(struct recipe_apt, pockets), &grammar_pocket, false},
    {"mirrors", read_mirrors, offsetof(struct recipe_apt, mirrors), &grammar_mirror, false},
    {"snapshots", read_set, offsetof(struct recipe_apt, snapshots), &grammar_snapshot, false},
    {"components", read_set, offsetof(struct recipe_apt, components), &grammar_component, false},
    {"arch", read_word, offsetof(struct recipe_apt, arch), &grammar_arch, false},
    {0},
};

static int read_apt(const char *root, const struct yaml *y, const struct field *f, void *to,
		    struct err *e)
{
	struct recipe *r = to;
	struct recipe_apt *apt;

	if (schema_want_map(y, f->key, e) != 0)
		return -1;
	apt = r->apt = mem_zalloc(sizeof(*r->apt));
	apt->pos = schema_pos(y);
	if (schema_map(root, y, apt_fields, apt, e) != 0)
		return -1;
	if (apt->mirrors.n == 0)
		strv_add(&apt->mirrors, "system");
	if (apt->components.n == 0)
		strv_add(&apt->components, "main");
	if (apt->arch == NULL)
		apt->arch = mem_strdup("amd64");
	return 0;
}

static const struct field base_fields[] = {
    {"apt", read_apt, 0, NULL, false},
    {"dnf", read_dnf, 0, NULL, false},
    {"oci", read_base_oci, 0, NULL, false},
    {"tar", read_base_tar, 0, NULL, false},
    {"scratch", read_base_scratch, 0, NULL, false},
    {0},
};

int read_base(const char *root, const struct yaml *y, const struct field *f, void *to,
	      struct err *e)
{
	struct recipe *r = to;

	if (schema_want_map(y, f->key, e) != 0)
		return -1;
	if (y->n > 1) {
		const struct yaml *a = y->pairs[0].val, *b = y->pairs[1].val;

		return schema_refuse(b, e, "Keep exactly one of apt, dnf, oci, tar, scratch.",
				     "\"base\" is \"%s\" here and \"%s\" at %s:%u:%u",
				     schema_show(y->pairs[1].key).s, schema_show(y->pairs[0].key).s,
				     a->file, a->line, a->col);
	}
	if (y->n == 0)
		return schema_refuse(y, e, "Write \"base: {apt: ...}\".",
				     "\"base\" names no kind of base");
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(y->pairs[0].key, kinds[i]) == 0)
			r->base = (enum recipe_base)i;
	r->base_pos = schema_pos(y->pairs[0].val);
	return schema_map(root, y, base_fields, r, e);
}

const char *recipe_base_name(enum recipe_base kind)
{
	return kinds[kind];
}

const char *recipe_platform(const struct recipe *r)
{
	if (r->plain != NULL)
		return r->plain->arch;
	return r->dnf != NULL ? recipe_dnf_platform(r->dnf) : r->apt->arch;
}

void recipe_base_files(const struct recipe *r, struct strv *ret)
{
	if (r->apt != NULL)
		strv_add(ret, r->apt->keyring);
	if (r->dnf != NULL)
		recipe_dnf_files(r->dnf, ret);
	if (r->plain != NULL && r->plain->policy != NULL)
		strv_add(ret, r->plain->policy);
}

static struct jval *apt_json(const struct recipe *r)
{
	struct jval *apt = jval_object();

	jval_put_text(apt, "suite", r->apt->suite);
	jval_put_text(apt, "arch", r->apt->arch);
	jval_put(apt, "pockets", recipe_list_json(&r->apt->pockets));
	jval_put(apt, "mirrors", recipe_list_json(&r->apt->mirrors));
	if (r->apt->snapshots.n > 0) /* or the lock of every recipe without would be stale */
		jval_put(apt, "snapshots", recipe_list_json(&r->apt->snapshots));
	jval_put(apt, "components", recipe_list_json(&r->apt->components));
	jval_put(apt, "keyring", recipe_path_json(r, r->apt->keyring));
	return apt;
}

static struct jval *plain_json(const struct recipe *r)
{
	const struct recipe_media *tar = recipe_base_tar(r);
	struct jval *o = jval_object();

	jval_put_text(o, "arch", r->plain->arch);
	if (tar == NULL)
		return o;
	jval_put(o, "url", tar->is_file ? recipe_path_json(r, tar->url) : jval_text(tar->url));
	jval_put_text(o, "sha256", digest_hex(&tar->digest).s);
	if (tar->size != 0)
		jval_put_int(o, "size", (int64_t)tar->size);
	return o;
}

struct jval *recipe_base_json(const struct recipe *r)
{
	struct jval *base = jval_object();

	if (r->apt != NULL)
		jval_put(base, kinds[RECIPE_APT], apt_json(r));
	if (r->dnf != NULL)
		jval_put(base, kinds[RECIPE_DNF], recipe_dnf_json(r));
	if (r->plain != NULL)
		jval_put(base, kinds[r->base],
			 r->base == RECIPE_OCI ? recipe_oci_json(r) : plain_json(r));
	return base;
}

static void free_apt(struct recipe_apt *apt)
{
	if (apt == NULL)
		return;
	free(apt->suite);
	free(apt->arch);
	free(apt->keyring);
	strv_release(&apt->pockets);
	strv_release(&apt->mirrors);
	strv_release(&apt->snapshots);
	strv_release(&apt->components);
	free(apt);
}

void recipe_base_release(struct recipe *r)
{
	free_apt(r->apt);
	recipe_dnf_free(r->dnf);
	if (r->plain != NULL) {
		free(r->plain->tar.url);
		for (size_t i = 0; i < r->plain->blobs_n; i++) {
			free(r->plain->blobs[i].name);
			free(r->plain->blobs[i].url);
			free(r->plain->blobs[i].file);
		}
		free(r->plain->blobs);
		free(r->plain->layout);
		free(r->plain->registry);
		free(r->plain->policy);
		free(r->plain->arch);
	}
	free(r->plain);
}
