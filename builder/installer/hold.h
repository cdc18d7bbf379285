/* hold.h - what the kernel has made of a disk already: an image whose initial file system has
 * mdadm(8) begins a pair by itself, when udev sees its disks. */
#ifndef INSTALLER_HOLD_H
#define INSTALLER_HOLD_H

#include "base/err.h"
#include <stdbool.h>

enum { HOLD_NAME = 32 };

enum hold {
	HOLD_NOT,
	HOLD_WAITS, /* a RAID has it, and waits for more, or does not run */
	HOLD_RUNS,
};

/* Whether a RAID holds the disk of that name, by the kernel's tree ("/sys/block"), and its name:
 * "md127". */
enum hold hold_find(const char *tree, const char *disk, char ret[HOLD_NAME]);

/* Stops a RAID, which loses nothing: ERR_BUSY when somebody uses it. */
int hold_end(const char *md, struct err *e) MUST_CHECK;

/* The same of one that holds the disk, or a partition of it. Returns false for none. */
bool hold_end_all(const char *tree, const char *disk);

#endif
