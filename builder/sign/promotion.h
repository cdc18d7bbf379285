/* promotion.h - who has let an image into which stage: a statement about the same digest. */
#ifndef SIGN_PROMOTION_H
#define SIGN_PROMOTION_H

#include "sign/attest.h"

/* "qa" is 1, "prod" is 2, anything else 0. */
int promotion_stage(const char *word);

/* The predicate type of a stage. */
const char *promotion_type(int stage);

/* The statement. */
void promotion_make(const char *identity, const struct digest *manifest, int stage, int64_t time,
		    struct buf *ret);

/* Whether a statement of attest_collect, which is about the image, lets it, so called (NULL:
 * however), into a stage, and when. */
bool promotion_is(const struct attest_one *s, const char *identity, int stage, int64_t *ret_time);

#endif
