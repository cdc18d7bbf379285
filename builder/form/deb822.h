/* deb822.h - stanzas of "Field: value" lines with continuations (deb822(5)). */
#ifndef FORM_DEB822_H
#define FORM_DEB822_H

#include "base/mem.h"
#include <stddef.h>

/* A stanza inside a text that the caller keeps: offsets only, nothing is copied. */
struct deb822 {
	const char *p;
	size_t n;
};

/* Takes the next stanza off the front of *text (a pointer and a length). Returns 1, or 0 at the
 * end. Blank lines and comment lines between stanzas are skipped. */
int deb822_next(struct deb822 *text, struct deb822 *ret);

/* Returns a copy of the field's value without leading and trailing blanks, continuation lines
 * joined by '\n' with their indentation removed; NULL when absent. Field names do not depend on
 * case. The caller owns it. */
char *deb822_field(const struct deb822 *stanza, const char *name) MUST_CHECK;

#endif
