/* deb.h - the outer archive of a Debian package: deb(5), ar(5). */
#ifndef ARCHIVE_DEB_H
#define ARCHIVE_DEB_H

#include "base/err.h"
#include <stdint.h>

/* Moves fd, which is at the start of a package, to the member whose name begins with `prefix`
 * ("data.tar" or "control.tar"); its size comes back. Not a package, or no such member:
 * ERR_RECIPE. */
int deb_find(int fd, const char *prefix, uint64_t *ret_size, struct err *e) MUST_CHECK;

#endif
