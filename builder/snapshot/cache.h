/* cache.h - the segments that were read last: blocks that lie together are wanted together. For the
 * files of snapshot/ only. */
#ifndef SNAPSHOT_CACHE_H
#define SNAPSHOT_CACHE_H

#include "snapshot/repo.h"

struct cache;
/* Empty, for so many segments of half a megabyte, 8 at most. */
struct cache *cache_new(unsigned places) MUST_CHECK;
void cache_free(struct cache *c);

/* Copies size bytes of a segment; it is read when it is not there. For several threads. */
int cache_copy(struct cache *c, struct snapshot_repo *r, const struct block_at *at, void *p,
	       struct err *e) MUST_CHECK;

#endif
