/* install.h - writes what a list has to the disk, or the two disks, that a sheet names. */
#ifndef INSTALLER_INSTALL_H
#define INSTALLER_INSTALL_H

#include "installer/target.h"

struct install {
	const struct blocklist *c;
	const struct sheet *s; /* with what an installed one has */
	int payload;           /* open: the blocks of the list that are not zeros, one by one */
	const struct targets *t;
	struct buf *differs; /* of INSTALL_ALREADY: what sheet_differs says; may be NULL */
	/* how far it is: what is "check", "write", "verify", "clear" or "end"; may be NULL */
	void (*told)(void *ctx, const char *what, size_t done, size_t all);
	void *ctx;
};

enum install_end {
	INSTALL_DONE,
	INSTALL_ALREADY, /* it was there: nothing was written */
};

/* Nothing is written before it is known that all that is to be written can be read, and that the
 * disks are those that are meant, large enough, and blank: or what an earlier installation for that
 * shop has left, or disks that the sheet gives up. ERR_USAGE, ERR_BUSY and ERR_VERIFY say what is
 * wrong. Of disks that are given up, or were not blank, all else is cleared too.
 *
 * The first block of a disk comes last, when all others have been read back: until then nothing
 * starts from it, and the next run begins again. */
int install_run(const struct install *i, enum install_end *ret, struct err *e) MUST_CHECK;

/* How large a disk has to be, bytes. */
uint64_t install_need(const struct blocklist *c);

#endif
