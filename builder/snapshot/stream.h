/* stream.h - text that is kept as blocks: cut where its maker says, so that what changes in one
 * place changes few blocks. For the files of snapshot/ only. */
#ifndef SNAPSHOT_STREAM_H
#define SNAPSHOT_STREAM_H

#include "snapshot/ids.h"

struct stream {
	struct filler *f; /* borrowed */
	struct ids *ids;
	size_t n;
	uint8_t block[SNAPSHOT_GRID];
};
/* Empty; it is filled by who has that filler. */
void stream_init(struct stream *s, struct filler *f);
void stream_release(struct stream *s);

/* Appends bytes; a block that is full is cut. */
int stream_add(struct stream *s, const void *p, size_t n, struct err *e) MUST_CHECK;

/* Cuts here, when what is called `name` is one of the 1 in 8 that it is done after. */
int stream_may_cut(struct stream *s, uint64_t name, struct err *e) MUST_CHECK;

/* Ends it; appends the record of its blocks. */
int stream_end(struct stream *s, struct buf *ret, struct err *e) MUST_CHECK;

/* The number of a name, byte by byte (FNV-1a); begin with STREAM_NAME. */
#define STREAM_NAME 0xcbf29ce484222325ULL
/* One byte more of it. */
static inline uint64_t stream_name(uint64_t h, uint8_t c)
{
	return (h ^ c) * 0x100000001b3ULL;
}

#endif
