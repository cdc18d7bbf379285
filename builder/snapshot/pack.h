/* pack.h - many blocks in one object: segments of blocks that were met one after the other, each
 * compressed and sealed, and a directory of them. For the files of snapshot/ only.
 *
 *   head       16 bytes of magic, 32 of salt
 *   segments   each zstd, sealed; the i-th has the nonce i
 *   directory  sealed, with the nonce 2^32 - 1
 *   tail       4 bytes: how long the sealed directory is; little-endian as all numbers here
 *
 * A directory: 4 bytes, the number of segments; for each 4 bytes, sealed bytes, and 4 bytes, the
 * number of blocks, and for each of these 16 bytes of id and 2 of length less 1. */
#ifndef SNAPSHOT_PACK_H
#define SNAPSHOT_PACK_H

#include "snapshot/seal.h"

enum {
	PACK_ID = 16,
	PACK_BLOCK_MAX = 8192,
	PACK_SEGMENT_MAX = 512 << 10, /* bytes of its blocks */
	PACK_SEALED_MAX = (512 << 10) + (4 << 10) + AEAD_TAG,
	PACK_BLOCKS_MAX = 8192, /* of a segment */
	PACK_SEGMENTS_MAX = 4096,
	PACK_FULL = 16 << 20,     /* a pack of that size is ended */
	PACK_SIZE_MAX = 64 << 20, /* larger is none of ours */
	PACK_DIRECTORY_MAX = 8 << 20,
	PACK_TAIL = 4,
};

struct block_id {
	uint8_t b[PACK_ID];
};

/* What a directory says of a segment. ids and lengths are of its blocks, in order. */
struct pack_segment {
	uint64_t offset; /* in the pack */
	uint32_t number, sealed, plain, blocks;
	const uint8_t *rows; /* borrowed: 18 bytes a block */
};
struct block_id pack_row_id(const struct pack_segment *s, uint32_t i);
uint32_t pack_row_size(const struct pack_segment *s, uint32_t i);

/* Calls fn for each segment of a directory. ERR_VERIFY for what is none, and at once when it does
 * not fit a pack of that size (without head and tail). */
int pack_directory_each(const void *p, size_t n, uint64_t pack_size,
			int (*fn)(void *ctx, const struct pack_segment *s, struct err *e),
			void *ctx, struct err *e) MUST_CHECK;

/* A pack that is being made, in a file without a name. */
struct pack {
	int fd;
	uint64_t size;
	struct hash *hash; /* of the file so far */
	struct aead *aead;
	uint8_t head[SEAL_HEAD];
	uint32_t segments; /* also those whose writing failed: a nonce is used once */
	bool broken;       /* a write failed: nothing may be added any more */
	struct buf rows;   /* the directory, but for the number of segments */
};
int pack_begin(struct objects *o, const struct seal_key *k, struct pack **ret,
	       struct err *e) MUST_CHECK;
void pack_free(struct pack *p);

/* Seals and appends a segment: n bytes compressed, of which the rows of `blocks` blocks tell. After
 * an error the pack can only be freed. */
struct pack_add {
	uint8_t *bytes; /* room for AEAD_TAG more; used up */
	size_t n;
	const uint8_t *rows;
	uint32_t blocks;
};
int pack_append(struct pack *p, const struct pack_add *a, struct err *e) MUST_CHECK;

/* Whether it is to be ended: it is large enough, or its directory has no room for one segment more.
 */
bool pack_full(const struct pack *p);

/* Ends the pack and puts it. Appends to *ret_entry what an index says of it. */
int pack_end(struct pack *p, struct objects *o, struct buf *ret_entry, struct err *e) MUST_CHECK;

/* What an index says of a pack: 32 bytes of name, 32 of salt, 8 of size, 4 of length of its
 * directory, and the directory. */
struct pack_entry {
	struct digest name;
	uint8_t salt[SEAL_SALT];
	uint64_t size;
	const void *directory; /* borrowed */
	size_t directory_n;
};
int pack_entries_each(const void *p, size_t n,
		      int (*fn)(void *ctx, const struct pack_entry *en, struct err *e), void *ctx,
		      struct err *e) MUST_CHECK;
void pack_entry_add(const struct pack_entry *en, struct buf *ret);

/* "packs/HEX"; the caller owns it. */
char *pack_object(const struct digest *name) MUST_CHECK;

/* Reads head and directory of a pack that no index has, and appends what an index says of it. */
int pack_look(struct objects *o, const struct seal_key *k, const struct object *at,
	      struct buf *ret_entry, struct err *e) MUST_CHECK;

#endif
