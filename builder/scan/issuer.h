/* issuer.h - which numbers card schemes give out: leading digits, lengths, the check digit, and
 * the numbers that are published for tests. Digits are bytes '0' to '9'. */
#ifndef SCAN_ISSUER_H
#define SCAN_ISSUER_H

#include <stdbool.h>
#include <stddef.h>

enum { CARD_MIN = 13, CARD_MAX = 19 };

/* The scheme that gives out numbers of n digits which begin so, in words; NULL for none. */
const char *issuer_of(const char *d, size_t n);

/* Whether the check digit fits the others (ISO/IEC 7812-1, annex B). */
bool issuer_luhn(const char *d, size_t n);

/* Whether this is no customer's number: published for tests, or of three different digits at
 * most. */
bool issuer_is_test(const char *d, size_t n);

#endif
