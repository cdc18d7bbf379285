/* schema.h - from YAML nodes to typed members of a struct, by tables.
 *
 * A table row says which key fills which member and how; everything that a reader refuses has the
 * position of the value and a hint. Members are filled in place: what a failed read leaves behind
 * is always releasable. */
#ifndef RECIPE_SCHEMA_H
#define RECIPE_SCHEMA_H

#include "base/err.h"
#include "form/yaml.h"
#include "recipe/grammar.h"
#include "recipe/recipe.h"
#include <stddef.h>

struct field;

/* Fills the member of `to` that the row f names from y. root: the project root. */
#define FIELD_READER(name)                                                                         \
	int name(const char *root, const struct yaml *y, const struct field *f, void *to,          \
		 struct err *e) MUST_CHECK

struct field {
	const char *key;
	FIELD_READER((*read));
	size_t at;       /* offset of the member */
	const void *how; /* what the reader wants to know: a grammar, a list of words, an array */
	bool required;
};

/* A list of maps that becomes an array. */
struct array {
	const struct field *fields;
	const char *const *unique;    /* keys whose values may not repeat, NULL-terminated */
	size_t size;                  /* of an item */
	size_t count_at;              /* offset of the number of items beside the array */
	size_t pos_at;                /* offset of an item's struct recipe_pos, or NO_POS */
	void (*defaults)(void *item); /* fills what the file left out, or NULL */
};

#define NO_POS ((size_t)-1)

/* Refuses the value at y, with a hint. Returns -1. */
int schema_refuse(const struct yaml *at, struct err *e, const char *hint, const char *fmt, ...)
    PRINTF(4, 5);

/* Refuses what the schema knows and this version cannot do. Returns -1. */
int schema_unsupported(const struct yaml *at, const char *what, struct err *e);

/* The value as it may stand in a message: one line, at most 80 bytes. */
struct schema_shown {
	char s[84];
};
struct schema_shown schema_show(const char *text);

/* y must be a map, a list, or text that is not empty; what: the key, for messages. */
int schema_want_map(const struct yaml *y, const char *what, struct err *e) MUST_CHECK;
int schema_want_list(const struct yaml *y, const char *what, struct err *e) MUST_CHECK;
int schema_want_text(const struct yaml *y, const char *what, struct err *e) MUST_CHECK;

/* y must be a word of the grammar. */
int schema_word(const struct yaml *y, const char *what, const struct grammar *g,
		struct err *e) MUST_CHECK;

/* Fills `to` from the map y by the rows of `fields` (ended by a row without key): unknown and
 * missing keys are refused. The row that ends them may name (how) the manual that lists the keys;
 * else it is posmedia-recipe(5). */
int schema_map(const char *root, const struct yaml *y, const struct field *fields, void *to,
	       struct err *e) MUST_CHECK;

/* Items of the list of maps y whose value of `key` is the same are refused. what: the list. */
int schema_unique(const struct yaml *y, const char *what, const char *key,
		  struct err *e) MUST_CHECK;

/* The key of a pair as a text of its own, for readers of names; it borrows the pair's text. */
struct yaml schema_key(const struct yaml_pair *pair);

/* Where y stands. */
struct recipe_pos schema_pos(const struct yaml *y);

/* A nested map whose rows (how) fill the same struct. */
FIELD_READER(read_map);
/* A list of maps (how: struct array) into a pointer and its count. */
FIELD_READER(read_array);
/* A key that is known and cannot be used yet. */
FIELD_READER(read_unsupported);
/* Checked already, nothing to keep. */
FIELD_READER(read_nothing);

/* how: struct grammar. Text into char *; lists into struct strv, read_set without repeats and
 * read_words with. */
FIELD_READER(read_word);
FIELD_READER(read_set);
FIELD_READER(read_words);
/* A list of any texts, the first not empty: an argument vector. */
FIELD_READER(read_argv);
/* how: NULL-terminated list of words; into char *. */
FIELD_READER(read_choice);
/* true or false into bool. */
FIELD_READER(read_bool);
/* A user or group id into uint32_t. */
FIELD_READER(read_id);
/* Bytes from 1 to 16 GiB into uint64_t. */
FIELD_READER(read_size);
/* A duration from 1 ms to 24 hours into uint64_t milliseconds. */
FIELD_READER(read_duration);
/* 64 hex digits, "sha256:" in front or not, into struct digest. */
FIELD_READER(read_digest);
/* A project path into an absolute char *; the file or directory must be there. */
FIELD_READER(read_file);
FIELD_READER(read_dir);

#endif
