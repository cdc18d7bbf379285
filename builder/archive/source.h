/* source.h - the bytes of an archive: a stretch of a file, decompressed when it is gzip, zstd, xz
 * or bzip2. The first two by ourselves: libarchive does not check the CRC of gzip. */
#ifndef ARCHIVE_SOURCE_H
#define ARCHIVE_SOURCE_H

#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>

struct source;

#define SOURCE_TO_THE_END UINT64_MAX

/* Reads at most len bytes from fd's position on; fd is borrowed. The caller frees it. */
int source_open(int fd, uint64_t len, struct source **ret, struct err *e) MUST_CHECK;

/* The same from bytes that somebody gives: reads up to `room` into p; *ret_n is 0 at the end. */
typedef int source_input(void *ctx, void *p, size_t room, size_t *ret_n, struct err *e);
int source_open_input(source_input *input, void *ctx, struct source **ret,
		      struct err *e) MUST_CHECK;
void source_free(struct source *s);
void source_freep(struct source **s);

/* The next bytes, borrowed until the next call; *ret_n is 0 at the end. Damaged or truncated
 * compressed data: ERR_RECIPE. */
int source_read(struct source *s, const void **ret_p, size_t *ret_n, struct err *e) MUST_CHECK;

/* Whether the bytes are those of a file that can be read in any order. */
bool source_can_seek(const struct source *s);

/* lseek(2) on such a source, with its first byte as 0. Returns the new position, or -1. */
int64_t source_seek(struct source *s, int64_t offset, int whence) MUST_CHECK;

/* The position after the bytes handed out last. */
uint64_t source_given(const struct source *s);

/* How many zero bytes there are just before that position. */
uint64_t source_zeros(const struct source *s);

#endif
