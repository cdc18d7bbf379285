/* memory.h - what apply_memory holds, for this directory's own use. */
#ifndef APPLY_MEMORY_H
#define APPLY_MEMORY_H

#include "apply/apply.h"
#include <sys/stat.h>

/* The hash of a block or of attributes. */
struct apply_hash {
	uint64_t w[2];
};

enum { MEMORY_SMALL = 4 * APPLY_BLOCK }; /* files up to this are written whole */
#define MEMORY_NONE UINT64_MAX           /* no hashes of blocks */

/* An inode as this program left it. Its bytes are written to the file: no padding. */
struct apply_record {
	uint64_t dev, ino, size;
	int64_t mtime, ctime; /* seconds */
	uint32_t mtime_ns, ctime_ns;
	uint64_t hashes; /* where the hashes of its blocks are; MEMORY_NONE */
	struct digest digest;
	struct apply_hash attrs;
};

/* How many blocks a file of so many bytes has. */
uint64_t memory_blocks(uint64_t size);

/* One that begins empty and is saved nowhere: apply_memory_save is not for it. */
struct apply_memory *memory_new(void) MUST_CHECK;

/* What is known of the inode, or NULL. Borrowed until memory_take. */
const struct apply_record *memory_find(const struct apply_memory *m, const struct stat *st);
/* Fills in all but hashes, digest and attrs. */
void memory_stat(struct apply_record *r, const struct stat *st);

/* Before the calls below: where new hashes go until they are saved is a file without a name, beside
 * the memory's or else in the directory `near`. */
int memory_begin(struct apply_memory *m, int near, struct err *e) MUST_CHECK;
/* Room for the hashes of the blocks of a file of `size` bytes; from any thread. MEMORY_NONE when
 * the file is small. */
uint64_t memory_room(struct apply_memory *m, uint64_t size);
/* Writes and reads n hashes, from block `at` of what begins at `hashes`. */
int memory_put(struct apply_memory *m, uint64_t hashes, uint64_t at, const struct apply_hash *v,
	       size_t n, struct err *e) MUST_CHECK;
int memory_get(const struct apply_memory *m, uint64_t hashes, uint64_t at, struct apply_hash *v,
	       size_t n, struct err *e) MUST_CHECK;

/* Says durably which inodes are about to be written in place: after a power cut their times may be
 * older than their content, and are not believed. */
struct apply_inode {
	uint64_t dev, ino;
};
int memory_intend(struct apply_memory *m, const struct apply_inode *v, size_t n,
		  struct err *e) MUST_CHECK;

/* Takes n records over (of ino 0 = none), instead of those that there were (whole) or besides. */
void memory_take(struct apply_memory *m, const struct apply_record *v, size_t n, bool whole);

/* Hashes a block of n bytes (at most APPLY_BLOCK; what is missing counts as zeroes). */
struct apply_hash memory_hash(const struct apply_memory *m, const void *p, size_t n);

#endif
