/* slot_make.h - what a disk with two slots has in place of one root. */
#ifndef MEDIA_SLOT_MAKE_H
#define MEDIA_SLOT_MAKE_H

#include "media/boot.h"
#include "media/parts.h"

/* How much room a slot has, bytes, whole MiB: the image has it once, and may grow. */
struct slot_room {
	uint64_t boot, root, hash;
};

/* Of the root, which was written: writes m->to/boot, a file system with the kernel and the entry
 * that starts it, m->to/esp with the loaders for UEFI and what chooses the slot, m->to/state with
 * slot A as the good one, and m->to/core when the BIOS is started. */
int slot_make(const struct making *m, const struct boot *b, struct slot_room *ret,
	      struct err *e) MUST_CHECK;

/* For the kernel's initial file system, behind initramfs_script: the partitions that a machine
 * writes to are those on the disk of its root. */
extern const char slot_script[];

#endif
