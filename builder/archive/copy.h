/* copy.h - a copy of a tree that a stranger made, without an archive in between. */
#ifndef ARCHIVE_COPY_H
#define ARCHIVE_COPY_H

#include "base/err.h"
#include <stdint.h>

struct copy_limits {
	uint64_t bytes_max;   /* of all files together, holes too; 0 = 64 GiB */
	uint64_t entries_max; /* 0 = 4 million */
};

/* Copies the open directory `from`, itself and all below it, into the open directory `to`, which is
 * empty and where nobody else writes: owners, modes with set-id and sticky bits, times, hard links,
 * and the attributes that tree_keeps_xattr names. Symlinks are copied and never followed. Devices,
 * FIFOs and sockets are left out. What lies on another file system, more than the limits allow, or
 * a file that changes meanwhile: ERR_RECIPE. Nothing is synced. */
int copy_tree(int from, int to, const struct copy_limits *l, struct err *e) MUST_CHECK;

#endif
