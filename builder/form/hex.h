/* hex.h - lower-case hexadecimal and base64 (RFC 4648). */
#ifndef FORM_HEX_H
#define FORM_HEX_H

#include "base/buf.h"
#include <stddef.h>
#include <stdint.h>

/* Writes 2*n digits and a NUL to out. */
void hex_encode(const uint8_t *p, size_t n, char *out);

/* Reads `digits` lower-case hex digits (an even number) into out. Returns 0, or -1 on any other
 * character; out is then undefined. */
int hex_decode(const char *s, size_t digits, uint8_t *out) MUST_CHECK;

/* Standard alphabet with padding (section 4); the caller owns the text. */
char *base64_encode(const void *p, size_t n) MUST_CHECK;

/* URL-safe alphabet without padding (section 5), as JWS wants it; the caller owns the text. */
char *base64url_encode(const void *p, size_t n) MUST_CHECK;

/* Accepts either alphabet, padded or not; refuses white space and trailing bits. Appends to *ret.
 * Returns 0 or -1. */
int base64_decode(const char *s, struct buf *ret) MUST_CHECK;

#endif
