/* Any bytes as what a repository is made of, past its seals: directories of packs, indexes, records
 * of ids, lists of contents, and format.json before them. */
#include "fuzz.h"

#include "snapshot/items.h"

static int count(void *ctx, const struct pack_segment *s, struct err *e)
{
	size_t *n = ctx;
	uint32_t plain = 0;

	(void)e;
	for (uint32_t i = 0; i < s->blocks; i++) {
		struct block_id id = pack_row_id(s, i);

		*n += id.b[0];
		plain += pack_row_size(s, i);
	}
	HOLDS(plain == s->plain && plain <= PACK_SEGMENT_MAX);
	HOLDS(s->sealed <= PACK_SEALED_MAX);
	return 0;
}

/* What is taken can be written, and is the same again. */
static int take_entry(void *ctx, const struct pack_entry *en, struct err *e)
{
	struct buf *out = ctx;
	size_t n = 0;

	(void)!pack_directory_each(en->directory, en->directory_n, en->size, count, &n, e);
	pack_entry_add(en, out);
	return 0;
}

static void read_items(const uint8_t *p, size_t n)
{
	struct items c SCOPED(items_release);
	struct err e = ERR_INIT;
	size_t all = 0;

	items_init(&c);
	buf_add(&c.bytes, p, n);
	if (items_parse(&c, &e) != 0)
		return;
	for (size_t i = 0; i < c.n; i++)
		all += item_size(c.v[i]);
	HOLDS(all == n);
	items_sort(&c);
	for (size_t i = 0; i < c.n; i++) {
		struct digest d;

		memcpy(d.b, c.v[i], DIGEST_BYTES);
		HOLDS(items_find(&c, &d) != NULL);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct buf again SCOPED(buf_release) = BUF_INIT(n + 1);
	const struct key_from secret = {"secret", NULL, 6, 0};
	struct seal_key key;
	struct err e = ERR_INIT;
	size_t sum = 0;

	if (n == 0)
		return 0;
	switch (p[0] % 4) {
	case 0:
		if (pack_entries_each(p + 1, n - 1, take_entry, &again, &e) == 0)
			HOLDS(again.len == n - 1 && memcmp(again.data, p + 1, n - 1) == 0);
		break;
	case 1:
		(void)!pack_directory_each(p + 1, n - 1, n + 1000, count, &sum, &e);
		break;
	case 2:
		read_items(p + 1, n - 1);
		break;
	default:
		(void)!seal_key_parse((const char *)p + 1, n - 1, &secret, &key, &e);
		break;
	}
	return 0;
}
