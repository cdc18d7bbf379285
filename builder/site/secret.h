/* secret.h - a secret where the site says that it is. */
#ifndef SITE_SECRET_H
#define SITE_SECRET_H

#include "site/site.h"

enum { SITE_SECRET_MAX = 64 << 10 };

/* Reads it into *ret, an empty buffer of at least SITE_SECRET_MAX whose memory holds no copy
 * elsewhere; release it with site_secret_release. A file or credential must be a regular one, of
 * root or of us, that nobody else may read (ERR_VERIFY); a command ends with 0 within 30 s, and
 * what it says on standard error is dropped. An empty secret is an error. No message holds any of
 * it. */
int site_secret_read(const struct site_source *from, struct buf *ret, struct err *e) MUST_CHECK;

/* How many bytes of it are the secret of an archive or a repository: a line's end behind it is the
 * editor's. */
size_t site_secret_length(const struct buf *b);

/* Overwrites and frees it; an empty buffer is accepted. */
void site_secret_release(struct buf *b);

#endif
