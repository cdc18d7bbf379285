/* sha256.h - SHA-256 (FIPS 180-4) without a library: the program that installs is static, and has
 * to be small. By the processor's own instructions where it has them. */
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
