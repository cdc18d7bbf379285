/* inventory_line.h - one line of a package list, as its fields and as a package. */
#ifndef FORM_INVENTORY_LINE_H
#define FORM_INVENTORY_LINE_H

#include "form/inventory.h"

enum { LINE_FIELDS = 16 };

/* A field, not terminated. */
struct field {
	const char *p;
	size_t n;
};

struct line {
	const char *file;
	unsigned number;
	const char *p; /* the whole of it, without its end */
	size_t n;
	struct field f[LINE_FIELDS];
	size_t fields;
	char separator; /* ' ' stands for any blanks */
	bool removed;   /* dpkg says that it is not installed */
};

/* Splits at a tab, '|', ';', ',', else at blanks, else at '='. dpkg's state of the package is
 * taken out of the fields, and so is what dpkg -l and rpm -qa --last say after the package. */
void line_split(struct line *l);

/* Whether the line can only be of this kind. */
bool line_is(const struct line *l, enum inventory_kind k) MUST_CHECK;

/* Reads a package; `epoch` is set when the line gives one, be it 0. A package without a version
 * comes back with `version` NULL. ERR_RECIPE with the place. The caller frees the texts. */
int line_package(const struct line *l, enum inventory_kind k, struct inventory_package *ret,
		 bool *epoch, struct err *e) MUST_CHECK;

#endif
