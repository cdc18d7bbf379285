/* writer.h - blocks on their way into packs. For the files of snapshot/ only. */
#ifndef SNAPSHOT_WRITER_H
#define SNAPSHOT_WRITER_H

#include "snapshot/repo.h"

/* What several threads fill; the repository is loaded, and nobody reads its blocks meanwhile. */
struct writer;
struct writer *writer_new(struct snapshot_repo *r, bool dry_run) MUST_CHECK;
void writer_free(struct writer *w);
void writer_freep(struct writer **w);

/* What one thread fills at a time: taken, and given back. A dry run only counts. */
struct filler;
struct filler *writer_take(struct writer *w);
void writer_give(struct writer *w, struct filler *f);

/* Adds a block of at most SNAPSHOT_GRID bytes, unless it is there; *ret is its id. */
int filler_block(struct filler *f, const void *p, size_t n, struct block_id *ret,
		 struct err *e) MUST_CHECK;

/* The same for the next block of a file, and what all of them were since the last digest. */
int filler_next(struct filler *f, const void *p, size_t n, struct block_id *ret,
		struct err *e) MUST_CHECK;
struct digest filler_digest(struct filler *f);

/* The same for a row of ids. Rows have segments of their own: who asks what a snapshot needs reads
 * them, all of them, and nothing else. */
int filler_row(struct filler *f, const void *p, size_t n, struct block_id *ret,
	       struct err *e) MUST_CHECK;

/* A buffer of FILLER_BUFFER bytes for who has the filler. */
enum { FILLER_BUFFER = 64 << 10 };
uint8_t *filler_buffer(struct filler *f);

/* Ends all segments, the pack and the index: all blocks are on disk. */
int writer_end(struct writer *w, struct err *e) MUST_CHECK;

/* How many bytes and blocks the repository has got so far. */
uint64_t writer_added(struct writer *w);
uint64_t writer_blocks(struct writer *w);

#endif
