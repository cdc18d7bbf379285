#include "sys/relay.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

struct relay {
	relay_fn *fn;
	void *ctx;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	void *room[2];
	int filling; /* the caller's; the other one is the thread's while `full` */
	bool alone;  /* there is no thread */
	bool full, end, has_failed;
	struct err failed;
};

static void do_one(struct relay *r, void *room)
{
	struct err why = ERR_INIT;

	if (r->has_failed || r->fn(r->ctx, room, &why) == 0)
		return;
	r->failed = why;
	r->has_failed = true;
}

static void *work(void *ctx)
{
	struct relay *r = ctx;

	(void)pthread_mutex_lock(&r->lock);
	for (;;) {
		while (!r->full && !r->end)
			(void)pthread_cond_wait(&r->changed, &r->lock);
		if (!r->full)
			break;
		(void)pthread_mutex_unlock(&r->lock);
		do_one(r, r->room[1 - r->filling]);
		(void)pthread_mutex_lock(&r->lock);
		r->full = false;
		(void)pthread_cond_broadcast(&r->changed);
	}
	(void)pthread_mutex_unlock(&r->lock);
	return NULL;
}

struct relay *relay_new(void *const rooms[2], relay_fn *fn, void *ctx)
{
	struct relay *r = mem_zalloc(sizeof(*r));
	sigset_t all, before;

	r->fn = fn;
	r->ctx = ctx;
	r->room[0] = rooms[0];
	r->room[1] = rooms[1];
	(void)pthread_mutex_init(&r->lock, NULL);
	(void)pthread_cond_init(&r->changed, NULL);
	/* signals are the caller's */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	r->alone = pthread_create(&r->thread, NULL, work, r) != 0;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r;
}

void *relay_room(const struct relay *r)
{
	return r->room[r->filling];
}

int relay_wait(struct relay *r, struct err *e)
{
	int rc = 0;

	(void)pthread_mutex_lock(&r->lock);
	while (r->full)
		(void)pthread_cond_wait(&r->changed, &r->lock);
	if (r->has_failed) {
		*e = r->failed;
		rc = -1;
	}
	(void)pthread_mutex_unlock(&r->lock);
	return rc;
}

int relay_hand(struct relay *r, struct err *e)
{
	if (r->alone)
		do_one(r, relay_room(r));
	if (relay_wait(r, e) != 0)
		return -1;
	(void)pthread_mutex_lock(&r->lock);
	r->filling = 1 - r->filling;
	r->full = !r->alone;
	(void)pthread_cond_broadcast(&r->changed);
	(void)pthread_mutex_unlock(&r->lock);
	return 0;
}

void relay_free(struct relay *r)
{
	if (r == NULL)
		return;
	(void)pthread_mutex_lock(&r->lock);
	r->end = true;
	(void)pthread_cond_broadcast(&r->changed);
	(void)pthread_mutex_unlock(&r->lock);
	if (!r->alone)
		(void)pthread_join(r->thread, NULL);
	(void)pthread_cond_destroy(&r->changed);
	(void)pthread_mutex_destroy(&r->lock);
	free(r);
}
