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
	uint64_t read;             /* bytes */
	uint64_t changed;          /* files that were not what the manifest says, and are it now */
	uint64_t gone;             /* files that are not there any more, or are another thing */
};
void gather_release(struct gather *g);

/* Makes an item for each content of the manifest that has none, by several threads. A file that is
 * not any more what the manifest says gets the size, time, mode and digest of what was read, cut at
 * the size that it had when it was opened: one that only grows is then what it was at that instant.
 * The manifest's other names of it are not brought up to date: gather_settle does that. */
int gather_files(struct gather *g, struct manifest *m, struct err *e) MUST_CHECK;

/* After it, when something changed: other names say what their file says. `drop`: files that have
 * no content are taken out, with their other names. */
void gather_settle(const struct gather *g, struct manifest *m, bool drop);

/* The item of a content, or NULL. */
const uint8_t *gather_item(const struct gather *g, const struct digest *d);

#endif
