/* num.h - numbers from text, strictly: the whole string, no sign, no blanks, no locale. */
#ifndef BASE_NUM_H
#define BASE_NUM_H

#include "base/mem.h"
#include <stdint.h>

/* Decimal, at most max. Returns 0 or -1; *ret is untouched on failure. */
int num_u64(const char *s, uint64_t max, uint64_t *ret) MUST_CHECK;

/* Octal file mode such as 0640 or 4755. */
int num_mode(const char *s, unsigned *ret) MUST_CHECK;

/* Bytes: digits with an optional K, M, G or T (powers of 1024), e.g. 512M. */
int num_bytes(const char *s, uint64_t *ret) MUST_CHECK;

/* Milliseconds: digits and one of ms, s, m, h, e.g. 20m. */
int num_duration_ms(const char *s, uint64_t *ret) MUST_CHECK;

/* "1.4 GB" style text for people, powers of 1000; the caller owns it. */
char *num_human(uint64_t bytes) MUST_CHECK;

#endif
