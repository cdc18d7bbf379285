/* table.h - where the blocks of a repository are, by their ids. For the files of snapshot/ only. */
#ifndef SNAPSHOT_TABLE_H
#define SNAPSHOT_TABLE_H

#include "snapshot/pack.h"

/* A block: which segment of all, and where in it. */
struct block_at {
	uint32_t segment;
	uint32_t from, size;
};

/* Rows are in parts, which never move: half of what a table holds is not copied when it grows. */
struct table {
	struct table_row **parts;
	uint32_t *slots; /* numbers of rows, from 1 */
	size_t n, cap;   /* cap is a power of two, or 0 */
};
void table_release(struct table *t);

/* Makes room for n blocks in all. */
void table_reserve(struct table *t, size_t n);

/* Adds a block, of less than 2^32; one that is there stays where it is. Whether it was absent. */
bool table_add(struct table *t, const struct block_id *id, const struct block_at *at);

/* Whether it is there; ret may be NULL. */
bool table_get(const struct table *t, const struct block_id *id, struct block_at *ret);

#endif
