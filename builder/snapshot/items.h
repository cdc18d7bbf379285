/* items.h - what the contents of files are made of: items of 32 bytes of digest and a record of
 * ids, found by digest. For the files of snapshot/ only. */
#ifndef SNAPSHOT_ITEMS_H
#define SNAPSHOT_ITEMS_H

#include "snapshot/body.h"

enum {
	ITEM_MAX = DIGEST_BYTES + IDS_RECORD_MAX,
	ITEMS_MAX = 1 << 30, /* bytes of all items of a snapshot */
};

/* The items of a snapshot that is there. */
struct items {
	struct buf bytes;
	const uint8_t **v; /* borrowed from the bytes, in their order */
	size_t n, cap;
};
/* None. */
void items_init(struct items *c);
void items_release(struct items *c);

/* Reads them. ERR_VERIFY. */
int items_read(struct snapshot_repo *r, const struct body *b, struct items *ret,
	       struct err *e) MUST_CHECK;

/* Takes the bytes apart. ERR_VERIFY. */
int items_parse(struct items *c, struct err *e) MUST_CHECK;

/* The length of an item that items_parse has taken, and its record. */
size_t item_size(const uint8_t *item);
struct ids_record item_record(const uint8_t *item);

/* Sorts by digest; items_find is for sorted ones. */
void items_sort(struct items *c);
const uint8_t *items_find(const struct items *c, const struct digest *d);

/* Adds an item, which stays the caller's. */
void items_add(struct items *c, const uint8_t *item);

/* Calls out with all that a record's blocks are, one after the other. */
int ids_copy(struct snapshot_repo *r, const struct buf *record, const struct sink *out,
	     struct err *e) MUST_CHECK;

#endif
