/* yaml.h - strict YAML: the door to libyaml's events.
 *
 * UTF-8 with LF line ends and no control characters; one document; no directives, anchors, aliases,
 * tags, tabs in indentation, merge keys or duplicate keys; keys are plain scalars, but in a text
 * that begins with {" as compact JSON does, where all of them stand in double quotes. Every scalar
 * stays text until a schema types it, so `no`, `0755` and `1e3` are what was written. Nesting at
 * most 32, at most 1 MiB of text and 100 000 nodes. */
#ifndef FORM_YAML_H
#define FORM_YAML_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>

enum yaml_kind {
	YAML_SCALAR,
	YAML_LIST,
	YAML_MAP,
};

struct yaml;

struct yaml_pair {
	char *key;
	unsigned line, col; /* of the key, from 1 */
	struct yaml *val;
};

struct yaml {
	enum yaml_kind kind;
	const char *file;        /* interned; lives as long as the process */
	unsigned line, col;      /* from 1 */
	char *text;              /* YAML_SCALAR: the value, "" when empty */
	bool quoted;             /* YAML_SCALAR: was written in quotes or as a block */
	size_t n;                /* YAML_LIST, YAML_MAP */
	struct yaml **items;     /* YAML_LIST */
	struct yaml_pair *pairs; /* YAML_MAP, in the order of the file */
};

/* Parses n bytes; `file` is copied and stands in every error ("FILE:LINE:COL: what", kind
 * ERR_RECIPE, with a hint). An empty document is refused. The caller owns *ret. */
int yaml_parse(const char *p, size_t n, const char *file, struct yaml **ret,
	       struct err *e) MUST_CHECK;

/* Returns the value of key in a map, borrowed, or NULL (also when map is NULL or no map). */
struct yaml *yaml_get(const struct yaml *map, const char *key);

/* Sets *e to "FILE:LINE:COL: <text>" for this node, kind ERR_RECIPE. Returns -1. */
int yaml_err(const struct yaml *at, struct err *e, const char *fmt, ...) PRINTF(3, 4);

/* Returns the entry of the NULL-terminated list nearest to word (edit distance at most 2, or 3 for
 * words longer than 8), or NULL: for "did you mean". */
const char *yaml_nearest(const char *word, const char *const *known);

/* A deep copy, owned by the caller. */
struct yaml *yaml_copy(const struct yaml *y) MUST_CHECK;

/* Release a tree; NULL is accepted. Not called yaml_free: libyaml exports that name, and a program
 * that defines it too takes over libyaml's own calls. */
void yaml_node_free(struct yaml *y);
void yaml_freep(struct yaml **y);

#endif
