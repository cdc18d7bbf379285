/* ids.h - of which blocks something is, in little room: a row of ids where they are few, else the
 * ids of blocks that are rows of ids, and so on. For the files of snapshot/ only.
 *
 * A record: 1 byte, the depth: 0 = the ids are of the blocks themselves; 2 bytes, how many ids;
 * the ids. A row in a block has 64, but for the last: the fewer, the fewer change with one block.
 */
#ifndef SNAPSHOT_IDS_H
#define SNAPSHOT_IDS_H

#include "snapshot/writer.h"

enum {
	IDS_INLINE = 64,
	IDS_ROW = 64,
	IDS_DEPTH_MAX = 6,
	IDS_HEAD = 3,
	IDS_RECORD_MAX = IDS_HEAD + IDS_INLINE * PACK_ID,
};

/* Rows that are being made; zeroed is empty. */
struct ids {
	struct {
		struct block_id v[IDS_ROW];
		unsigned n;
	} level[IDS_DEPTH_MAX + 1];
};

/* Appends an id. Rows that are full become blocks. */
int ids_add(struct ids *s, struct filler *f, const struct block_id *id, struct err *e) MUST_CHECK;

/* Appends the record to *ret, and empties the rows. */
int ids_end(struct ids *s, struct filler *f, struct buf *ret, struct err *e) MUST_CHECK;

/* A record that was read; `ids` is borrowed. */
struct ids_record {
	unsigned depth;
	unsigned n;
	const uint8_t *ids;
};

/* Takes a record off the front of n bytes; returns its length, or 0 for what is none. */
size_t ids_take(const uint8_t *p, size_t n, struct ids_record *ret) MUST_CHECK;

/* Blocks of a record by their numbers; rows that were read last are kept. By one thread. */
struct ids_reader;
struct ids_reader *ids_open(struct snapshot_repo *r, const struct ids_record *rec) MUST_CHECK;
void ids_close(struct ids_reader *r);
void ids_closep(struct ids_reader **r);

/* The id of the i-th block. ERR_VERIFY when there is none, or a row is damaged. */
int ids_get(struct ids_reader *r, uint64_t i, struct block_id *ret, struct err *e) MUST_CHECK;

/* Calls fn for each id of the record, of rows (leaf false) before those of what is in them. fn
 * returns -1 to stop; a row that cannot be read is ERR_VERIFY. */
struct ids_visit {
	int (*fn)(void *ctx, const struct block_id *id, bool leaf, struct err *e);
	void *ctx;
};
int ids_each(struct snapshot_repo *r, const struct ids_record *rec, const struct ids_visit *v,
	     struct err *e) MUST_CHECK;

#endif
