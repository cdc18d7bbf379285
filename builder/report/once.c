/* once.c - what was told more than once, by writers that died before they knew that they had told
 * it: lines of the same kind, of the same shop and environment, with the same "once". However far
 * apart they are, and whatever was told between, only the first counts. */
#include "report/parts.h"

#include "form/digest.h"
#include "form/hex.h"
#include <stdlib.h>
#include <string.h>

enum { DIGITS = 16, CAP_MIN = 1024 };

/* 16 bytes a line, since there are as many as there are runs. kind: 0 = a free slot. */
struct once_told {
	uint64_t once;
	uint32_t place, kind;
};

/* The writers' own are 64 bits in hex; of any other text the first bits of its digest stand for
 * it. */
static uint64_t number_of(const struct ledger_text *once)
{
	uint8_t bytes[DIGITS / 2];
	struct digest d;
	uint64_t n;

	if (once->n != DIGITS || hex_decode(once->p, DIGITS, bytes) != 0) {
		d = digest_of(once->p, once->n);
		memcpy(bytes, d.b, sizeof(bytes));
	}
	memcpy(&n, bytes, sizeof(n));
	return n;
}

static uint32_t number_kind(struct once *o, const struct ledger_text *kind)
{
	if (kind->n == strlen(o->kind) && memcmp(kind->p, o->kind, kind->n) == 0)
		return o->number;

	char *name SCOPED(mem_freep) = mem_strndup(kind->p, kind->n);
	uintptr_t n = (uintptr_t)map_get(&o->kinds, name);

	if (n == 0) {
		n = o->kinds.n + 1;
		(void)map_put(&o->kinds, name, (void *)n);
	}
	if (kind->n < sizeof(o->kind)) {
		memcpy(o->kind, name, kind->n + 1);
		o->number = (uint32_t)n;
	}
	return (uint32_t)n;
}

/* Where it is, or the free slot where it goes. */
static struct once_told *find(const struct once *o, const struct once_told *t)
{
	uint64_t h =
	    (t->once ^ ((uint64_t)t->place << 32 | t->kind)) * UINT64_C(0x9e3779b97f4a7c15);
	size_t i = (size_t)(h >> 32) & (o->cap - 1);

	while (o->v[i].kind != 0 &&
	       (o->v[i].once != t->once || o->v[i].place != t->place || o->v[i].kind != t->kind))
		i = (i + 1) & (o->cap - 1);
	return &o->v[i];
}

static void grow(struct once *o)
{
	struct once_told *old = o->v;
	size_t n = o->cap;

	o->cap = n > 0 ? 2 * n : CAP_MIN;
	o->v = mem_zalloc(o->cap * sizeof(*o->v));
	for (size_t i = 0; i < n; i++)
		if (old[i].kind != 0)
			*find(o, &old[i]) = old[i];
	free(old);
}

bool once_told_before(struct once *o, int64_t place, const struct ledger_text *kind,
		      const struct ledger_text *once)
{
	struct once_told t, *at;

	if (once->n == 0)
		return false;
	if (o->n >= o->cap / 2)
		grow(o);
	t = (struct once_told){number_of(once), (uint32_t)place, number_kind(o, kind)};
	at = find(o, &t);
	if (at->kind != 0)
		return true;
	*at = t;
	o->n++;
	return false;
}

void once_release(struct once *o)
{
	free(o->v);
	map_release(&o->kinds, NULL);
	*o = (struct once){.n = 0};
}
