/* sha256.h - SHA-256 by libcrypto, for a static program: what of that library the usual door
 * (form/digest.h) wants is 3.6 MB, this is 25 KB. */
#ifndef INSTALLER_SHA256_H
#define INSTALLER_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { SHA256_BYTES = 32 };

struct sha256 {
	uint8_t b[SHA256_BYTES];
};

/* Of n bytes. */
struct sha256 sha256_of(const void *p, size_t n);

#endif
