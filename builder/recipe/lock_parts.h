/* lock_parts.h - what the reader, the writer and the comparison of locks share. */
#ifndef RECIPE_LOCK_PARTS_H
#define RECIPE_LOCK_PARTS_H

#include "recipe/lock.h"

enum {
	LOCK_TEXT_MAX = 64 << 20,
	LOCK_REPOSITORIES_MAX = 64,
	LOCK_PACKAGES_MAX = 20000,
	LOCK_BATCHES_MAX = 20000,
	LOCK_MEDIA_MAX = 1000,
	LOCK_RECORDED_MAX = 20000,
	LOCK_LAYERS_MAX = 100,
};

#define LOCK_SIZE_MAX (INT64_C(16) << 30)

/* The packages by name, then architecture; the caller frees the array, the lock keeps the
 * packages. */
const struct lock_package **lock_sorted(const struct lock *l) MUST_CHECK;

/* The order of two packages: by name, then architecture. */
int lock_compare(const struct lock_package *a, const struct lock_package *b);

#endif
