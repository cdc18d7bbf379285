/* loader.h - the boot loaders of a disk: the distribution's own, out of the image. */
#ifndef MEDIA_LOADER_H
#define MEDIA_LOADER_H

#include "media/boot.h"
#include "media/parts.h"

/* Writes m->to/esp, a FAT file system with the loaders for UEFI, the kernel, its initial file
 * systems (the image's, and `more`) and the entry that starts it with args. */
struct loader {
	const struct boot *b;
	const char *args;       /* of the kernel */
	const struct buf *more; /* an archive beside the image's initial file system */
};
int loader_esp(const struct making *m, const struct loader *l, struct err *e) MUST_CHECK;

/* Writes m->to/core, what the BIOS starts from a partition of its own, and goes on in the ESP. */
int loader_core(const struct making *m, struct err *e) MUST_CHECK;

/* Puts the boot sector and core, which begins at sector `at`, into a disk with a partition table.
 */
int loader_sector(const struct making *m, int disk, uint64_t at, struct err *e) MUST_CHECK;

#endif
