/* inventory.h - the package list of a server, as rpm and dpkg print it: rpm -qa (also --last and
 * --qf), dpkg-query -W (also -f) and dpkg -l. Which one it is is seen from what it says. */
#ifndef FORM_INVENTORY_H
#define FORM_INVENTORY_H

#include "base/err.h"
#include <stdbool.h>

enum { INVENTORY_MAX = 16 << 20 }; /* bytes of a list */

enum inventory_kind {
	INVENTORY_DEB,
	INVENTORY_RPM,
};

struct inventory_package {
	char *name;
	char *version; /* [EPOCH:]VERSION[-RELEASE] */
	char *arch;    /* NULL = the list does not say */
	unsigned line;
};

struct inventory {
	enum inventory_kind kind;
	bool epochs; /* false: versions are without their epochs, as rpm -qa prints them */
	struct inventory_package *v; /* by name, then architecture; of a kernel only the newest */
	size_t n;
	size_t skipped; /* not installed, or keys of repositories */
};

/* Reads a list. `assume` is its kind where nothing in it says so (names and plain versions). What
 * is no package list, a package that is there twice, and a line that is not like the first are
 * ERR_RECIPE with FILE:LINE:COL. The caller releases *ret. */
int inventory_parse(const char *file, const char *p, size_t n, enum inventory_kind assume,
		    struct inventory *ret, struct err *e) MUST_CHECK;

/* "a list of dpkg" or "a list of rpm". */
const char *inventory_kind_name(enum inventory_kind k);

/* Accepts a zeroed struct. */
void inventory_release(struct inventory *i);

#endif
