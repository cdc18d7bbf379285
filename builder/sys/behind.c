#include "sys/behind.h"

#include "sys/fs.h"
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM = 256 << 10, PUSH_OUT = 8 << 20 };

struct behind {
	int fd;
	struct hash *hash;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	char *room[2];
	size_t len[2];
	unsigned filling; /* which of the two the caller fills */
	bool full;        /* the other is the thread's to write */
	bool end;
	uint64_t since; /* bytes since the disk was last told to begin */
	struct err failed;
	bool has_failed;
};

/* So that the fsync at the end finds little left. */
static void push_out(struct behind *b, size_t n)
{
	b->since += n;
	if (b->since < PUSH_OUT)
		return;
	(void)sync_file_range(b->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	b->since = 0;
}

static void write_one(struct behind *b, unsigned i)
{
	struct err e = ERR_INIT;

	if (b->has_failed)
		return;
	if (fs_write_all(b->fd, b->room[i], b->len[i], &e) == 0) {
		hash_add(b->hash, b->room[i], b->len[i]);
		push_out(b, b->len[i]);
		return;
	}
	b->failed = e;
	b->has_failed = true;
}

static void *work(void *ctx)
{
	struct behind *b = ctx;

	(void)pthread_mutex_lock(&b->lock);
	for (;;) {
		while (!b->full && !b->end)
			(void)pthread_cond_wait(&b->changed, &b->lock);
		if (!b->full)
			break;
		(void)pthread_mutex_unlock(&b->lock);
		write_one(b, 1 - b->filling);
		(void)pthread_mutex_lock(&b->lock);
		b->full = false;
		(void)pthread_cond_broadcast(&b->changed);
	}
	(void)pthread_mutex_unlock(&b->lock);
	return NULL;
}

static bool start(struct behind *b)
{
	sigset_t all, before;
	int rc;

	/* signals are the caller's */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&b->thread, NULL, work, b);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc == 0;
}

static void release(struct behind *b)
{
	(void)pthread_cond_destroy(&b->changed);
	(void)pthread_mutex_destroy(&b->lock);
	free(b->room[0]);
	free(b->room[1]);
	free(b);
}

struct behind *behind_new(int fd, struct hash *hash)
{
	struct behind *b = mem_zalloc(sizeof(*b));

	b->fd = fd;
	b->hash = hash;
	b->room[0] = mem_zalloc(ROOM);
	b->room[1] = mem_zalloc(ROOM);
	(void)pthread_mutex_init(&b->lock, NULL);
	(void)pthread_cond_init(&b->changed, NULL);
	if (start(b))
		return b;
	release(b);
	return NULL;
}

/* Waits until the thread has nothing to do, and says what went wrong. */
static int idle(struct behind *b, struct err *e)
{
	int rc = 0;

	(void)pthread_mutex_lock(&b->lock);
	while (b->full)
		(void)pthread_cond_wait(&b->changed, &b->lock);
	if (b->has_failed) {
		*e = b->failed;
		rc = -1;
	}
	(void)pthread_mutex_unlock(&b->lock);
	return rc;
}

static int hand_over(struct behind *b, struct err *e)
{
	if (idle(b, e) != 0)
		return -1;
	(void)pthread_mutex_lock(&b->lock);
	b->filling = 1 - b->filling;
	b->len[b->filling] = 0;
	b->full = true;
	(void)pthread_cond_broadcast(&b->changed);
	(void)pthread_mutex_unlock(&b->lock);
	return 0;
}

int behind_add(struct behind *b, const void *p, size_t n, struct err *e)
{
	const char *from = p;

	while (n > 0) {
		size_t *len = &b->len[b->filling];
		size_t take = ROOM - *len < n ? ROOM - *len : n;

		memcpy(b->room[b->filling] + *len, from, take);
		*len += take;
		from += take;
		n -= take;
		if (*len == ROOM && hand_over(b, e) != 0)
			return -1;
	}
	return 0;
}

int behind_wait(struct behind *b, struct err *e)
{
	if (b->len[b->filling] > 0 && hand_over(b, e) != 0)
		return -1;
	return idle(b, e);
}

void behind_free(struct behind *b)
{
	struct err quiet = ERR_INIT;

	if (b == NULL)
		return;
	(void)!behind_wait(b, &quiet);
	(void)pthread_mutex_lock(&b->lock);
	b->end = true;
	(void)pthread_cond_broadcast(&b->changed);
	(void)pthread_mutex_unlock(&b->lock);
	(void)pthread_join(b->thread, NULL);
	release(b);
}
