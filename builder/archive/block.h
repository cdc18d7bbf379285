/* block.h - one buffer as one zstd frame (RFC 8878) that says its size, and back. */
#ifndef ARCHIVE_BLOCK_H
#define ARCHIVE_BLOCK_H

#include "base/err.h"
#include <stdint.h>

/* A compressor and decompressor, for one thread at a time. */
struct block;
struct block *block_new(int level) MUST_CHECK;
void block_free(struct block *b);
void block_freep(struct block **b);

/* Room that block_pack needs for n bytes. */
size_t block_room(size_t n);

/* Compresses n bytes to out, which has block_room(n) bytes; returns how many it took. */
size_t block_pack(struct block *b, const void *in, size_t n, void *out);

/* Decompresses a frame that has exactly want bytes in it to out. ERR_VERIFY for anything else. */
int block_unpack(struct block *b, const void *in, size_t n, void *out, size_t want,
		 struct err *e) MUST_CHECK;

#endif
