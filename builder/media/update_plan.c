#include "media/update_plan.h"

#include "base/mem.h"
#include <string.h>

/* Digests spread by themselves: their first bytes are the place, and what is taken goes to the next
 * one. */
struct table {
	const struct digest *have;
	uint32_t *v;
	size_t mask;
};

static size_t first_place(const struct table *t, const struct digest *d)
{
	size_t n;

	memcpy(&n, d->b, sizeof(n));
	return n & t->mask;
}

static size_t find(const struct table *t, const struct digest *d)
{
	size_t at = first_place(t, d);

	while (t->v[at] != PLAN_NONE && !digest_equal(&t->have[t->v[at]], d))
		at = (at + 1) & t->mask;
	return at;
}

void plan_blocks(const struct digest *want, size_t want_n, const struct digest *have, size_t have_n,
		 uint32_t *ret)
{
	struct table t = {.have = have, .mask = 15};
	uint32_t *v SCOPED(mem_freep) = NULL;

	while (t.mask < 2 * have_n)
		t.mask = 2 * t.mask + 1;
	v = mem_zalloc((t.mask + 1) * sizeof(*v));
	memset(v, 0xff, (t.mask + 1) * sizeof(*v));
	t.v = v;
	for (size_t i = 0; i < have_n; i++)
		v[find(&t, &have[i])] = (uint32_t)i;
	for (size_t i = 0; i < want_n; i++)
		ret[i] = v[find(&t, &want[i])];
}
