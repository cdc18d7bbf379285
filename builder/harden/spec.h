/* spec.h - maps of a profile into structs, by a table of fields. */
#ifndef HARDEN_SPEC_H
#define HARDEN_SPEC_H

#include "base/strv.h"
#include "form/yaml.h"
#include <stdint.h>

/* A number that may be missing. */
struct opt {
	bool set;
	int64_t v;
};

enum field_type {
	FIELD_TEXT,  /* char *: not empty; NULL when missing */
	FIELD_LIST,  /* struct strv: a list of texts, or one text */
	FIELD_PATH,  /* char *: absolute in the file, kept without the leading slash */
	FIELD_PATHS, /* struct strv of such; patterns too */
	FIELD_INT,   /* struct opt: a decimal number, a minus sign allowed */
	FIELD_MODE,  /* struct opt: an octal file mode */
	FIELD_BOOL,  /* bool: true or false */
	FIELD_NODE,  /* struct yaml *: a copy, for a parser of its own */
};

struct field {
	const char *key; /* NULL ends the table */
	enum field_type type;
	size_t offset;
	bool required;
};

/* Reads a map into the zeroed struct at base; unknown keys and wrong types are errors with their
 * position. spec_free releases what was read, also after an error. */
int spec_read(const struct yaml *map, const struct field *fields, void *base,
	      struct err *e) MUST_CHECK;
void spec_free(const struct field *fields, void *base);

/* Appends the texts of a list (or one text) to *ret. */
int spec_texts(const struct yaml *y, struct strv *ret, struct err *e) MUST_CHECK;

/* A decimal number with an optional minus sign. Returns 0 or -1. */
int spec_int(const char *text, int64_t *ret) MUST_CHECK;

/* The index of text in a NULL-terminated list, or -1 with *e naming the nearest word. */
int spec_word(const struct yaml *y, const char *const *words, struct err *e) MUST_CHECK;

#endif
