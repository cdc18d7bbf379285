/* md.h - what the kernel's RAID (md(4)) finds of a pair of disks at their ends, version 1.0: all in
 * front of it, firmware and boot loaders see as a disk like any other. */
#ifndef INSTALLER_MD_H
#define INSTALLER_MD_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	MD_ROOM = 1 << 20, /* what has to be left behind what is written, bytes */
	MD_ID = 16,
	MD_DISKS = 2,
};

/* A member of a pair. */
struct md_member {
	uint8_t set[MD_ID];
	uint64_t size;         /* bytes in front, that both have */
	uint64_t events;       /* the one that has less was left behind */
	unsigned number;       /* of its place, 0 or 1; MD_DISKS when it has none yet */
	bool active[MD_DISKS]; /* which places have a disk that is as it should be, by what it
				  knows */
};

/* Writes it at the end of an open disk of that size in bytes: the pair is as it should be, since
 * both have the same bytes. */
int md_put(int fd, uint64_t disk, const struct md_member *m, struct err *e) MUST_CHECK;

/* Reads it. Returns whether the disk is a member of a pair of ours. */
bool md_get(int fd, uint64_t disk, struct md_member *ret);

/* What becomes of the members of one pair that are there. */
enum md_use {
	MD_USE,     /* it is as it should be */
	MD_BEHIND,  /* it was left behind, and gets again what the other has */
	MD_STRANGE, /* both were used without the other, or it is a copy of the other: what is on
		       it is not lost, and not used */
};
void md_judge(const struct md_member *v, size_t n, enum md_use *ret);

#endif
