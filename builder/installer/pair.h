/* pair.h - which disks of a machine are its own, and whether two of them are a pair: by the
 * partition that its loader names, by what an installer has written about the machine, and by what
 * the kernel's RAID has at the end of each. A disk of another machine, or of an earlier life, says
 * otherwise in one of them. */
#ifndef INSTALLER_PAIR_H
#define INSTALLER_PAIR_H

#include "installer/md.h"

enum pair_kind {
	PAIR_NONE,       /* the partition is not on it */
	PAIR_UNFINISHED, /* an installation has not come to its end there */
	PAIR_SINGLE,     /* the partition is there, and nobody says that the disk is of a pair */
	PAIR_MEMBER,
	PAIR_BROKEN, /* it was made as one of a pair, but has nothing of that pair at its end; or it
			has, and does not say who the machine is */
};

struct pair_disk {
	enum pair_kind kind;
	struct md_member m; /* of a member */
};

/* Looks at an open disk of that size in bytes; partuuid is of the partition, as the kernel writes
 * it. */
struct pair_disk pair_look(int fd, uint64_t size, const char *partuuid);

/* Whether these disks are one pair, or one of one, or none: else ERR_BUSY or ERR_VERIFY says what
 * they are, with a hint. What is broken or unfinished beside a member is left out. */
int pair_check(const struct pair_disk *v, size_t n, struct err *e) MUST_CHECK;

/* What was there, and since when, ms. */
struct pair_wait {
	size_t members;
	bool single;
	uint64_t since;
};

/* Whether to wait for more disks, when there are so many members now, or a single disk; w is zeroed
 * at first. */
bool pair_waits(struct pair_wait *w, size_t members, bool single, uint64_t now);

#endif
