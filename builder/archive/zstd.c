/* Always the multi-threaded interface: the library's single-threaded one gives other bytes. The
 * job size is fixed, so the number of threads changes nothing but the time. */
#include "archive/codec.h"

#include <stdbool.h>
#include <stdlib.h>
#include <zstd.h>

enum {
	JOB_SIZE = 2 << 20,
	WINDOW_LOG = 21, /* keeps the memory of the high levels bounded, here and in the reader */
	THREADS_MAX = 8,
};

struct zst {
	struct sink out;
	ZSTD_CCtx *cctx;
	void *buf;
	size_t cap;
};

static int pump(struct zst *z, ZSTD_inBuffer *in, bool end, struct err *e)
{
	bool more = true;

	while (more) {
		ZSTD_outBuffer out = {z->buf, z->cap, 0};
		size_t left =
		    ZSTD_compressStream2(z->cctx, &out, in, end ? ZSTD_e_end : ZSTD_e_continue);

		if (ZSTD_isError(left))
			return err_set(e, ERR_FAIL, "zstd: %s", ZSTD_getErrorName(left));
		if (out.pos > 0 && sink_write(&z->out, z->buf, out.pos, e) != 0)
			return -1;
		more = end ? left > 0 : in->pos < in->size;
	}
	return 0;
}

static int zst_write(void *ctx, const void *p, size_t n, struct err *e)
{
	ZSTD_inBuffer in = {p, n, 0};

	return pump(ctx, &in, false, e);
}

/* The end comes in a call of its own: with data in it, the library would take the size of that
 * data for the size of everything and might choose its single-threaded interface. */
static int zst_finish(void *ctx, struct err *e)
{
	struct zst *z = ctx;
	ZSTD_inBuffer in = {z->buf, 0, 0};

	return pump(z, &in, true, e);
}

static void zst_free(void *ctx)
{
	struct zst *z = ctx;

	(void)ZSTD_freeCCtx(z->cctx);
	free(z->buf);
	free(z);
}

static bool configure(ZSTD_CCtx *cctx, int level, unsigned threads)
{
	const struct {
		ZSTD_cParameter name;
		int value;
	} set[] = {
	    {ZSTD_c_compressionLevel, level}, {ZSTD_c_nbWorkers, (int)threads},
	    {ZSTD_c_jobSize, JOB_SIZE},       {ZSTD_c_windowLog, WINDOW_LOG},
	    {ZSTD_c_checksumFlag, 1},
	};

	for (size_t i = 0; i < sizeof(set) / sizeof(set[0]); i++)
		if (ZSTD_isError(ZSTD_CCtx_setParameter(cctx, set[i].name, set[i].value)))
			return false;
	return true;
}

int codec_zstd(int level, unsigned threads, const struct sink *out, struct codec *ret,
	       struct err *e)
{
	struct zst *z = mem_zalloc(sizeof(*z));

	z->out = *out;
	z->cap = ZSTD_CStreamOutSize();
	z->buf = mem_resize(NULL, z->cap, 1);
	z->cctx = ZSTD_createCCtx();
	if (z->cctx == NULL ||
	    !configure(z->cctx, level, threads > THREADS_MAX ? THREADS_MAX : threads)) {
		zst_free(z);
		return err_set(e, ERR_FAIL, "zstd: this library has no threads");
	}
	*ret = (struct codec){zst_write, zst_finish, zst_free, z};
	return 0;
}
