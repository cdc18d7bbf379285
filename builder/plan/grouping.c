#include "plan/grouping.h"

#include "base/mem.h"
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* So many groups at most are compared in pairs; of more, the smallest items begin together. */
enum { LAYER_COSTS = 16 << 10, NODES_MAX = 384, UPDATES_MAX = 200, UNIT_SHIFT = 10 };

/* (36/37)^(1/3): three years seen, one month ahead, a third of an update before any was seen. */
static const uint64_t third = UINT64_C(1063979994);

struct node {
	size_t first; /* least item */
	uint64_t size, stays;
	bool gone;
};

static uint64_t both(uint64_t a, uint64_t b)
{
	return (a * b) >> 30;
}

uint64_t grouping_stays(unsigned updates)
{
	unsigned n = 3 * (updates < UPDATES_MAX ? updates : UPDATES_MAX) + 1;
	uint64_t q = GROUPING_ONE;

	for (unsigned i = 0; i < n; i++)
		q = both(q, third);
	return q;
}

uint64_t grouping_cost(uint64_t size, uint64_t stays)
{
	/* KiB, so that the product fits: sizes of a lock stay below 2^48 together */
	return (((size >> UNIT_SHIFT) + 1) * (GROUPING_ONE - stays)) >> (30 - UNIT_SHIFT);
}

static uint64_t joined_cost(const struct node *a, const struct node *b)
{
	uint64_t all = grouping_cost(a->size + b->size, both(a->stays, b->stays));
	uint64_t each = grouping_cost(a->size, a->stays) + grouping_cost(b->size, b->stays);

	return all > each ? all - each : 0;
}

static void join(struct node *a, struct node *b)
{
	a->size += b->size;
	a->stays = both(a->stays, b->stays);
	b->gone = true;
}

/* The two that cost least together; the first such pair. Returns what that is. */
static uint64_t find_pair(const struct node *v, size_t n, size_t *ret_a, size_t *ret_b)
{
	uint64_t best = UINT64_MAX;

	for (size_t a = 0; a < n; a++)
		for (size_t b = a + 1; b < n && !v[a].gone; b++) {
			uint64_t c = v[b].gone ? UINT64_MAX : joined_cost(&v[a], &v[b]);

			if (c < best) {
				best = c;
				*ret_a = a;
				*ret_b = b;
			}
		}
	return best;
}

static int larger_first(const void *a, const void *b)
{
	const struct grouping_item *const *x = a, *const *y = b;

	if ((*x)->size != (*y)->size)
		return (*x)->size > (*y)->size ? -1 : 1;
	return strcmp((*x)->name, (*y)->name);
}

static int stays_first(const void *a, const void *b)
{
	const struct node *x = a, *y = b;

	if (x->gone != y->gone)
		return x->gone ? 1 : -1;
	if (x->stays != y->stays)
		return x->stays > y->stays ? -1 : 1;
	return x->first < y->first ? -1 : x->first > y->first;
}

/* Numbers the groups that are left from the coldest on. */
static size_t number(struct node *nodes, size_t n, struct grouping_item **items, size_t items_n)
{
	size_t *group SCOPED(mem_freep) = mem_zalloc(n * sizeof(*group));
	size_t groups = 0;

	qsort(nodes, n, sizeof(*nodes), stays_first);
	for (size_t i = 0; i < n; i++)
		if (!nodes[i].gone)
			group[nodes[i].first] = groups++;
	for (size_t i = 0; i < items_n; i++)
		items[i]->group = group[items[i]->group];
	return groups;
}

size_t grouping(struct grouping_item *v, size_t n, size_t most)
{
	struct grouping_item **items SCOPED(mem_freep) = mem_zalloc((n + 1) * sizeof(*items));
	struct node *nodes SCOPED(mem_freep) = mem_zalloc(NODES_MAX * sizeof(*nodes));
	size_t nodes_n = n < NODES_MAX ? n : NODES_MAX, left = nodes_n;

	for (size_t i = 0; i < n; i++)
		items[i] = &v[i];
	if (n > 1)
		qsort(items, n, sizeof(*items), larger_first);
	for (size_t i = 0; i < n; i++) {
		struct node one = {i, items[i]->size, grouping_stays(items[i]->updates), false};

		items[i]->group = i < nodes_n ? i : nodes_n - 1;
		if (i < nodes_n)
			nodes[i] = one;
		else
			join(&nodes[nodes_n - 1], &one);
	}
	for (; left > 1; left--) {
		size_t a = 0, b = 0;

		if (find_pair(nodes, nodes_n, &a, &b) >= LAYER_COSTS && left <= most)
			break;
		join(&nodes[a], &nodes[b]);
		for (size_t i = 0; i < n; i++)
			if (items[i]->group == b)
				items[i]->group = a;
	}
	return number(nodes, nodes_n, items, n);
}
