/* plain.h - Debian packages whose members are decompressed: dpkg installs them as they are, and in
 * half the time. deb(5), ar(5). */
#ifndef ARCHIVE_PLAIN_H
#define ARCHIVE_PLAIN_H

#include "base/err.h"
#include "form/digest.h"
#include <stdbool.h>
#include <stddef.h>

struct plain_deb {
	int in;               /* a package, open for reading, at its start */
	int out;              /* an empty file, open for reading and writing */
	struct digest digest; /* of what was written, when done */
	bool done;            /* false: not a whole package, or no room; `out` is of no use */
};

/* Writes each package with control.tar and data.tar in place of their compressed forms; members
 * that dpkg does not read are left out, and every time is 0: same package, same bytes. The work is
 * done in a sandbox_worker by that many threads, 0 = one a processor. Returns -1 only when the
 * worker failed. */
int plain_debs(struct plain_deb *v, size_t n, unsigned threads, struct err *e) MUST_CHECK;

#endif
