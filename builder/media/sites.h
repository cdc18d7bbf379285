/* sites.h - the second medium of an installation: a small file system with one file on it, which
 * says what is installed where. */
#ifndef MEDIA_SITES_H
#define MEDIA_SITES_H

#include "installer/sheet.h"
#include "store/store.h"

#define SITES_FORMAT "site" /* what its manifest says of what it is */

/* Writes a medium with the sheet, as a person would bring it, to a file, which is there whole or
 * not at all: the same bytes for the same sheet. Beside it comes its manifest (media/medium.h),
 * which has the digest of install.txt in place of an image's. sandbox_enter was called. */
int sites_make(struct store *store, const struct sheet *s, const char *out,
	       struct err *e) MUST_CHECK;

#endif
