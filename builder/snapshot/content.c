/* content.c - what is in the files of a snapshot, for apply_tree. */
#include "snapshot/open.h"

#include <stdlib.h>
#include <string.h>

struct handle {
	struct snapshot *s;
	struct ids_reader *ids;
	uint64_t size;
	const char *path;
	uint8_t block[SNAPSHOT_GRID];
};

static int content_open(void *ctx, size_t i, void **ret, struct err *e)
{
	struct snapshot *s = ctx;
	struct ids_record rec;
	struct handle *h;

	if (i >= s->m.n || s->items[i] == NULL)
		return err_set(e, ERR_FAIL, "entry %zu of the manifest has no content", i);
	rec = item_record(s->items[i]);
	h = mem_zalloc(sizeof(*h));
	h->s = s;
	h->ids = ids_open(s->r, &rec);
	h->size = s->m.v[i].size;
	h->path = s->m.v[i].path;
	*ret = h;
	return 0;
}

static void content_close(void *ctx, void *handle)
{
	struct handle *h = handle;

	(void)ctx;
	if (h == NULL)
		return;
	ids_close(h->ids);
	free(h);
}

/* Reads the block that `at` is in to where there is room: at least SNAPSHOT_GRID. */
static int read_block(struct handle *h, uint64_t at, uint8_t *p, struct err *e)
{
	uint64_t number = at / SNAPSHOT_GRID, left = h->size - number * SNAPSHOT_GRID;
	uint32_t want = left < SNAPSHOT_GRID ? (uint32_t)left : SNAPSHOT_GRID, got;
	struct block_id id;

	if (ids_get(h->ids, number, &id, e) != 0 || repo_block(h->s->r, &id, p, &got, e) != 0)
		return -1;
	return got == want ? 0
			   : err_set(e, ERR_VERIFY, "a block of %u bytes, not of %u", got, want);
}

static int content_read(void *handle, uint64_t at, void *p, size_t n, size_t *ret_n, struct err *e)
{
	struct handle *h = handle;
	size_t got = 0;

	while (got < n && at + got < h->size) {
		uint8_t *to = (uint8_t *)p + got;
		size_t skip = (size_t)((at + got) % SNAPSHOT_GRID);
		uint64_t left = h->size - (at + got);
		size_t take = SNAPSHOT_GRID - skip;
		bool direct = skip == 0 && n - got >= SNAPSHOT_GRID;

		if (take > left)
			take = (size_t)left;
		if (take > n - got)
			take = n - got;
		if (read_block(h, at + got, direct ? to : h->block, e) != 0)
			return err_in(e, "%s", h->path);
		if (!direct)
			memcpy(to, h->block + skip, take);
		got += take;
	}
	*ret_n = got;
	return 0;
}

struct apply_content content_of(struct snapshot *s)
{
	return (struct apply_content){
	    .open = content_open, .read = content_read, .close = content_close, .ctx = s};
}
