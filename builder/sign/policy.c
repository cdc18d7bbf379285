#include "sign/policy.h"

#include "base/log.h"
#include "base/num.h"
#include "form/ref.h"
#include "form/yaml.h"
#include "sign/siglayer.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

enum { POLICY_MAX = 1 << 20, KEYS_MAX = 64 };

struct rule {
	char *match;
	unsigned line;
	struct sign_public **keys;
	size_t keys_n;
	unsigned forms;
	uint64_t require;
};

struct sign_policy {
	char *path;
	struct rule *rules;
	size_t n;
	bool accept;
};

static void rule_release(struct rule *r)
{
	free(r->match);
	for (size_t i = 0; i < r->keys_n; i++)
		sign_public_free(r->keys[i]);
	free(r->keys);
}

void sign_policy_free(struct sign_policy *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < p->n; i++)
		rule_release(&p->rules[i]);
	free(p->rules);
	free(p->path);
	free(p);
}

void sign_policy_freep(struct sign_policy **p)
{
	sign_policy_free(*p);
	*p = NULL;
}

static int bad_kind(const struct yaml *at, const char *what, struct err *e)
{
	return yaml_err(at, e, "wants %s", what);
}

/* Every key of the map must be one of `known`. */
static int check_keys(const struct yaml *map, const char *const *known, struct err *e)
{
	if (map->kind != YAML_MAP)
		return bad_kind(map, "a map", e);
	for (size_t i = 0; i < map->n; i++) {
		const struct yaml_pair *p = &map->pairs[i];
		const char *near = yaml_nearest(p->key, known);
		size_t k = 0;

		while (known[k] != NULL && strcmp(known[k], p->key) != 0)
			k++;
		if (known[k] != NULL)
			continue;
		(void)err_set(e, ERR_RECIPE, "%s:%u:%u: unknown key %s", map->file, p->line, p->col,
			      p->key);
		return near == NULL ? err_hint(e, "see posmedia-policy(5) for the keys")
				    : err_hint(e, "did you mean %s?", near);
	}
	return 0;
}

static int parse_key(const char *dir, const struct yaml *y, struct rule *r, struct err *e)
{
	char *path SCOPED(mem_freep) = NULL;
	struct sign_public *k SCOPED(sign_public_freep) = NULL;
	struct err why = ERR_INIT;
	struct digest id;

	if (y->kind != YAML_SCALAR || y->text[0] == '\0')
		return bad_kind(y, "the file of a public key", e);
	path = fs_join(dir, y->text);
	if (sign_public_load(path, &k, &why) != 0) {
		(void)yaml_err(y, e, "%s", why.msg);
		return err_hint(e, "%s", why.hint);
	}
	id = sign_public_id(k);
	for (size_t i = 0; i < r->keys_n; i++) {
		struct digest other = sign_public_id(r->keys[i]);

		/* or one key could count as two */
		if (digest_equal(&id, &other))
			return yaml_err(y, e, "%s: the same key twice", y->text);
	}
	r->keys = mem_resize(r->keys, r->keys_n + 1, sizeof(*r->keys));
	r->keys[r->keys_n++] = STEAL(k);
	return 0;
}

static int parse_keys(const char *dir, const struct yaml *map, struct rule *r, struct err *e)
{
	const struct yaml *y = yaml_get(map, "keys");

	if (y == NULL)
		return yaml_err(map, e, "a rule without keys");
	if (y->kind != YAML_LIST || y->n == 0 || y->n > KEYS_MAX)
		return bad_kind(y, "a list of 1 to 64 public keys", e);
	for (size_t i = 0; i < y->n; i++)
		if (parse_key(dir, y->items[i], r, e) != 0)
			return -1;
	return 0;
}

static int parse_forms(const struct yaml *map, struct rule *r, struct err *e)
{
	const struct yaml *y = yaml_get(map, "forms");

	r->forms = y == NULL ? SIGN_ALL_FORMS : 0;
	if (y == NULL)
		return 0;
	if (y->kind != YAML_LIST || y->n == 0)
		return bad_kind(y, "a list of openpgp, cosign and bundle", e);
	for (size_t i = 0; i < y->n; i++) {
		const struct yaml *item = y->items[i];
		int form = 0;

		while (form < SIGN_FORMS &&
		       (item->kind != YAML_SCALAR ||
			strcmp(item->text, sign_form_word((enum sign_form)form)) != 0))
			form++;
		if (form == SIGN_FORMS)
			return bad_kind(item, "openpgp, cosign or bundle", e);
		r->forms |= 1U << form;
	}
	return 0;
}

static int parse_require(const struct yaml *map, struct rule *r, struct err *e)
{
	const struct yaml *y = yaml_get(map, "require");

	r->require = 1;
	if (y == NULL)
		return 0;
	if (y->kind != YAML_SCALAR || num_u64(y->text, KEYS_MAX, &r->require) != 0 ||
	    r->require == 0)
		return bad_kind(y, "a number from 1", e);
	if (r->require > r->keys_n)
		return yaml_err(y, e, "requires %s keys of %zu", y->text, r->keys_n);
	return 0;
}

static int parse_rule(const char *dir, const struct yaml *map, struct rule *r, struct err *e)
{
	static const char *const known[] = {"match", "keys", "forms", "require", NULL};
	const struct yaml *match;

	if (check_keys(map, known, e) != 0)
		return -1;
	match = yaml_get(map, "match");
	if (match == NULL)
		return yaml_err(map, e, "a rule without match");
	if (match->kind != YAML_SCALAR || strchr(match->text, '/') == NULL)
		return bad_kind(match, "a pattern for HOST/REPOSITORY", e);
	r->match = mem_strdup(match->text);
	r->line = map->line;
	if (parse_keys(dir, map, r, e) != 0 || parse_forms(map, r, e) != 0)
		return -1;
	return parse_require(map, r, e);
}

static int parse_rules(const char *dir, const struct yaml *top, struct sign_policy *p,
		       struct err *e)
{
	const struct yaml *y = yaml_get(top, "repositories");

	if (y == NULL)
		return 0;
	if (y->kind != YAML_LIST)
		return bad_kind(y, "a list of rules", e);
	p->rules = mem_zalloc((y->n + 1) * sizeof(*p->rules));
	while (p->n < y->n) {
		size_t i = p->n++;

		if (parse_rule(dir, y->items[i], &p->rules[i], e) != 0)
			return -1;
	}
	return 0;
}

static int parse_top(const struct yaml *top, struct sign_policy *p, struct err *e)
{
	static const char *const known[] = {"posmedia", "repositories", "default", NULL};
	char *dir SCOPED(mem_freep) = fs_dirname(p->path);
	const struct yaml *version, *fallback;

	if (check_keys(top, known, e) != 0)
		return -1;
	version = yaml_get(top, "posmedia");
	if (version == NULL)
		return yaml_err(top, e, "no posmedia: 1");
	if (version->kind != YAML_SCALAR || strcmp(version->text, "1") != 0)
		return yaml_err(version, e, "this version reads only posmedia: 1");
	fallback = yaml_get(top, "default");
	if (fallback != NULL) {
		const char *text = fallback->kind == YAML_SCALAR ? fallback->text : "";

		p->accept = strcmp(text, "accept") == 0;
		if (!p->accept && strcmp(text, "reject") != 0)
			return bad_kind(fallback, "reject or accept", e);
	}
	return parse_rules(dir, top, p, e);
}

int sign_policy_load(const char *path, struct sign_policy **ret, struct err *e)
{
	struct sign_policy *p SCOPED(sign_policy_freep) = mem_zalloc(sizeof(*p));
	struct buf b SCOPED(buf_release) = BUF_INIT(POLICY_MAX);
	struct yaml *top SCOPED(yaml_freep) = NULL;

	p->path = mem_strdup(path);
	if (fs_get(AT_FDCWD, path, &b, e) != 0)
		return err_in(e, "policy");
	if (yaml_parse(b.data, b.len, path, &top, e) != 0 || parse_top(top, p, e) != 0)
		return -1;
	*ret = STEAL(p);
	return 0;
}

/* HOST/REPO of HOST/REPO:TAG; the caller owns it. */
static int repository(const char *identity, char **ret, struct err *e)
{
	struct ref r = {0};

	if (ref_parse_docker(identity, &r, e) != 0)
		return err_in(e, "identity");
	*ret = mem_format("%s/%s", r.host, r.path);
	ref_release(&r);
	return 0;
}

/* The keys, not the signatures: one key may have signed twice. */
static size_t count_keys(const struct sign_report *r, enum sign_form form)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++) {
		bool again = r->v[i].form != form;

		for (size_t k = 0; k < i && !again; k++)
			again = r->v[k].form == form && digest_equal(&r->v[k].key, &r->v[i].key);
		n += again ? 0 : 1;
	}
	return n;
}

static int apply(const struct rule *rule, const struct sign_report *r, struct err *e)
{
	for (int form = 0; form < SIGN_FORMS; form++) {
		size_t n = count_keys(r, (enum sign_form)form);

		if ((rule->forms & 1U << form) != 0 && n < rule->require)
			return err_set(e, ERR_VERIFY,
				       "wants %s signatures by %llu of its %zu keys, found %zu",
				       sig_form_name((enum sign_form)form),
				       (unsigned long long)rule->require, rule->keys_n, n);
	}
	return 0;
}

static int verify_rule(const struct rule *rule, const struct oci_layout *l,
		       const struct oci_desc *manifest, struct sign_wanted *w,
		       struct sign_report *ret, struct err *e)
{
	struct sign_report r SCOPED(sign_report_release) = {0};

	w->keys = rule->keys;
	w->keys_n = rule->keys_n;
	w->forms = rule->forms;
	if (sign_image_verify(l, manifest, w, &r, e) != 0 || apply(rule, &r, e) != 0)
		return -1;
	*ret = r;
	r = (struct sign_report){0};
	return 0;
}

int sign_policy_verify(const struct sign_policy *p, const struct oci_layout *l,
		       const struct oci_desc *manifest, const char *identity,
		       struct sign_report *ret, struct err *e)
{
	char *repo SCOPED(mem_freep) = NULL;
	struct sign_wanted w = {.identity = identity};

	if (repository(identity, &repo, e) != 0)
		return -1;
	for (size_t i = 0; i < p->n; i++) {
		const struct rule *rule = &p->rules[i];

		if (fnmatch(rule->match, repo, FNM_PATHNAME | FNM_NOESCAPE) != 0)
			continue;
		if (verify_rule(rule, l, manifest, &w, ret, e) == 0)
			return 0;
		(void)err_in(e, "%s:%u: %s", p->path, rule->line, identity);
		return err_hint(e, "sign it with posmedia sign, or look at the keys of this rule");
	}
	if (!p->accept) {
		(void)err_set(e, ERR_VERIFY, "%s: no rule for %s, and the default is to reject",
			      p->path, repo);
		return err_hint(e, "add a rule that matches %s", repo);
	}
	log_warn("%s: no rule for %s; accepted unverified, by default", p->path, repo);
	*ret = (struct sign_report){0};
	return 0;
}
