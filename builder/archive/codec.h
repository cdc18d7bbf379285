/* codec.h - the compressors behind pack.h: bytes in, byte-stable compressed bytes out. */
#ifndef ARCHIVE_CODEC_H
#define ARCHIVE_CODEC_H

#include "base/sink.h"

struct codec {
	int (*write)(void *ctx, const void *p, size_t n, struct err *e);
	int (*finish)(void *ctx, struct err *e); /* writes what is left, once, after all writes */
	void (*free)(void *ctx);                 /* at any time */
	void *ctx;
};

/* gzip members (RFC 1952) of 1 MiB each, compressed by `threads` threads. The output is written by
 * the thread that calls write and finish. level 1 to 12. */
int codec_gzip(int level, unsigned threads, const struct sink *out, struct codec *ret,
	       struct err *e) MUST_CHECK;

/* One zstd frame (RFC 8878) with a checksum, by the library's own threads. level 1 to 19. */
int codec_zstd(int level, unsigned threads, const struct sink *out, struct codec *ret,
	       struct err *e) MUST_CHECK;

#endif
