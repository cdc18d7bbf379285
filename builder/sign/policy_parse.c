/* policy_parse.c - one rule of a policy file. */
#include "sign/policy_rule.h"

#include "base/num.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include <stdlib.h>
#include <string.h>

enum { KEYS_MAX = 64, STATEMENTS_MAX = 64 };

void rule_release(struct rule *r)
{
	free(r->match);
	for (size_t i = 0; i < r->keys_n; i++)
		sign_public_free(r->keys[i]);
	free(r->keys);
	free(r->windows);
	for (size_t i = 0; i < r->statements_n; i++) {
		free(r->statements[i].type);
		strv_release(&r->statements[i].paths);
		strv_release(&r->statements[i].values);
	}
	free(r->statements);
	sign_authority_free(r->tsa);
	notation_roots_free(r->roots);
	free(r->subject);
}

static int bad_kind(const struct yaml *at, const char *what, struct err *e)
{
	return yaml_err(at, e, "wants %s", what);
}

int rule_keys_known(const struct yaml *map, const char *const *known, struct err *e)
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

static int add_key(const struct yaml *y, struct sign_public **k, const struct rule_window *w,
		   struct rule *r, struct err *e)
{
	struct digest id = sign_public_id(*k);

	for (size_t i = 0; i < r->keys_n; i++) {
		struct digest other = sign_public_id(r->keys[i]);

		/* or one key could count as two */
		if (digest_equal(&id, &other))
			return yaml_err(y, e, "%s: the same key twice", y->text);
	}
	r->keys = mem_resize(r->keys, r->keys_n + 1, sizeof(*r->keys));
	r->windows = mem_resize(r->windows, r->keys_n + 1, sizeof(*r->windows));
	r->windows[r->keys_n] = *w;
	r->keys[r->keys_n++] = STEAL(*k);
	return 0;
}

/* A day, from its first second or to its last. */
static int parse_day(const struct yaml *map, const char *key, const char *time, int64_t *ret,
		     struct err *e)
{
	const struct yaml *y = yaml_get(map, key);
	char *text SCOPED(mem_freep) = NULL;

	if (y == NULL)
		return 0;
	text = mem_format("%sT%sZ", y->kind == YAML_SCALAR ? y->text : "", time);
	if (strlen(text) != strlen("YYYY-MM-DDT00:00:00Z") || clock_parse(text, ret) != 0)
		return bad_kind(y, "a day, YYYY-MM-DD", e);
	return 0;
}

/* FILE, or {file: FILE, from: DAY, until: DAY}. */
static int parse_key(const char *dir, const struct yaml *y, struct rule *r, struct err *e)
{
	static const char *const known[] = {"file", "from", "until", NULL};
	struct rule_window w = {INT64_MIN, INT64_MAX};
	const struct yaml *file = y;
	char *path SCOPED(mem_freep) = NULL;
	struct sign_public *k SCOPED(sign_public_freep) = NULL;
	struct err why = ERR_INIT;

	if (y->kind == YAML_MAP) {
		if (rule_keys_known(y, known, e) != 0 ||
		    parse_day(y, "from", "00:00:00", &w.from, e) != 0 ||
		    parse_day(y, "until", "23:59:59", &w.until, e) != 0)
			return -1;
		file = yaml_get(y, "file");
	}
	if (file == NULL || file->kind != YAML_SCALAR || file->text[0] == '\0')
		return bad_kind(y, "the file of a public key", e);
	path = fs_join(dir, file->text);
	if (sign_public_load(path, &k, &why) != 0) {
		(void)yaml_err(file, e, "%s", why.msg);
		return err_hint(e, "%s", why.hint);
	}
	return add_key(file, &k, &w, r, e);
}

static int parse_keys(const char *dir, const struct yaml *map, struct rule *r, struct err *e)
{
	const struct yaml *y = yaml_get(map, "keys");

	if (y == NULL && yaml_get(map, "notation") != NULL)
		return 0;
	if (y == NULL)
		return yaml_err(map, e, "a rule without keys");
	if (y->kind != YAML_LIST || y->n == 0 || y->n > KEYS_MAX)
		return bad_kind(y, "a list of 1 to 64 public keys", e);
	for (size_t i = 0; i < y->n; i++)
		if (parse_key(dir, y->items[i], r, e) != 0)
			return -1;
	return 0;
}

static int parse_tsa(const char *dir, const struct yaml *map, struct rule *r, struct err *e)
{
	const struct yaml *y = yaml_get(map, "tsa");
	char *path SCOPED(mem_freep) = NULL;
	struct err why = ERR_INIT;

	if (y == NULL)
		return 0;
	if (y->kind != YAML_SCALAR)
		return bad_kind(y, "the file of a certificate", e);
	path = fs_join(dir, y->text);
	return sign_authority_load(path, &r->tsa, &why) == 0 ? 0 : yaml_err(y, e, "%s", why.msg);
}

static int parse_stage(const struct yaml *map, struct rule *r, struct err *e)
{
	const struct yaml *y = yaml_get(map, "stage");

	if (y == NULL)
		return 0;
	r->stage = y->kind == YAML_SCALAR ? promotion_stage(y->text) : -1;
	return r->stage > 0 ? 0 : bad_kind(y, "qa or prod", e);
}

/* {type: URI, where: {PATH: VALUE}} */
static int parse_statement(const struct yaml *y, struct rule_statement *s, struct err *e)
{
	static const char *const known[] = {"type", "where", NULL};
	const struct yaml *type, *where;

	if (rule_keys_known(y, known, e) != 0)
		return -1;
	type = yaml_get(y, "type");
	where = yaml_get(y, "where");
	if (type == NULL || type->kind != YAML_SCALAR || type->text[0] == '\0')
		return bad_kind(y, "the type of a predicate", e);
	s->type = mem_strdup(type->text);
	if (where == NULL)
		return 0;
	if (where->kind != YAML_MAP)
		return bad_kind(where, "a map of members and their values", e);
	for (size_t i = 0; i < where->n; i++) {
		if (where->pairs[i].val->kind != YAML_SCALAR)
			return bad_kind(where->pairs[i].val, "one value", e);
		strv_add(&s->paths, where->pairs[i].key);
		strv_add(&s->values, where->pairs[i].val->text);
	}
	return 0;
}

static int parse_statements(const struct yaml *map, struct rule *r, struct err *e)
{
	const struct yaml *y = yaml_get(map, "attestations");

	if (y == NULL)
		return 0;
	if (y->kind != YAML_LIST || y->n > STATEMENTS_MAX)
		return bad_kind(y, "a list of at most 64 statements", e);
	r->statements = mem_zalloc((y->n + 1) * sizeof(*r->statements));
	while (r->statements_n < y->n) {
		size_t i = r->statements_n++;

		if (parse_statement(y->items[i], &r->statements[i], e) != 0)
			return -1;
	}
	return 0;
}

static int parse_forms(const struct yaml *map, struct rule *r, struct err *e)
{
	const struct yaml *y = yaml_get(map, "forms");

	r->forms = y == NULL && r->keys_n > 0 ? SIGN_ALL_FORMS : 0;
	if (y == NULL)
		return 0;
	if (r->keys_n == 0)
		return yaml_err(y, e, "are those of signatures by keys, and the rule has none");
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

/* {trust: FILE, subject: NAMES} */
static int parse_notation(const char *dir, const struct yaml *map, struct rule *r, struct err *e)
{
	static const char *const known[] = {"trust", "subject", NULL};
	const struct yaml *y = yaml_get(map, "notation"), *trust, *subject;
	char *path SCOPED(mem_freep) = NULL;
	struct err why = ERR_INIT;

	if (y == NULL)
		return 0;
	if (rule_keys_known(y, known, e) != 0)
		return -1;
	trust = yaml_get(y, "trust");
	subject = yaml_get(y, "subject");
	if (trust == NULL || trust->kind != YAML_SCALAR || trust->text[0] == '\0')
		return bad_kind(y, "trust, a file of certificates", e);
	if (subject != NULL && (subject->kind != YAML_SCALAR || strchr(subject->text, '=') == NULL))
		return bad_kind(subject, "a subject, C=DE,O=Example", e);
	r->subject = subject != NULL ? mem_strdup(subject->text) : NULL;
	path = fs_join(dir, trust->text);
	return notation_roots_load(path, &r->roots, &why) == 0 ? 0
							       : yaml_err(trust, e, "%s", why.msg);
}

/* A statement is by a key. */
static int parse_by_keys(const struct yaml *map, struct rule *r, struct err *e)
{
	static const char *const by_keys[] = {"attestations", "stage", "tsa", "require"};

	for (size_t i = 0; r->keys_n == 0 && i < sizeof(by_keys) / sizeof(by_keys[0]); i++)
		if (yaml_get(map, by_keys[i]) != NULL)
			return yaml_err(yaml_get(map, by_keys[i]), e, "%s wants keys", by_keys[i]);
	return parse_statements(map, r, e) != 0 ? -1 : parse_stage(map, r, e);
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

int rule_parse(const char *dir, const struct yaml *map, struct rule *r, struct err *e)
{
	static const char *const known[] = {"match",        "keys",  "forms",    "require", "tsa",
					    "attestations", "stage", "notation", NULL};
	const struct yaml *match;

	if (rule_keys_known(map, known, e) != 0)
		return -1;
	match = yaml_get(map, "match");
	if (match == NULL)
		return yaml_err(map, e, "a rule without match");
	if (match->kind != YAML_SCALAR || strchr(match->text, '/') == NULL)
		return bad_kind(match, "a pattern for HOST/REPOSITORY", e);
	r->match = mem_strdup(match->text);
	r->line = map->line;
	if (parse_keys(dir, map, r, e) != 0 || parse_forms(map, r, e) != 0 ||
	    parse_tsa(dir, map, r, e) != 0 || parse_notation(dir, map, r, e) != 0 ||
	    parse_by_keys(map, r, e) != 0)
		return -1;
	return parse_require(map, r, e);
}
