/* clear.h - what an earlier life has left on a disk is zeros afterwards. */
#ifndef INSTALLER_CLEAR_H
#define INSTALLER_CLEAR_H

#include "base/err.h"
#include <stdint.h>

/* Makes zeros of the bytes from `from` to `to` of an open disk or file, by the disk's own means
 * where it has some; a disk that only forgets where they were (discard) is not believed. */
int clear_write(int fd, uint64_t from, uint64_t to, struct err *e) MUST_CHECK;

/* How far it is, of which the caller may tell: bytes since the last call. */
struct clear_told {
	void (*more)(void *ctx, uint64_t bytes);
	void *ctx;
};

/* The same in steps of a gibibyte, and waits for the disk. Then reads back what is at the beginning
 * of each step: ERR_VERIFY when that is no zeros. */
int clear_range(int fd, uint64_t from, uint64_t to, const struct clear_told *told,
		struct err *e) MUST_CHECK;

#endif
