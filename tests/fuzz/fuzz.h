/* fuzz.h - one target: bytes from anywhere go into one parser. Whatever they are it says yes or no;
 * it does not crash, run wild or leak, and what it took it can write and take again. */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include "base/mem.h"
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* What libFuzzer and replay.c call. */
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* assert() that no build switches off. */
#define HOLDS(what)                                                                                \
	do {                                                                                       \
		if (!(what)) {                                                                     \
			(void)fprintf(stderr, "does not hold: %s\n", #what);                       \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* The bytes as text that ends in a zero byte; the caller owns it. */
UNUSED static char *fuzz_text(const uint8_t *p, size_t n)
{
	return mem_strndup((const char *)p, n);
}

/* The bytes as an open file in memory. */
UNUSED static int fuzz_file(const uint8_t *p, size_t n)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	HOLDS(fd >= 0);
	HOLDS(n == 0 || write(fd, p, n) == (ssize_t)n);
	HOLDS(lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}

#endif
