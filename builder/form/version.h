/* version.h - which of two package versions is the newer one, as the distribution's own tools say:
 * deb-version(7), rpm-version(7). Pure text: nothing is refused, so every pair has an order. */
#ifndef FORM_VERSION_H
#define FORM_VERSION_H

#include "base/mem.h"

/* Less than, equal to or greater than 0 when a is older than, as old as or newer than b. Both are
 * [EPOCH:]UPSTREAM[-REVISION]; an absent epoch is 0, an absent Debian revision is "0". */
int version_compare_deb(const char *a, const char *b);

/* The same for [EPOCH:]VERSION[-RELEASE]; one without a release is the older. */
int version_compare_rpm(const char *a, const char *b);

/* The part behind the epoch, borrowed from the version. */
const char *version_without_epoch(const char *version) MUST_CHECK;

#endif
