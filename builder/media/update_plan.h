/* update_plan.h - which blocks of a root are there already. */
#ifndef MEDIA_UPDATE_PLAN_H
#define MEDIA_UPDATE_PLAN_H

#include "form/digest.h"
#include <stddef.h>

#define PLAN_NONE UINT32_MAX

/* For each block that is wanted: the number of one that is had with the same digest, or PLAN_NONE.
 * Fewer than 2^32 each. */
void plan_blocks(const struct digest *want, size_t want_n, const struct digest *have, size_t have_n,
		 uint32_t *ret);

#endif
