/* sums.h - several digests of one file in one reading: SPDX wants a SHA-1 of each file, which names
 * it and secures nothing. */
#ifndef FORM_SUMS_H
#define FORM_SUMS_H

#include "form/digest.h"

enum { SHA1_HEX = 40 };

struct sums {
	struct digest sha256;
	char sha1[SHA1_HEX + 1];
};

/* Of what fd still has to read. */
int sums_fd(int fd, struct sums *ret, struct err *e) MUST_CHECK;

/* Of bytes in memory. */
void sums_of(const void *p, size_t n, struct sums *ret);

#endif
