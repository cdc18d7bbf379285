/* gather.h - the content of a tree's files, read into blocks. For the files of snapshot/ only. */
#ifndef SNAPSHOT_GATHER_H
#define SNAPSHOT_GATHER_H

#include "snapshot/items.h"

struct gather {
	struct writer *w;
	int dirfd;
	const struct snapshot_opts *o;
	const struct items *known; /* sorted: of the snapshot before */
	struct items mine;         /* sorted: items that were made here */
	uint64_t read, changed;    /* bytes; files that were not what the manifest says */
};
void gather_release(struct gather *g);

/* Makes an item for each content of the manifest that has none, by several threads. A file that is
 * not any more what the manifest says only counts as changed. */
int gather_files(struct gather *g, const struct manifest *m, struct err *e) MUST_CHECK;

/* The item of a content, or NULL. */
const uint8_t *gather_item(const struct gather *g, const struct digest *d);

#endif
