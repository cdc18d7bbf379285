#include "snapshot/ids.h"

#include "snapshot/le.h"
#include <stdlib.h>
#include <string.h>

static int end_row(struct ids *s, unsigned l, struct filler *f, struct err *e);

static int push(struct ids *s, unsigned l, struct filler *f, const struct block_id *id,
		struct err *e)
{
	if (l > IDS_DEPTH_MAX)
		return err_set(e, ERR_FAIL, "a file of too many blocks");
	if (s->level[l].n == IDS_ROW && end_row(s, l, f, e) != 0)
		return -1;
	s->level[l].v[s->level[l].n++] = *id;
	return 0;
}

static int end_row(struct ids *s, unsigned l, struct filler *f, struct err *e)
{
	struct block_id id;

	if (filler_row(f, s->level[l].v, s->level[l].n * sizeof(id), &id, e) != 0)
		return -1;
	s->level[l].n = 0;
	return push(s, l + 1, f, &id, e);
}

int ids_add(struct ids *s, struct filler *f, const struct block_id *id, struct err *e)
{
	return push(s, 0, f, id, e);
}

static bool is_top(const struct ids *s, unsigned l)
{
	while (++l <= IDS_DEPTH_MAX)
		if (s->level[l].n > 0)
			return false;
	return true;
}

int ids_end(struct ids *s, struct filler *f, struct buf *ret, struct err *e)
{
	unsigned l = 0;

	for (; !is_top(s, l) || s->level[l].n > IDS_INLINE; l++)
		if (s->level[l].n > 0 && end_row(s, l, f, e) != 0)
			return -1;
	le_add(ret, 1, l);
	le_add(ret, 2, s->level[l].n);
	buf_add(ret, s->level[l].v, s->level[l].n * sizeof(struct block_id));
	s->level[l].n = 0;
	return 0;
}

size_t ids_take(const uint8_t *p, size_t n, struct ids_record *ret)
{
	struct ids_record r;

	if (n < IDS_HEAD)
		return 0;
	r = (struct ids_record){p[0], (unsigned)le_get(p + 1, 2), p + IDS_HEAD};
	if (r.depth > IDS_DEPTH_MAX || r.n > IDS_INLINE || (r.depth > 0 && r.n == 0) ||
	    n - IDS_HEAD < (size_t)r.n * PACK_ID)
		return 0;
	*ret = r;
	return IDS_HEAD + (size_t)r.n * PACK_ID;
}

struct ids_row {
	uint64_t number; /* one more than it is; 0 = none */
	unsigned n;
	uint8_t v[SNAPSHOT_GRID];
};

struct ids_reader {
	struct snapshot_repo *r;
	struct ids_record rec;
	struct ids_row *rows; /* of each depth one */
};

struct ids_reader *ids_open(struct snapshot_repo *r, const struct ids_record *rec)
{
	struct ids_reader *x = mem_zalloc(sizeof(*x));

	x->r = r;
	x->rec = *rec;
	if (rec->depth > 0)
		x->rows = mem_zalloc(rec->depth * sizeof(*x->rows));
	return x;
}

void ids_close(struct ids_reader *x)
{
	if (x == NULL)
		return;
	free(x->rows);
	free(x);
}

void ids_closep(struct ids_reader **r)
{
	ids_close(*r);
	*r = NULL;
}

/* Reads a row of ids into v. */
static int read_row(struct snapshot_repo *r, const struct block_id *id, uint8_t *v, unsigned *ret_n,
		    struct err *e)
{
	uint32_t size;

	if (repo_block(r, id, v, &size, e) != 0)
		return -1;
	if (size % PACK_ID != 0)
		return err_set(e, ERR_VERIFY, "a block that should be a row of ids is none");
	*ret_n = size / PACK_ID;
	return 0;
}

int ids_get(struct ids_reader *x, uint64_t i, struct block_id *ret, struct err *e)
{
	const uint8_t *row = x->rec.ids;
	unsigned n = x->rec.n;
	uint64_t span = 1;

	for (unsigned d = 0; d < x->rec.depth; d++)
		span *= IDS_ROW;
	for (unsigned d = x->rec.depth;; d--) {
		uint64_t number = i / span, at = d == x->rec.depth ? number : number % IDS_ROW;

		if (at >= n)
			return err_set(e, ERR_VERIFY, "there is no block %llu",
				       (unsigned long long)i);
		memcpy(ret->b, row + at * PACK_ID, PACK_ID);
		if (d == 0)
			return 0;
		span /= IDS_ROW;
		if (x->rows[d - 1].number != number + 1) {
			x->rows[d - 1].number = 0;
			if (read_row(x->r, ret, x->rows[d - 1].v, &x->rows[d - 1].n, e) != 0)
				return -1;
			x->rows[d - 1].number = number + 1;
		}
		row = x->rows[d - 1].v;
		n = x->rows[d - 1].n;
	}
}

int ids_each(struct snapshot_repo *r, const struct ids_record *rec, const struct ids_visit *v,
	     struct err *e)
{
	uint8_t *row SCOPED(mem_freep) = rec->depth > 0 ? mem_zalloc(SNAPSHOT_GRID) : NULL;

	for (unsigned i = 0; i < rec->n; i++) {
		struct ids_record below = {.depth = rec->depth - 1, .ids = row};
		struct block_id id;

		memcpy(id.b, rec->ids + (size_t)i * PACK_ID, PACK_ID);
		if (v->fn(v->ctx, &id, rec->depth == 0, e) != 0)
			return -1;
		if (rec->depth == 0)
			continue;
		if (read_row(r, &id, row, &below.n, e) != 0 || ids_each(r, &below, v, e) != 0)
			return -1;
	}
	return 0;
}
