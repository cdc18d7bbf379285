#include "form/yaml.h"

#include "base/map.h"
#include "form/yaml_text.h"
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum {
	TEXT_MAX = 1 << 20,
	NODES_MAX = 100000,
	DEPTH_MAX = 32,
};

struct reader {
	yaml_parser_t parser;
	yaml_event_t event; /* the one being looked at */
	bool has_event;
	const char *file;
	size_t nodes;
	bool json;                 /* the text is JSON, whose keys stand in quotes */
	const char *text, *cursor; /* the text, and its character at line and col, from 0 */
	size_t line, col;
};

/* File names are kept for the process: positions outlive every tree. */
static const char *intern(const char *file)
{
	static struct map names;
	char *kept = map_get(&names, file);

	if (kept == NULL) {
		kept = mem_strdup(file);
		map_put(&names, file, kept);
	}
	return kept;
}

static struct yaml *node_new(const struct reader *r, enum yaml_kind kind)
{
	struct yaml *y = mem_zalloc(sizeof(*y));

	y->kind = kind;
	y->file = r->file;
	y->line = (unsigned)r->event.start_mark.line + 1;
	y->col = (unsigned)r->event.start_mark.column + 1;
	return y;
}

PRINTF(4, 0)
static int refuse_at(const char *file, const yaml_mark_t *at, struct err *e, const char *fmt,
		     va_list ap)
{
	char what[512];

	(void)vsnprintf(what, sizeof(what), fmt, ap);
	return err_set(e, ERR_RECIPE, "%s:%zu:%zu: %s", file, at->line + 1, at->column + 1, what);
}

/* Refuses the event being looked at. */
PRINTF(3, 4) static int refuse(const struct reader *r, struct err *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)refuse_at(r->file, &r->event.start_mark, e, fmt, ap);
	va_end(ap);
	return -1;
}

static int syntax(const struct reader *r, struct err *e)
{
	const yaml_parser_t *p = &r->parser;
	const yaml_mark_t *at = &p->problem_mark;

	err_set(e, ERR_RECIPE, "%s:%zu:%zu: %s%s%s", r->file, at->line + 1, at->column + 1,
		p->problem == NULL ? "not YAML" : p->problem, p->context == NULL ? "" : " ",
		p->context == NULL ? "" : p->context);
	return err_hint(e, "Check indentation, quotes and brackets on this line and before it.");
}

static int next(struct reader *r, struct err *e)
{
	if (r->has_event)
		yaml_event_delete(&r->event);
	r->has_event = yaml_parser_parse(&r->parser, &r->event) == 1;
	return r->has_event ? 0 : syntax(r, e);
}

/* What a node may carry beside its value: nothing. */
static int check_plain(const struct reader *r, const yaml_char_t *anchor, const yaml_char_t *tag,
		       struct err *e)
{
	if (anchor != NULL) {
		refuse(r, e, "anchors are not allowed");
		return err_hint(e, "Write the value out at each place.");
	}
	if (tag != NULL) {
		refuse(r, e, "tags are not allowed");
		return err_hint(e, "Remove it: the schema gives every value its type.");
	}
	return 0;
}

static int parse_node(struct reader *r, unsigned depth, struct yaml **ret, struct err *e);

/* Whether the scalar has a control character, which only an escape can have put there. */
static bool has_control(const char *p, size_t n)
{
	uint32_t c;

	for (size_t i = 0, len; i < n; i += len) {
		len = utf8_decode(p + i, n - i, &c);
		if (len == 0 || utf8_is_control(c))
			return true;
	}
	return false;
}

static int parse_scalar(struct reader *r, struct yaml **ret, struct err *e)
{
	const char *p = (const char *)r->event.data.scalar.value;
	size_t n = r->event.data.scalar.length;

	if (check_plain(r, r->event.data.scalar.anchor, r->event.data.scalar.tag, e) != 0)
		return -1;
	if (has_control(p, n)) {
		refuse(r, e, "control character in a value");
		return err_hint(e, "Only \\n and \\t may be written as escapes.");
	}
	*ret = node_new(r, YAML_SCALAR);
	(*ret)->text = mem_strndup(p, n);
	(*ret)->quoted = r->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	return 0;
}

static int parse_list(struct reader *r, unsigned depth, struct yaml **ret, struct err *e)
{
	struct yaml *y SCOPED(yaml_freep) = NULL;
	size_t cap = 0;

	if (check_plain(r, r->event.data.sequence_start.anchor, r->event.data.sequence_start.tag,
			e) != 0)
		return -1;
	y = node_new(r, YAML_LIST);
	for (;;) {
		if (next(r, e) != 0)
			return -1;
		if (r->event.type == YAML_SEQUENCE_END_EVENT)
			break;
		if (y->n == cap) {
			cap = cap == 0 ? 8 : cap * 2;
			y->items = mem_resize(y->items, cap, sizeof(struct yaml *));
		}
		if (parse_node(r, depth, &y->items[y->n], e) != 0)
			return -1;
		y->n++;
	}
	*ret = STEAL(y);
	return 0;
}

/* Whether the key at hand was written as "? key": its line has a '?' before it. Keys come in the
 * order of the text, so the cursor only goes forward. */
static bool key_is_explicit(struct reader *r)
{
	const yaml_mark_t *at = &r->event.start_mark;
	const char *p;

	for (; r->line < at->line; r->line++, r->col = 0)
		r->cursor = strchr(r->cursor, '\n') + 1;
	for (; r->col < at->column; r->col++) {
		uint32_t c;

		r->cursor += utf8_decode(r->cursor, 4, &c);
	}
	for (p = r->cursor; p > r->text && p[-1] == ' ';)
		p--;
	return p < r->cursor && p > r->text && p[-1] == '?';
}

static bool is_word(struct reader *r)
{
	yaml_scalar_style_t style = r->event.data.scalar.style;

	if (r->event.data.scalar.value[0] == '\0')
		return false;
	if (r->json)
		return style == YAML_DOUBLE_QUOTED_SCALAR_STYLE;
	return style == YAML_PLAIN_SCALAR_STYLE && !key_is_explicit(r);
}

static int check_key(struct reader *r, const struct map *seen, const struct yaml *map,
		     struct err *e)
{
	const char *key = (const char *)r->event.data.scalar.value;
	uintptr_t at;

	if (r->event.type != YAML_SCALAR_EVENT) {
		refuse(r, e, "a key must be one plain word");
		return err_hint(e, "Write \"key: value\".");
	}
	if (check_plain(r, r->event.data.scalar.anchor, r->event.data.scalar.tag, e) != 0)
		return -1;
	if (!is_word(r)) {
		refuse(r, e, "a key must be one plain word");
		return err_hint(e, "Write \"key: value\", the key without quotes.");
	}
	if (strcmp(key, "<<") == 0) {
		refuse(r, e, "merge keys are not allowed");
		return err_hint(e, "Write the values out.");
	}
	at = (uintptr_t)map_get(seen, key);
	if (at != 0) {
		const struct yaml_pair *first = &map->pairs[at - 1];

		refuse(r, e, "duplicate key \"%.200s\", first at %u:%u", key, first->line,
		       first->col);
		return err_hint(e, "Keep one of the two.");
	}
	return 0;
}

static void map_freep(struct map *m)
{
	map_release(m, NULL);
}

static int parse_map(struct reader *r, unsigned depth, struct yaml **ret, struct err *e)
{
	struct yaml *y SCOPED(yaml_freep) = NULL;
	struct map seen SCOPED(map_freep) = {0};
	size_t cap = 0;

	if (check_plain(r, r->event.data.mapping_start.anchor, r->event.data.mapping_start.tag,
			e) != 0)
		return -1;
	y = node_new(r, YAML_MAP);
	for (;;) {
		struct yaml_pair *pair;

		if (next(r, e) != 0)
			return -1;
		if (r->event.type == YAML_MAPPING_END_EVENT)
			break;
		if (check_key(r, &seen, y, e) != 0)
			return -1;
		if (y->n == cap) {
			cap = cap == 0 ? 8 : cap * 2;
			y->pairs = mem_resize(y->pairs, cap, sizeof(struct yaml_pair));
		}
		pair = &y->pairs[y->n++];
		*pair = (struct yaml_pair){
		    .key = mem_strdup((const char *)r->event.data.scalar.value),
		    .line = (unsigned)r->event.start_mark.line + 1,
		    .col = (unsigned)r->event.start_mark.column + 1,
		};
		map_put(&seen, pair->key, (void *)y->n);
		if (next(r, e) != 0 || parse_node(r, depth, &pair->val, e) != 0)
			return -1;
	}
	*ret = STEAL(y);
	return 0;
}

/* Parses the node whose first event is at hand. */
static int parse_node(struct reader *r, unsigned depth, struct yaml **ret, struct err *e)
{
	if (++r->nodes > NODES_MAX) {
		refuse(r, e, "more than %d values", NODES_MAX);
		return err_hint(e, "Split the file.");
	}
	if (depth == DEPTH_MAX) {
		refuse(r, e, "nested deeper than %d", DEPTH_MAX);
		return err_hint(e, "Check the indentation and the brackets.");
	}
	switch (r->event.type) {
	case YAML_SCALAR_EVENT:
		return parse_scalar(r, ret, e);
	case YAML_SEQUENCE_START_EVENT:
		return parse_list(r, depth + 1, ret, e);
	case YAML_MAPPING_START_EVENT:
		return parse_map(r, depth + 1, ret, e);
	default:
		refuse(r, e, "aliases are not allowed");
		return err_hint(e, "Write the value out, or in quotes when the '*' is meant.");
	}
}

static int document_start(struct reader *r, struct err *e)
{
	if (next(r, e) != 0 || next(r, e) != 0)
		return -1;
	if (r->event.type != YAML_DOCUMENT_START_EVENT) {
		refuse(r, e, "the file is empty");
		return err_hint(e, "Write at least one \"key: value\" line.");
	}
	if (r->event.data.document_start.version_directive != NULL ||
	    r->event.data.document_start.tag_directives.start !=
		r->event.data.document_start.tag_directives.end) {
		refuse(r, e, "directives are not allowed");
		return err_hint(e, "Remove the line that begins with '%%'.");
	}
	return next(r, e);
}

static int parse_document(struct reader *r, struct yaml **ret, struct err *e)
{
	struct yaml *y SCOPED(yaml_freep) = NULL;

	if (document_start(r, e) != 0 || parse_node(r, 0, &y, e) != 0)
		return -1;
	if (next(r, e) != 0 || next(r, e) != 0)
		return -1;
	if (r->event.type != YAML_STREAM_END_EVENT) {
		refuse(r, e, "a second document");
		return err_hint(e, "Keep one document in a file.");
	}
	*ret = STEAL(y);
	return 0;
}

int yaml_parse(const char *p, size_t n, const char *file, struct yaml **ret, struct err *e)
{
	char *text SCOPED(mem_freep) = NULL;
	struct reader r = {.file = intern(file)};
	int rc;

	if (n > TEXT_MAX) {
		err_set(e, ERR_RECIPE, "%s:1:1: larger than %d bytes", file, TEXT_MAX);
		return err_hint(e, "Split the file.");
	}
	if (yaml_text_check(p, n, file, e) != 0)
		return -1;
	text = mem_strndup(p, n);
	r.text = r.cursor = text;
	r.json = n > 1 && text[0] == '{' && text[1] == '"';
	if (yaml_parser_initialize(&r.parser) != 1)
		return err_set(e, ERR_FAIL, "%s: the YAML parser cannot start", file);
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, n);
	rc = parse_document(&r, ret, e);
	if (r.has_event)
		yaml_event_delete(&r.event);
	yaml_parser_delete(&r.parser);
	return rc;
}

struct yaml *yaml_get(const struct yaml *map, const char *key)
{
	if (map == NULL || map->kind != YAML_MAP)
		return NULL;
	for (size_t i = 0; i < map->n; i++)
		if (strcmp(map->pairs[i].key, key) == 0)
			return map->pairs[i].val;
	return NULL;
}

int yaml_err(const struct yaml *at, struct err *e, const char *fmt, ...)
{
	yaml_mark_t mark = {.line = at->line - 1, .column = at->col - 1};
	va_list ap;

	va_start(ap, fmt);
	(void)refuse_at(at->file, &mark, e, fmt, ap);
	va_end(ap);
	return -1;
}

struct yaml *yaml_copy(const struct yaml *y)
{
	struct yaml *c = mem_zalloc(sizeof(*c));

	*c = *y;
	c->items = NULL;
	c->pairs = NULL;
	if (y->text != NULL)
		c->text = mem_strdup(y->text);
	if (y->kind == YAML_LIST && y->n > 0)
		c->items = mem_zalloc(y->n * sizeof(struct yaml *));
	if (y->kind == YAML_MAP && y->n > 0)
		c->pairs = mem_zalloc(y->n * sizeof(struct yaml_pair));
	for (size_t i = 0; i < y->n && c->items != NULL; i++)
		c->items[i] = yaml_copy(y->items[i]);
	for (size_t i = 0; i < y->n && c->pairs != NULL; i++) {
		c->pairs[i] = y->pairs[i];
		c->pairs[i].key = mem_strdup(y->pairs[i].key);
		c->pairs[i].val = yaml_copy(y->pairs[i].val);
	}
	return c;
}

void yaml_node_free(struct yaml *y)
{
	if (y == NULL)
		return;
	for (size_t i = 0; i < y->n && y->items != NULL; i++)
		yaml_node_free(y->items[i]);
	for (size_t i = 0; i < y->n && y->pairs != NULL; i++) {
		free(y->pairs[i].key);
		yaml_node_free(y->pairs[i].val);
	}
	free(y->items);
	free(y->pairs);
	free(y->text);
	free(y);
}

void yaml_freep(struct yaml **y)
{
	yaml_node_free(*y);
	*y = NULL;
}
