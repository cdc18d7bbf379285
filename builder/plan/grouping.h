/* grouping.h - which sources share a layer, so that a client re-fetches little.
 *
 * A layer is re-sent whole when anything in it changes: a large package that rarely changes should
 * not lie beside many that might. Two groups are joined where that adds least to what is expected
 * to be re-sent in a month, until no more groups are left than there may be, and as long as it adds
 * less than a layer costs by itself, in requests and parent directories. Whole numbers only: the
 * result is the same on every machine. */
#ifndef PLAN_GROUPING_H
#define PLAN_GROUPING_H

#include "base/err.h"
#include <stddef.h>
#include <stdint.h>

struct grouping_item {
	const char *name; /* the source's; unique, items are sorted by it */
	uint64_t size;    /* bytes, compressed */
	unsigned updates; /* how many to expect in three years */
	size_t group;     /* out: from 0, the group least likely to change first */
};

/* How likely it is that nothing of a group changes within a month, times GROUPING_ONE. */
#define GROUPING_ONE (UINT64_C(1) << 30)

/* Groups n items into at most `most` (>= 1) groups and returns how many there are. */
size_t grouping(struct grouping_item *v, size_t n, size_t most);

/* That likelihood for one item, and what a group of that size and likelihood is expected to cost:
 * bytes re-sent in a month. */
uint64_t grouping_stays(unsigned updates);
uint64_t grouping_cost(uint64_t size, uint64_t stays);

#endif
