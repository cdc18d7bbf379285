/* Blocks of 1 MiB are deflated independently, each ending on a byte boundary (Z_SYNC_FLUSH), and
 * joined in one member. Where a block begins depends only on the input, so the number of threads
 * changes nothing but the time. The caller fills blocks of a ring, workers deflate them in any
 * order, and the caller writes them out in order when it needs a free one. */
#include "archive/codec.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
	BLOCK = 1 << 20,
	FLUSH_ROOM = 64, /* for the empty stored block that Z_SYNC_FLUSH ends with */
	SPARE_BLOCKS = 4,
	THREADS_MAX = 16,
	RAW_DEFLATE = -15,
	MEM_LEVEL = 8,
};

struct block {
	uint8_t *in, *out;
	size_t in_len, out_len;
	uint32_t crc;
	bool done;
};

struct gzip {
	struct sink out;
	int level;
	size_t out_cap;
	struct block *ring;
	size_t ring_n;
	uint64_t filled, drained; /* blocks; only the caller's thread uses them, */
	uint64_t submitted;       /* and these are under the lock */
	uint64_t taken;
	bool stop, broken;
	pthread_mutex_t lock;
	pthread_cond_t work, ready;
	pthread_t *threads;
	unsigned threads_n;
	uint32_t crc;
	uint64_t size;
};

static bool deflate_block(z_stream *z, const struct gzip *g, struct block *b)
{
	if (deflateReset(z) != Z_OK)
		return false;
	b->crc = (uint32_t)crc32_z(0, b->in, b->in_len);
	z->next_in = b->in;
	z->avail_in = (uInt)b->in_len;
	z->next_out = b->out;
	z->avail_out = (uInt)g->out_cap;
	if (deflate(z, Z_SYNC_FLUSH) != Z_OK || z->avail_in != 0 || z->avail_out == 0)
		return false;
	b->out_len = g->out_cap - z->avail_out;
	return true;
}

static void *worker(void *arg)
{
	struct gzip *g = arg;
	z_stream z = {0};
	bool ok = deflateInit2(&z, g->level, Z_DEFLATED, RAW_DEFLATE, MEM_LEVEL,
			       Z_DEFAULT_STRATEGY) == Z_OK;

	(void)pthread_mutex_lock(&g->lock);
	while (true) {
		struct block *b;

		while (!g->stop && g->taken == g->submitted)
			(void)pthread_cond_wait(&g->work, &g->lock);
		if (g->stop)
			break;
		b = &g->ring[g->taken++ % g->ring_n];
		(void)pthread_mutex_unlock(&g->lock);
		ok = ok && deflate_block(&z, g, b);
		(void)pthread_mutex_lock(&g->lock);
		b->done = true;
		g->broken = g->broken || !ok;
		(void)pthread_cond_signal(&g->ready);
	}
	(void)pthread_mutex_unlock(&g->lock);
	(void)deflateEnd(&z);
	return NULL;
}

/* Writes the oldest block out; waits for it only when told to. *ret_wrote says whether. */
static int drain_one(struct gzip *g, bool wait, bool *ret_wrote, struct err *e)
{
	struct block *b = &g->ring[g->drained % g->ring_n];
	bool done, broken;

	(void)pthread_mutex_lock(&g->lock);
	while (wait && !b->done)
		(void)pthread_cond_wait(&g->ready, &g->lock);
	done = b->done;
	broken = g->broken;
	(void)pthread_mutex_unlock(&g->lock);
	if (broken)
		return err_set(e, ERR_FAIL, "gzip: zlib failed");
	*ret_wrote = done;
	if (!done)
		return 0;
	g->crc = (uint32_t)crc32_combine(g->crc, b->crc, (z_off_t)b->in_len);
	g->size += b->in_len;
	g->drained++;
	if (sink_write(&g->out, b->out, b->out_len, e) != 0)
		return -1;
	b->done = false;
	b->in_len = 0;
	return 0;
}

static int submit(struct gzip *g, struct err *e)
{
	bool more = true;

	g->filled++;
	(void)pthread_mutex_lock(&g->lock);
	g->submitted = g->filled;
	(void)pthread_cond_signal(&g->work);
	(void)pthread_mutex_unlock(&g->lock);
	while (more && g->drained < g->filled)
		if (drain_one(g, g->filled - g->drained == g->ring_n, &more, e) != 0)
			return -1;
	return 0;
}

static int gzip_write(void *ctx, const void *p, size_t n, struct err *e)
{
	struct gzip *g = ctx;
	const uint8_t *at = p;

	while (n > 0) {
		struct block *b = &g->ring[g->filled % g->ring_n];
		size_t part = BLOCK - b->in_len < n ? BLOCK - b->in_len : n;

		if (b->in == NULL) {
			b->in = mem_resize(NULL, BLOCK, 1);
			b->out = mem_resize(NULL, g->out_cap, 1);
		}
		memcpy(b->in + b->in_len, at, part);
		b->in_len += part;
		at += part;
		n -= part;
		if (b->in_len == BLOCK && submit(g, e) != 0)
			return -1;
	}
	return 0;
}

static void put_le32(uint8_t *p, uint64_t v)
{
	for (unsigned i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static int gzip_finish(void *ctx, struct err *e)
{
	struct gzip *g = ctx;
	/* an empty last deflate block, then CRC-32 and length */
	uint8_t end[10] = {0x03, 0x00};
	bool wrote;

	if (g->ring[g->filled % g->ring_n].in_len > 0 && submit(g, e) != 0)
		return -1;
	while (g->drained < g->filled)
		if (drain_one(g, true, &wrote, e) != 0)
			return -1;
	put_le32(end + 2, g->crc);
	put_le32(end + 6, g->size);
	return sink_write(&g->out, end, sizeof(end), e);
}

static void gzip_free(void *ctx)
{
	struct gzip *g = ctx;

	(void)pthread_mutex_lock(&g->lock);
	g->stop = true;
	(void)pthread_cond_broadcast(&g->work);
	(void)pthread_mutex_unlock(&g->lock);
	for (unsigned i = 0; i < g->threads_n; i++)
		(void)pthread_join(g->threads[i], NULL);
	for (size_t i = 0; i < g->ring_n; i++) {
		free(g->ring[i].in);
		free(g->ring[i].out);
	}
	(void)pthread_cond_destroy(&g->ready);
	(void)pthread_cond_destroy(&g->work);
	(void)pthread_mutex_destroy(&g->lock);
	free(g->threads);
	free(g->ring);
	free(g);
}

/* Signals are for the caller's thread, whose system calls they must interrupt. */
static int start_threads(struct gzip *g, unsigned threads)
{
	sigset_t all, before;
	int rc = 0;

	g->threads = mem_resize(NULL, threads, sizeof(*g->threads));
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	while (rc == 0 && g->threads_n < threads) {
		rc = pthread_create(&g->threads[g->threads_n], NULL, worker, g);
		if (rc == 0)
			g->threads_n++;
	}
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return g->threads_n > 0 ? 0 : -1;
}

int codec_gzip(int level, unsigned threads, const struct sink *out, struct codec *ret,
	       struct err *e)
{
	static const uint8_t head[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255};
	struct gzip *g;

	if (sink_write(out, head, sizeof(head), e) != 0)
		return -1;
	g = mem_zalloc(sizeof(*g));
	threads = threads > THREADS_MAX ? THREADS_MAX : threads;
	g->out = *out;
	g->level = level;
	g->out_cap = compressBound(BLOCK) + FLUSH_ROOM;
	g->ring_n = threads + SPARE_BLOCKS;
	g->ring = mem_zalloc(g->ring_n * sizeof(*g->ring));
	(void)pthread_mutex_init(&g->lock, NULL);
	(void)pthread_cond_init(&g->work, NULL);
	(void)pthread_cond_init(&g->ready, NULL);
	if (start_threads(g, threads) != 0) {
		gzip_free(g);
		return err_set(e, ERR_FAIL, "gzip: no thread can be started");
	}
	*ret = (struct codec){gzip_write, gzip_finish, gzip_free, g};
	return 0;
}
