/* md5.h - MD5 where others have nothing better: S3 names parts by it (ETag), dpkg lists files with
 * it (deb-md5sums(5)). It tells what is there and what differs by accident; it proves nothing. */
#ifndef FORM_MD5_H
#define FORM_MD5_H

#include "base/buf.h"
#include "base/err.h"
#include "form/digest.h"
#include <stdint.h>

enum { MD5_HEX = 32, MD5_BYTES = 16 };

/* The hex of n bytes of an open file from an offset on; the file's position stays. "" where there
 * is no MD5 (a system in FIPS mode). */
int md5_part(int fd, uint64_t from, uint64_t n, char ret[MD5_HEX + 1], struct err *e) MUST_CHECK;

/* Appends MD5_BYTES for each block of the first n bytes of an open file, the last of which may be
 * shorter; all (may be NULL) is given the same bytes. ERR_FAIL where there is no MD5. */
struct md5_blocks {
	uint64_t n;
	size_t block;
	struct hash *all;
};
int md5_blocks(int fd, const struct md5_blocks *of, struct buf *ret, struct err *e) MUST_CHECK;

#endif
