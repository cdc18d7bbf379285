/* boot.h - what of an image's tree makes it start on a machine. */
#ifndef MEDIA_BOOT_H
#define MEDIA_BOOT_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A file system that the machine writes to, by a line of /etc/fstab with LABEL= and ext4; or what
 * /etc/crypttab makes its swap of, with another key at each start. */
struct boot_part {
	char *label, *at; /* at: absolute */
	uint64_t size;    /* bytes, whole MiB */
	bool swap;        /* at is "swap" */
};

/* What the medium is that is made. */
struct boot_for {
	bool own;   /* it has an entry of its own for UEFI, and needs no loader of the image's */
	bool slots; /* two for the root */
	bool site;  /* a place for who the machine is, and perhaps a second disk: an installer's */
};

struct boot {
	char *kernel, *initrd; /* relative to the root */
	char *release;         /* of the kernel: /usr/lib/modules/RELEASE */
	char *args;            /* for the kernel, by the image's own grub.cfg, without its root */
	bool bios, uefi;       /* which loaders there are */
	struct boot_part *parts;
	size_t parts_n;     /* by path, swap last */
	uint64_t root_size; /* bytes of a slot, by the line for "/"; 0 when it does not say */
	struct boot_for made_for;
};

/* Reads the tree. One that cannot start, without kernel, initial file system or loader, or with
 * partitions that cannot be made, is ERR_RECIPE with a hint. */
int boot_read(const char *tree, struct boot_for made_for, struct boot *ret,
	      struct err *e) MUST_CHECK;

/* Accepts a zeroed struct. */
void boot_release(struct boot *b);

#endif
