/* base_image.h - an image in a registry as base: what its name stands for when it is locked. */
#ifndef PLAN_BASE_IMAGE_H
#define PLAN_BASE_IMAGE_H

#include "recipe/lock.h"

/* Adds the blobs of the recipe's image to the lock's media, as it is in its registry now or, with
 * `before`, as in that lock. In scratch a layout is made of what came. An image that the recipe's
 * policy refuses is ERR_VERIFY. Nothing to do for another base. */
int base_image_lock(const struct recipe *r, const struct lock *before, const char *scratch,
		    struct lock *l, struct err *e) MUST_CHECK;

#endif
