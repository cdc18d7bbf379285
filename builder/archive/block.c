#include "archive/block.h"

#include <stdlib.h>
#include <zstd.h>

struct block {
	ZSTD_CCtx *pack; /* made when first wanted, as the other */
	ZSTD_DCtx *unpack;
	int level;
};

struct block *block_new(int level)
{
	struct block *b = mem_zalloc(sizeof(*b));

	b->level = level;
	return b;
}

void block_free(struct block *b)
{
	if (b == NULL)
		return;
	(void)ZSTD_freeCCtx(b->pack);
	(void)ZSTD_freeDCtx(b->unpack);
	free(b);
}

void block_freep(struct block **b)
{
	block_free(*b);
	*b = NULL;
}

size_t block_room(size_t n)
{
	return ZSTD_compressBound(n);
}

size_t block_pack(struct block *b, const void *in, size_t n, void *out)
{
	size_t r;

	if (b->pack == NULL)
		b->pack = ZSTD_createCCtx();
	if (b->pack == NULL)
		mem_exhausted();
	r = ZSTD_compressCCtx(b->pack, out, block_room(n), in, n, b->level);
	if (ZSTD_isError(r)) /* there is room: it can only be memory */
		mem_exhausted();
	return r;
}

int block_unpack(struct block *b, const void *in, size_t n, void *out, size_t want, struct err *e)
{
	size_t r;

	if (b->unpack == NULL)
		b->unpack = ZSTD_createDCtx();
	if (b->unpack == NULL)
		mem_exhausted();
	r = ZSTD_decompressDCtx(b->unpack, out, want, in, n);
	if (ZSTD_isError(r))
		return err_set(e, ERR_VERIFY, "zstd: %s", ZSTD_getErrorName(r));
	return r == want ? 0
			 : err_set(e, ERR_VERIFY, "zstd: %zu bytes where %zu should be", r, want);
}
