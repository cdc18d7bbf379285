/* digest.h - SHA-256 as a type. A digest is made only by parsing or by hashing, so no string that
 * came from outside ever reaches a path or a URL as a "digest" (OCI image-spec, descriptor.md). */
#ifndef FORM_DIGEST_H
#define FORM_DIGEST_H

#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>

enum { DIGEST_BYTES = 32, DIGEST_HEX = 64, DIGEST_TEXT = 71 };

struct digest {
	uint8_t b[DIGEST_BYTES];
};

/* "<64 lower-case hex digits>" + NUL, and "sha256:<hex>" + NUL. */
struct digest_hex {
	char s[DIGEST_HEX + 1];
};
struct digest_text {
	char s[DIGEST_TEXT + 1];
};

/* Parses "sha256:<64 lower-case hex>" exactly. Returns 0, or -1 and leaves *ret. */
int digest_parse(const char *text, struct digest *ret) MUST_CHECK;

/* Parses exactly 64 lower-case hex digits. */
int digest_parse_hex(const char *hex, struct digest *ret) MUST_CHECK;

/* Lower-case hex with and without the algorithm's name, by value; comparison by bytes. */
struct digest_hex digest_hex(const struct digest *d);
struct digest_text digest_text(const struct digest *d);
bool digest_equal(const struct digest *a, const struct digest *b);

/* Incremental hashing. hash_new never fails (no memory ends the process); hash_final resets the
 * state so that it may be used again; hash_free accepts NULL. */
struct hash;
struct hash *hash_new(void) MUST_CHECK;
void hash_add(struct hash *h, const void *p, size_t n);
struct digest hash_final(struct hash *h);
void hash_free(struct hash *h);
void hash_freep(struct hash **h);

/* Digest of n bytes. */
struct digest digest_of(const void *p, size_t n);

/* Digest of everything that fd still has to read, and how many bytes that was (ret_size may be
 * NULL). */
int digest_fd(int fd, struct digest *ret, uint64_t *ret_size, struct err *e) MUST_CHECK;

#endif
