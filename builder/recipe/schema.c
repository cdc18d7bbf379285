#include "recipe/schema.h"

#include "base/map.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { KEYS_MAX = 32, ITEMS_MAX = 10000 };

int schema_refuse(const struct yaml *at, struct err *e, const char *hint, const char *fmt, ...)
{
	char what[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	yaml_err(at, e, "%s", what);
	return err_hint(e, "%s", hint);
}

int schema_unsupported(const struct yaml *at, const char *what, struct err *e)
{
	return schema_refuse(at, e, "posmedia-recipe(5) says what works.",
			     "\"%s\" is not supported yet by this version", what);
}

struct schema_shown schema_show(const char *text)
{
	struct schema_shown shown = {""};
	size_t n = strlen(text), max = sizeof(shown.s) - 4;
	bool cut = n > max;

	if (cut)
		for (n = max; n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80; n--)
			continue;
	for (size_t i = 0; i < n; i++)
		shown.s[i] = text[i];
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)shown.s[i] < 0x20 || shown.s[i] == 0x7f)
			shown.s[i] = ' ';
	if (cut)
		memcpy(shown.s + n, "...", 4);
	return shown;
}

static const char *kind_name(const struct yaml *y)
{
	if (y->kind == YAML_MAP)
		return "a map";
	if (y->kind == YAML_LIST)
		return "a list";
	return y->text[0] == '\0' ? "nothing" : "text";
}

int schema_want_map(const struct yaml *y, const char *what, struct err *e)
{
	if (y->kind == YAML_MAP && y->n > ITEMS_MAX)
		return schema_refuse(y, e, "Shorten it.", "\"%s\" has more than %d keys", what,
				     ITEMS_MAX);
	if (y->kind == YAML_MAP)
		return 0;
	return schema_refuse(y, e, "Write \"key: value\" lines below it, or remove it.",
			     "\"%s\" wants a map, not %s", what, kind_name(y));
}

int schema_want_list(const struct yaml *y, const char *what, struct err *e)
{
	if (y->kind != YAML_LIST)
		return schema_refuse(y, e, "Write [a, b], or a line \"- a\" for each.",
				     "\"%s\" wants a list, not %s", what, kind_name(y));
	if (y->n > ITEMS_MAX)
		return schema_refuse(y, e, "Shorten it.", "\"%s\" has more than %d items", what,
				     ITEMS_MAX);
	return 0;
}

int schema_want_text(const struct yaml *y, const char *what, struct err *e)
{
	if (y->kind == YAML_SCALAR && y->text[0] != '\0')
		return 0;
	return schema_refuse(y, e, "Write one value.", "\"%s\" wants a value, not %s", what,
			     kind_name(y));
}

int schema_word(const struct yaml *y, const char *what, const struct grammar *g, struct err *e)
{
	if (schema_want_text(y, what, e) != 0)
		return -1;
	if (grammar_ok(g, y->text))
		return 0;
	return schema_refuse(y, e, g->hint, "\"%s\" wants %s, not \"%s\"", what, g->what,
			     schema_show(y->text).s);
}

struct yaml schema_key(const struct yaml_pair *pair)
{
	return (struct yaml){.kind = YAML_SCALAR,
			     .file = pair->val->file,
			     .line = pair->line,
			     .col = pair->col,
			     .text = pair->key};
}

struct recipe_pos schema_pos(const struct yaml *y)
{
	return (struct recipe_pos){y->file, y->line, y->col};
}

static int unknown_key(const struct yaml_pair *pair, const struct field *fields, struct err *e)
{
	const struct yaml at = schema_key(pair);
	const char *known[KEYS_MAX + 1] = {NULL}, *near, *manual;
	size_t n = 0;

	for (; fields[n].key != NULL; n++)
		if (n < KEYS_MAX)
			known[n] = fields[n].key;
	manual = fields[n].how;
	near = yaml_nearest(pair->key, known);
	yaml_err(&at, e, "unknown key \"%s\"", schema_show(pair->key).s);
	if (near != NULL)
		return err_hint(e, "Did you mean \"%s\"?", near);
	return err_hint(e, "%s lists the keys.", manual != NULL ? manual : "posmedia-recipe(5)");
}

static const struct field *find_field(const struct field *fields, const char *key)
{
	for (; fields->key != NULL; fields++)
		if (strcmp(fields->key, key) == 0)
			return fields;
	return NULL;
}

int schema_map(const char *root, const struct yaml *y, const struct field *fields, void *to,
	       struct err *e)
{
	for (size_t i = 0; i < y->n; i++)
		if (find_field(fields, y->pairs[i].key) == NULL)
			return unknown_key(&y->pairs[i], fields, e);
	/* in the order of the table, so that a reader may rely on what stands above it */
	for (const struct field *f = fields; f->key != NULL; f++) {
		const struct yaml *val = yaml_get(y, f->key);

		if (val == NULL && f->required) {
			yaml_err(y, e, "missing key \"%s\"", f->key);
			return err_hint(e, "Add \"%s:\" here.", f->key);
		}
		if (val != NULL && f->read(root, val, f, to, e) != 0)
			return -1;
	}
	return 0;
}

static void map_freep(struct map *m)
{
	map_release(m, NULL);
}

int schema_unique(const struct yaml *y, const char *what, const char *key, struct err *e)
{
	struct map seen SCOPED(map_freep) = {0};

	for (size_t i = 0; i < y->n; i++) {
		struct yaml *val = yaml_get(y->items[i], key);
		const struct yaml *first;

		if (val == NULL)
			continue;
		first = map_put(&seen, val->text, val);
		if (first != NULL)
			return schema_refuse(val, e, "Keep one of the two, or rename it.",
					     "%s: duplicate %s \"%s\", first at %s:%u:%u", what,
					     key, schema_show(val->text).s, first->file,
					     first->line, first->col);
	}
	return 0;
}

int read_map(const char *root, const struct yaml *y, const struct field *f, void *to, struct err *e)
{
	if (schema_want_map(y, f->key, e) != 0)
		return -1;
	return schema_map(root, y, f->how, to, e);
}

static int read_item(const char *root, const struct yaml *y, const struct field *f, void *item,
		     struct err *e)
{
	const struct array *a = f->how;

	if (schema_want_map(y, f->key, e) != 0)
		return -1;
	if (a->pos_at != NO_POS) {
		struct recipe_pos pos = schema_pos(y);

		memcpy((char *)item + a->pos_at, &pos, sizeof(pos));
	}
	if (schema_map(root, y, a->fields, item, e) != 0)
		return -1;
	if (a->defaults != NULL)
		a->defaults(item);
	return 0;
}

int read_array(const char *root, const struct yaml *y, const struct field *f, void *to,
	       struct err *e)
{
	const struct array *a = f->how;
	char *items;

	if (schema_want_list(y, f->key, e) != 0)
		return -1;
	items = mem_zalloc((y->n + 1) * a->size);
	memcpy((char *)to + f->at, &items, sizeof(items));
	memcpy((char *)to + a->count_at, &y->n, sizeof(y->n));
	for (size_t i = 0; i < y->n; i++)
		if (read_item(root, y->items[i], f, items + i * a->size, e) != 0)
			return -1;
	for (const char *const *key = a->unique; *key != NULL; key++)
		if (schema_unique(y, f->key, *key, e) != 0)
			return -1;
	return 0;
}

int read_unsupported(const char *root, const struct yaml *y, const struct field *f, void *to,
		     struct err *e)
{
	(void)root;
	(void)to;
	return schema_unsupported(y, f->key, e);
}

int read_nothing(const char *root, const struct yaml *y, const struct field *f, void *to,
		 struct err *e)
{
	(void)root;
	(void)y;
	(void)f;
	(void)to;
	(void)e;
	return 0;
}
