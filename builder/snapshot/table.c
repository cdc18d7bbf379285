#include "snapshot/table.h"

#include "snapshot/le.h"
#include <stdlib.h>
#include <string.h>

enum { SIZE_BITS = 13, SIZE_MASK = (1 << SIZE_BITS) - 1 };

/* `where` has the offset in the segment above the size less 1; `segment` is one more than it is, 0
 * is a free slot. */
struct table_slot {
	uint8_t id[PACK_ID];
	uint32_t segment, where;
};

void table_release(struct table *t)
{
	free(t->v);
	*t = (struct table){0};
}

/* Ids are as good as random, whoever chose the blocks: the key made them. */
static struct table_slot *find(const struct table *t, const struct block_id *id)
{
	size_t mask = t->cap - 1, at = (size_t)le_get(id->b, 8) & mask;

	while (t->v[at].segment != 0 && memcmp(t->v[at].id, id->b, PACK_ID) != 0)
		at = (at + 1) & mask;
	return &t->v[at];
}

static size_t most(size_t cap)
{
	return cap / 8 * 7;
}

void table_reserve(struct table *t, size_t n)
{
	struct table old = *t;
	size_t cap = old.cap > 0 ? old.cap : 1024;

	while (most(cap) <= n)
		cap *= 2;
	if (cap == old.cap)
		return;
	t->cap = cap;
	t->v = mem_zalloc(cap * sizeof(*t->v));
	for (size_t i = 0; i < old.cap; i++) {
		struct block_id id;

		if (old.v[i].segment == 0)
			continue;
		memcpy(id.b, old.v[i].id, PACK_ID);
		*find(t, &id) = old.v[i];
	}
	free(old.v);
}

bool table_add(struct table *t, const struct block_id *id, const struct block_at *at)
{
	struct table_slot *s;

	table_reserve(t, t->n);
	s = find(t, id);
	if (s->segment != 0)
		return false;
	memcpy(s->id, id->b, PACK_ID);
	s->segment = at->segment + 1;
	s->where = at->from << SIZE_BITS | (at->size - 1);
	t->n++;
	return true;
}

bool table_get(const struct table *t, const struct block_id *id, struct block_at *ret)
{
	const struct table_slot *s = t->n > 0 ? find(t, id) : NULL;

	if (s == NULL || s->segment == 0)
		return false;
	if (ret != NULL)
		*ret = (struct block_at){s->segment - 1, s->where >> SIZE_BITS,
					 (s->where & SIZE_MASK) + 1};
	return true;
}
