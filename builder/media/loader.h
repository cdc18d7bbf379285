/* loader.h - the boot loaders of a disk: the distribution's own, out of the image. */
#ifndef MEDIA_LOADER_H
#define MEDIA_LOADER_H

#include "media/boot.h"
#include "media/parts.h"

/* What starts the tree, by loaders for the image's machine: ERR_RECIPE when there are none. The
 * caller releases *ret. */
int loader_read(const struct making *m, struct boot *ret, struct err *e) MUST_CHECK;

/* The kernel's argument for the root and its hashes, each of them a partition's identifier or
 * LABEL@FIRST+COUNT, in sectors of 512 bytes; and all arguments with that one. The caller owns
 * them. */
char *loader_verity(const struct making *m, const char *root, const char *hash) MUST_CHECK;
char *loader_args(const struct making *m, const struct boot *b, const char *verity) MUST_CHECK;

/* Of the archive beside the image's initial file system, bytes. */
enum { INITRAMFS_MAX = 64 << 20 };

/* Writes m->to/esp, a FAT file system with the loaders for UEFI, the kernel, its initial file
 * systems (the image's, and `more`) and the entry that starts it with args; or for UEFI all of that
 * as one signed program, and the rest for a BIOS. */
struct loader {
	const struct boot *b;
	const char *args;       /* of the kernel */
	const struct buf *more; /* an archive beside the image's initial file system */
};
int loader_esp(const struct making *m, const struct loader *l, struct err *e) MUST_CHECK;

/* The same size of it with nothing in it, for who has to know that first. */
int loader_esp_room(const struct making *m, const struct loader *l, struct err *e) MUST_CHECK;

/* Writes m->to/core, what the BIOS starts from a partition of its own, and goes on in the ESP. */
int loader_core(const struct making *m, struct err *e) MUST_CHECK;

/* For a disc, or a stick of it, of that label, which has the ESP as a file "esp": writes
 * m->to/disc.cfg, by which GRUB goes on there, and with `bios` m->to/core with that in it. GRUB
 * that firmware took from the ESP of a disc in a drive looks for its own file on the disc. */
int loader_disc(const struct making *m, const char *label, bool bios, struct err *e) MUST_CHECK;

/* Puts the boot sector and core, which begins at sector `at`, into a disk with a partition table.
 */
int loader_sector(const struct making *m, int disk, uint64_t at, struct err *e) MUST_CHECK;

#endif
