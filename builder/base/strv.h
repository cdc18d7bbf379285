/* strv.h - a growing list of owned strings. Zero-initialised is empty and valid. */
#ifndef BASE_STRV_H
#define BASE_STRV_H

#include "base/mem.h"
#include <stdbool.h>

struct strv {
	char **v; /* n strings and a NULL, or NULL while empty: usable as argv */
	size_t n;
	size_t cap;
};

/* Appends a copy of s, or takes s over. */
void strv_add(struct strv *l, const char *s);
void strv_take(struct strv *l, char *s);
void strv_addf(struct strv *l, const char *fmt, ...) PRINTF(2, 3);

/* Appends copies of all of b. */
void strv_extend(struct strv *l, const struct strv *b);

/* Byte order (strcmp); uniq drops repeats of a sorted list. */
void strv_sort(struct strv *l);
void strv_uniq(struct strv *l);

/* Whether s is in the list (linear). */
bool strv_has(const struct strv *l, const char *s);

void strv_release(struct strv *l);

#endif
