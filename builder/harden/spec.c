#include "harden/spec.h"

#include "base/num.h"
#include <stdlib.h>
#include <string.h>

enum { KEYS_MAX = 32 };

int spec_int(const char *text, int64_t *ret)
{
	bool negative = *text == '-';
	uint64_t v;

	if (num_u64(text + (negative ? 1 : 0), INT64_MAX, &v) != 0)
		return -1;
	*ret = negative ? -(int64_t)v : (int64_t)v;
	return 0;
}

int spec_texts(const struct yaml *y, struct strv *ret, struct err *e)
{
	if (y->kind == YAML_SCALAR && *y->text != '\0') {
		strv_add(ret, y->text);
		return 0;
	}
	if (y->kind != YAML_LIST)
		return yaml_err(y, e, "wants a list of texts");
	for (size_t i = 0; i < y->n; i++) {
		if (y->items[i]->kind != YAML_SCALAR || *y->items[i]->text == '\0')
			return yaml_err(y->items[i], e, "wants a text");
		strv_add(ret, y->items[i]->text);
	}
	return 0;
}

int spec_word(const struct yaml *y, const char *const *words, struct err *e)
{
	const char *near;

	if (y->kind != YAML_SCALAR)
		return yaml_err(y, e, "wants one word");
	for (int i = 0; words[i] != NULL; i++)
		if (strcmp(words[i], y->text) == 0)
			return i;
	near = yaml_nearest(y->text, words);
	(void)yaml_err(y, e, "\"%s\" is not known here", y->text);
	return near == NULL ? err_hint(e, "The first known word is \"%s\".", words[0])
			    : err_hint(e, "Did you mean \"%s\"?", near);
}

static int read_paths(const struct yaml *y, struct strv *ret, struct err *e)
{
	if (spec_texts(y, ret, e) != 0)
		return -1;
	for (size_t i = 0; i < ret->n; i++) {
		char *p = ret->v[i];

		if (*p != '/')
			return yaml_err(y, e, "\"%s\" is not an absolute path", p);
		memmove(p, p + 1, strlen(p));
	}
	return 0;
}

static int read_text(const struct field *f, const struct yaml *y, void *at, struct err *e)
{
	struct strv one SCOPED(strv_release) = {0};
	char **ret = at;
	int rc;

	if (y->kind != YAML_SCALAR || *y->text == '\0')
		return yaml_err(y, e, "%s wants a text", f->key);
	rc = f->type == FIELD_PATH ? read_paths(y, &one, e) : spec_texts(y, &one, e);
	if (rc == 0)
		*ret = STEAL(one.v[0]);
	one.n = rc == 0 ? 0 : one.n;
	return rc;
}

static int read_number(const struct field *f, const struct yaml *y, void *at, struct err *e)
{
	struct opt *ret = at;
	unsigned mode = 0;

	ret->set = true;
	if (y->kind != YAML_SCALAR)
		return yaml_err(y, e, "%s wants a number", f->key);
	if (f->type == FIELD_INT)
		return spec_int(y->text, &ret->v) == 0
			   ? 0
			   : yaml_err(y, e, "%s wants a decimal number", f->key);
	if (num_mode(y->text, &mode) != 0)
		return yaml_err(y, e, "%s wants an octal file mode such as \"0640\"", f->key);
	ret->v = mode;
	return 0;
}

static int read_bool(const struct field *f, const struct yaml *y, void *at, struct err *e)
{
	bool *ret = at;

	if (y->kind != YAML_SCALAR ||
	    (strcmp(y->text, "true") != 0 && strcmp(y->text, "false") != 0))
		return yaml_err(y, e, "%s wants true or false", f->key);
	*ret = y->text[0] == 't';
	return 0;
}

static int read_field(const struct field *f, const struct yaml *y, void *base, struct err *e)
{
	void *at = (char *)base + f->offset;

	switch (f->type) {
	case FIELD_TEXT:
	case FIELD_PATH:
		return read_text(f, y, at, e);
	case FIELD_LIST:
		return spec_texts(y, at, e);
	case FIELD_PATHS:
		return read_paths(y, at, e);
	case FIELD_INT:
	case FIELD_MODE:
		return read_number(f, y, at, e);
	case FIELD_BOOL:
		return read_bool(f, y, at, e);
	case FIELD_NODE:
		break;
	}
	*(struct yaml **)at = yaml_copy(y);
	return 0;
}

static const struct field *find(const struct field *fields, const char *key)
{
	for (const struct field *f = fields; f->key != NULL; f++)
		if (strcmp(f->key, key) == 0)
			return f;
	return NULL;
}

static int unknown_key(const struct yaml_pair *p, const struct field *fields,
		       const struct yaml *map, struct err *e)
{
	const struct yaml at = {.file = map->file, .line = p->line, .col = p->col};
	const char *known[KEYS_MAX + 1] = {NULL};
	const char *near;

	for (size_t i = 0; i < KEYS_MAX && fields[i].key != NULL; i++)
		known[i] = fields[i].key;
	near = yaml_nearest(p->key, known);
	(void)yaml_err(&at, e, "unknown key \"%s\"", p->key);
	return near == NULL ? err_hint(e, "See posmedia-profile(5).")
			    : err_hint(e, "Did you mean \"%s\"?", near);
}

int spec_read(const struct yaml *map, const struct field *fields, void *base, struct err *e)
{
	if (map->kind != YAML_MAP)
		return yaml_err(map, e, "wants a map");
	for (size_t i = 0; i < map->n; i++) {
		const struct field *f = find(fields, map->pairs[i].key);

		if (f == NULL)
			return unknown_key(&map->pairs[i], fields, map, e);
		if (read_field(f, map->pairs[i].val, base, e) != 0)
			return -1;
	}
	for (const struct field *f = fields; f->key != NULL; f++) {
		if (!f->required || yaml_get(map, f->key) != NULL)
			continue;
		(void)yaml_err(map, e, "\"%s\" is missing", f->key);
		return err_hint(e, "See posmedia-profile(5).");
	}
	return 0;
}

void spec_free(const struct field *fields, void *base)
{
	for (const struct field *f = fields; f->key != NULL; f++) {
		void *at = (char *)base + f->offset;

		if (f->type == FIELD_TEXT || f->type == FIELD_PATH)
			mem_freep(at);
		if (f->type == FIELD_LIST || f->type == FIELD_PATHS)
			strv_release(at);
		if (f->type == FIELD_NODE)
			yaml_freep(at);
	}
}
