/* unfilter.h - xz and bzip2 by libarchive's filters, read to the very end: its format readers stop
 * at the end of an archive, before the checksum of the last compressed block. */
#ifndef ARCHIVE_UNFILTER_H
#define ARCHIVE_UNFILTER_H

#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>

struct unfilter;

/* Gives compressed bytes, borrowed until the next call; *ret_n is 0 at the end. */
typedef int unfilter_more(void *ctx, const void **ret_p, size_t *ret_n, struct err *e);

/* Whether bytes begin like something that this can decompress. */
bool unfilter_knows(const uint8_t *p, size_t n);

/* Decompresses what `more` gives. The caller frees it. */
int unfilter_open(unfilter_more *more, void *ctx, struct unfilter **ret, struct err *e) MUST_CHECK;
void unfilter_free(struct unfilter *u);

/* The next decompressed bytes, borrowed; *ret_n is 0 at the end. Damage: ERR_RECIPE. */
int unfilter_read(struct unfilter *u, const void **ret_p, size_t *ret_n, struct err *e) MUST_CHECK;

#endif
