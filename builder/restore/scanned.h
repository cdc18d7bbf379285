/* scanned.h - what no test environment may have, found by looking into every file. */
#ifndef RESTORE_SCANNED_H
#define RESTORE_SCANNED_H

#include "restore/parts.h"

/* What all that is told calls a path: card numbers masked, and text that JSON can have. The caller
 * owns it. */
char *restore_told(const char *path) MUST_CHECK;

/* Looks into every file of a directory whose manifest is m, and adds to *ret the paths of those
 * that hold card data, keys, credentials or password hashes, or could not be looked at whole; each
 * is noted in the filter. ERR_VERIFY when a file that was found cannot be told by the name that the
 * report has for it. */
int restore_scanned(const char *dir, const struct manifest *m, struct restore_filter *f,
		    struct map *ret, struct err *e) MUST_CHECK;

#endif
