/* near.h - words of the trade around a card number, and the codes that may not be kept with it. */
#ifndef SCAN_NEAR_H
#define SCAN_NEAR_H

#include "scan/match.h"

/* Whether a word that goes with card numbers stands within 64 characters of [s, e). */
bool near_word(const struct text *t, size_t s, size_t e);

/* Whether a card's verification code, or the block of its PIN, stands within 96 characters of
 * [s, e); *ret is its index. */
bool near_cvv(const struct text *t, size_t s, size_t e, size_t *ret);
bool near_pin_block(const struct text *t, size_t s, size_t e, size_t *ret);

#endif
