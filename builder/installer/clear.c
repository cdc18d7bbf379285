#include "installer/clear.h"

#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { BLOCK = 1 << 20, STEP = 1 << 30 };

static char zeros[BLOCK]; /* nobody writes there: a constant would be in the program */

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static int write_zeros(int fd, uint64_t from, uint64_t to, struct err *e)
{
	for (uint64_t at = from, n; at < to; at += n) {
		ssize_t put;

		n = least(to - at, BLOCK);
		put = pwrite(fd, zeros, (size_t)n, (off_t)at);
		if (put >= 0 && (size_t)put != n)
			errno = EIO;
		if (put != (ssize_t)n)
			return err_sys(e, "clear its byte %llu", (unsigned long long)at);
	}
	return 0;
}

/* BLKZEROOUT does not unmap: what was there is written over, by the disk or by the kernel. */
int clear_write(int fd, uint64_t from, uint64_t to, struct err *e)
{
	uint64_t range[2] = {from, to - from};

	return ioctl(fd, BLKZEROOUT, range) == 0 ? 0 : write_zeros(fd, from, to, e);
}

static int read_back(int fd, uint64_t from, uint64_t to, struct err *e)
{
	char *block SCOPED(mem_freep) = mem_zalloc(BLOCK);

	for (uint64_t at = from; at < to; at += STEP) {
		const size_t n = (size_t)least(to - at, BLOCK);
		ssize_t got = pread(fd, block, n, (off_t)at);

		if (got < 0)
			return err_sys(e, "read back its byte %llu", (unsigned long long)at);
		if ((size_t)got != n || memcmp(block, zeros, n) != 0) {
			(void)err_set(e, ERR_VERIFY, "it has not kept the zeros at its byte %llu",
				      (unsigned long long)at);
			return err_hint(e, "Take another disk.");
		}
	}
	return 0;
}

int clear_range(int fd, uint64_t from, uint64_t to, const struct clear_told *told, struct err *e)
{
	for (uint64_t at = from, next; at < to; at = next) {
		next = at + least(to - at, STEP);
		if (clear_write(fd, at, next, e) != 0)
			return -1;
		told->more(told->ctx, next - at);
	}
	if (fsync(fd) != 0)
		return err_sys(e, "write it");
	(void)ioctl(fd, BLKFLSBUF, 0);
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	return read_back(fd, from, to, e);
}
