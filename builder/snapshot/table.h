/* table.h - where the blocks of a repository are, by their ids. For the files of snapshot/ only. */
#ifndef SNAPSHOT_TABLE_H
#define SNAPSHOT_TABLE_H

#include "snapshot/pack.h"

/* A block: which segment of all, and where in it. */
struct block_at {
	uint32_t segment;
	uint32_t from, size;
};

struct table {
	struct table_slot *v;
	size_t n, cap; /* cap is a power of two, or 0 */
};
void table_release(struct table *t);

/* Makes room for n blocks in all. */
void table_reserve(struct table *t, size_t n);

/* Adds a block; one that is there stays where it is. Whether it was absent. */
bool table_add(struct table *t, const struct block_id *id, const struct block_at *at);

/* Whether it is there; ret may be NULL. */
bool table_get(const struct table *t, const struct block_id *id, struct block_at *ret);

#endif
