#include "snapshot/items.h"

#include <stdlib.h>
#include <string.h>

void items_init(struct items *c)
{
	*c = (struct items){.bytes = BUF_INIT(ITEMS_MAX)};
}

void items_release(struct items *c)
{
	buf_release(&c->bytes);
	free(c->v);
	items_init(c);
}

void items_add(struct items *c, const uint8_t *item)
{
	if (c->n == c->cap)
		c->v = mem_resize(c->v, c->cap = c->cap * 2 + 64, sizeof(*c->v));
	c->v[c->n++] = item;
}

struct ids_record item_record(const uint8_t *item)
{
	struct ids_record r = {0};

	(void)!ids_take(item + DIGEST_BYTES, IDS_RECORD_MAX, &r);
	return r;
}

size_t item_size(const uint8_t *item)
{
	return DIGEST_BYTES + IDS_HEAD + (size_t)item_record(item).n * PACK_ID;
}

int items_parse(struct items *c, struct err *e)
{
	const uint8_t *at = (const uint8_t *)c->bytes.data, *end = at + c->bytes.len;

	while (at < end) {
		struct ids_record r;
		size_t n = (size_t)(end - at) <= DIGEST_BYTES
			       ? 0
			       : ids_take(at + DIGEST_BYTES, (size_t)(end - at) - DIGEST_BYTES, &r);

		if (n == 0)
			return err_set(e, ERR_VERIFY, "the list of contents is damaged");
		items_add(c, at);
		at += DIGEST_BYTES + n;
	}
	return 0;
}

struct reading {
	struct snapshot_repo *r;
	const struct sink *out;
	uint8_t block[SNAPSHOT_GRID];
};

static int read_block(void *ctx, const struct block_id *id, bool leaf, struct err *e)
{
	struct reading *x = ctx;
	uint32_t n;

	if (!leaf)
		return 0;
	if (repo_block(x->r, id, x->block, &n, e) != 0)
		return -1;
	return sink_write(x->out, x->block, n, e);
}

int ids_copy(struct snapshot_repo *r, const struct buf *record, const struct sink *out,
	     struct err *e)
{
	struct reading x = {.r = r, .out = out};
	const struct ids_visit v = {read_block, &x};
	struct ids_record rec = {0};

	if (ids_take((const uint8_t *)record->data, record->len, &rec) == 0)
		return err_set(e, ERR_VERIFY, "a record of blocks is none");
	return ids_each(r, &rec, &v, e);
}

static int add_bytes(void *ctx, const void *p, size_t n, struct err *e)
{
	struct buf *b = ctx;

	buf_add(b, p, n);
	return buf_over(b) ? err_set(e, ERR_VERIFY, "the list of contents is too long") : 0;
}

int items_read(struct snapshot_repo *r, const struct body *b, struct items *ret, struct err *e)
{
	const struct sink out = {add_bytes, &ret->bytes};

	if (ids_copy(r, &b->contents, &out, e) != 0 || items_parse(ret, e) != 0)
		return err_in(e, "snapshot %s", b->info.id);
	return 0;
}

static int by_digest(const void *a, const void *b)
{
	return memcmp(*(const uint8_t *const *)a, *(const uint8_t *const *)b, DIGEST_BYTES);
}

void items_sort(struct items *c)
{
	if (c->n > 0)
		qsort(c->v, c->n, sizeof(*c->v), by_digest);
}

const uint8_t *items_find(const struct items *c, const struct digest *d)
{
	const uint8_t *key = d->b;
	const uint8_t **at = c->n > 0 ? bsearch(&key, c->v, c->n, sizeof(*c->v), by_digest) : NULL;

	return at != NULL ? *at : NULL;
}
