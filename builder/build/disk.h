/* disk.h - how much a running step may write: looked at while it runs, since no quota of the
 * kernel's holds for one directory everywhere. */
#ifndef BUILD_DISK_H
#define BUILD_DISK_H

#include "base/err.h"
#include <stdint.h>

struct disk {
	const char *upper;   /* the directory that takes what it changes */
	const char *also[2]; /* others that it fills, such as by what it asks for, or NULL */
	uint64_t max;        /* bytes */
	uint64_t used;       /* when it was counted last */
	uint64_t free;       /* on the file system, then */
	uint64_t counted_ms; /* when that was, and how long it took */
	uint64_t took_ms;
};

/* The path is borrowed. */
void disk_init(struct disk *d, const char *upper, uint64_t max);

/* ERR_STEP when there is more than the limit, or next to nothing left on the disk. Cheap: the tree
 * is walked when the free space has shrunk by what may be left, else every two seconds. */
int disk_look(struct disk *d, struct err *e) MUST_CHECK;

/* The same, counted now. */
int disk_count(struct disk *d, struct err *e) MUST_CHECK;

/* Counts, and says how many bytes more there may be, and how many entries when all are empty; never
 * 0. ERR_STEP as above. */
int disk_left(struct disk *d, uint64_t *ret_bytes, uint64_t *ret_entries, struct err *e) MUST_CHECK;

#endif
