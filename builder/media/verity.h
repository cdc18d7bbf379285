/* verity.h - the hashes of a root's blocks, as dm-verity wants them
 * (Documentation/admin-guide/device-mapper/verity.rst of Linux). */
#ifndef MEDIA_VERITY_H
#define MEDIA_VERITY_H

#include "media/medium.h"

enum { VERITY_HASHES_MAX = 256 << 20 }; /* bytes of them, of a root of some 32 GB */

/* The hash of each of n blocks that follow one another. */
void verity_hash(const struct digest *salt, const char *blocks, size_t n, struct digest *ret);

/* Checks the file of a root's hashes, n bytes, up to the root hash, and hands out the digests of
 * the root's own blocks, v->blocks of them, which lie in it. ERR_VERIFY when it is another's. */
int verity_leaves(const struct medium_verity *v, const char *hashes, size_t n,
		  const struct digest **ret, struct err *e) MUST_CHECK;

/* The digests of the blocks that are there, read by all processors from byte `at` on. A place that
 * cannot be read has a digest of zeros, and so no block's. The caller frees them. */
struct digest *verity_scan(int fd, uint64_t at, uint64_t blocks,
			   const struct digest *salt) MUST_CHECK;

#endif
