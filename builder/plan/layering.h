/* layering.h - the layers of an image's packages: which sources lie together.
 *
 * The plan is a function of lock, history and the plan before: a lock's own (lock.layers), or,
 * where the lock says nothing, the prior, which knows only what versions and repositories tell:
 * "3.0.11-1~deb12u2" of bookworm-security has had updates, "1.0-4" of bookworm none. */
#ifndef PLAN_LAYERING_H
#define PLAN_LAYERING_H

#include "base/map.h"
#include "plan/history.h"
#include "recipe/lock.h"

struct layering_opts {
	size_t most;                   /* so many layers; >= 1 */
	const struct lock *before;     /* what the image is made from until now, or NULL */
	const struct history *history; /* or NULL */
	bool replan;                   /* do not keep to the plan of `before` */
};

/* Plans the layers of a lock. A source leaves the layer that it had before only for one more
 * likely to change, and only when it changes now and that layer does as well: no move costs a
 * client bytes. What the prior alone would say too is not written down: then lock.layers is empty.
 */
void layering_make(struct lock *l, const struct layering_opts *o);

/* The plan of a lock, written down or not. */
struct layering {
	struct map of; /* source -> its layer, as (void *)(layer + 1) */
	size_t n;
	uint64_t *bytes;  /* of the packages of a layer, as they are fetched */
	size_t *sources;  /* how many */
	unsigned *chance; /* how likely it is by the prior to change within a month, percent */
};
void layering_of(const struct lock *l, size_t most, struct layering *ret);
void layering_release(struct layering *y);

/* The layer of a source; false when it has none. */
bool layering_find(const struct layering *y, const char *source, size_t *ret);

/* "39 sources, 12 % likely to change in a month"; the caller owns it. */
char *layering_why(const struct layering *y, size_t layer) MUST_CHECK;

/* [{"name","sources","bytes","why"}] of a lock's plan; the caller owns it. */
struct jval *layering_json(const struct lock *l, size_t most) MUST_CHECK;

/* The name of a layer, "os-1", or "os" when it is the only one; the caller owns it. */
char *layering_name(const struct layering *y, size_t layer) MUST_CHECK;

/* How many updates a package's version and repository tell of. */
unsigned layering_updates(const struct lock_package *p);

#endif
