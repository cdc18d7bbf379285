#include "snapshot/table.h"

#include "snapshot/le.h"
#include <stdlib.h>
#include <string.h>

enum { SIZE_BITS = 13, SIZE_MASK = (1 << SIZE_BITS) - 1, PART = 1 << 14 };

/* `where` has the offset in the segment above the size less 1. */
struct table_row {
	uint8_t id[PACK_ID];
	uint32_t segment, where;
};

void table_release(struct table *t)
{
	for (size_t i = 0; i * PART < t->n; i++)
		free(t->parts[i]);
	free(t->parts);
	free(t->slots);
	*t = (struct table){0};
}

static struct table_row *row_of(const struct table *t, size_t i)
{
	return &t->parts[i / PART][i % PART];
}

/* Ids are as good as random, whoever chose the blocks: the key made them. */
static uint32_t *find(const struct table *t, const uint8_t *id)
{
	size_t mask = t->cap - 1, at = (size_t)le_get(id, 8) & mask;

	while (t->slots[at] != 0 && memcmp(row_of(t, t->slots[at] - 1)->id, id, PACK_ID) != 0)
		at = (at + 1) & mask;
	return &t->slots[at];
}

void table_reserve(struct table *t, size_t n)
{
	size_t cap = t->cap > 0 ? t->cap : 1024;

	while (cap / 8 * 7 <= n)
		cap *= 2;
	if (cap == t->cap)
		return;
	free(t->slots);
	t->cap = cap;
	t->slots = mem_zalloc(cap * sizeof(*t->slots));
	for (size_t i = 0; i < t->n; i++)
		*find(t, row_of(t, i)->id) = (uint32_t)i + 1;
}

bool table_add(struct table *t, const struct block_id *id, const struct block_at *at)
{
	uint32_t *slot;
	struct table_row *row;

	table_reserve(t, t->n);
	slot = find(t, id->b);
	if (*slot != 0)
		return false;
	if (t->n % PART == 0) {
		t->parts = mem_resize(t->parts, t->n / PART + 1, sizeof(*t->parts));
		t->parts[t->n / PART] = mem_resize(NULL, PART, sizeof(struct table_row));
	}
	row = row_of(t, t->n++);
	memcpy(row->id, id->b, PACK_ID);
	row->segment = at->segment;
	row->where = at->from << SIZE_BITS | (at->size - 1);
	*slot = (uint32_t)t->n;
	return true;
}

bool table_get(const struct table *t, const struct block_id *id, struct block_at *ret)
{
	uint32_t slot = t->n > 0 ? *find(t, id->b) : 0;
	const struct table_row *row;

	if (slot == 0)
		return false;
	row = row_of(t, slot - 1);
	if (ret != NULL)
		*ret = (struct block_at){row->segment, row->where >> SIZE_BITS,
					 (row->where & SIZE_MASK) + 1};
	return true;
}
