/* Blocks of 1 MiB are compressed independently, each a gzip member of its own (RFC 1952, 2.2): that
 * is what libdeflate makes, in a third of zlib's time. Where a block begins depends only on the
 * input, so the number of threads changes nothing but the time. The caller fills blocks of a ring,
 * workers compress them in any order, and the caller writes them out in order when it needs a free
 * one. */
#include "archive/codec.h"

#include <libdeflate.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
	BLOCK = 1 << 20,
	SPARE_BLOCKS = 4,
	THREADS_MAX = 16,
};

struct block {
	uint8_t *in, *out;
	size_t in_len, out_len;
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
};

static void *worker(void *arg)
{
	struct gzip *g = arg;
	struct libdeflate_compressor *c = libdeflate_alloc_compressor(g->level);
	bool ok = c != NULL;

	(void)pthread_mutex_lock(&g->lock);
	while (true) {
		struct block *b;

		while (!g->stop && g->taken == g->submitted)
			(void)pthread_cond_wait(&g->work, &g->lock);
		if (g->stop)
			break;
		b = &g->ring[g->taken++ % g->ring_n];
		(void)pthread_mutex_unlock(&g->lock);
		if (ok)
			b->out_len =
			    libdeflate_gzip_compress(c, b->in, b->in_len, b->out, g->out_cap);
		ok = ok && b->out_len > 0;
		(void)pthread_mutex_lock(&g->lock);
		b->done = true;
		g->broken = g->broken || !ok;
		(void)pthread_cond_signal(&g->ready);
	}
	(void)pthread_mutex_unlock(&g->lock);
	libdeflate_free_compressor(c);
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
		return err_set(e, ERR_FAIL, "gzip: libdeflate failed");
	*ret_wrote = done;
	if (!done)
		return 0;
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

static void reserve(const struct gzip *g, struct block *b)
{
	if (b->in != NULL)
		return;
	b->in = mem_resize(NULL, BLOCK, 1);
	b->out = mem_resize(NULL, g->out_cap, 1);
}

static int gzip_write(void *ctx, const void *p, size_t n, struct err *e)
{
	struct gzip *g = ctx;
	const uint8_t *at = p;

	while (n > 0) {
		struct block *b = &g->ring[g->filled % g->ring_n];
		size_t part = BLOCK - b->in_len < n ? BLOCK - b->in_len : n;

		reserve(g, b);
		memcpy(b->in + b->in_len, at, part);
		b->in_len += part;
		at += part;
		n -= part;
		if (b->in_len == BLOCK && submit(g, e) != 0)
			return -1;
	}
	return 0;
}

/* Of no bytes at all there is one member that is empty. */
static int gzip_finish(void *ctx, struct err *e)
{
	struct gzip *g = ctx;
	struct block *b = &g->ring[g->filled % g->ring_n];
	bool wrote;

	reserve(g, b);
	if ((b->in_len > 0 || g->filled == 0) && submit(g, e) != 0)
		return -1;
	while (g->drained < g->filled)
		if (drain_one(g, true, &wrote, e) != 0)
			return -1;
	return 0;
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
	struct gzip *g = mem_zalloc(sizeof(*g));

	threads = threads > THREADS_MAX ? THREADS_MAX : threads;
	g->out = *out;
	g->level = level;
	g->out_cap = libdeflate_gzip_compress_bound(NULL, BLOCK);
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
