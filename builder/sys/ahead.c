#include "sys/ahead.h"

#include "base/mem.h"
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

struct ahead {
	void (*fn)(void *ctx, size_t i);
	void (*told)(void *ctx);
	void *ctx;
	size_t n, most;
	size_t done;   /* of the first so many */
	size_t wanted; /* so many may be done by now */
	bool threaded, end;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
};

static void *work(void *ctx)
{
	struct ahead *a = ctx;

	(void)pthread_mutex_lock(&a->lock);
	while (a->done < a->n && !a->end) {
		if (a->done >= a->wanted) {
			(void)pthread_cond_wait(&a->changed, &a->lock);
			continue;
		}
		(void)pthread_mutex_unlock(&a->lock);
		a->fn(a->ctx, a->done);
		(void)pthread_mutex_lock(&a->lock);
		a->done++;
		(void)pthread_cond_broadcast(&a->changed);
		if (a->told != NULL)
			a->told(a->ctx);
	}
	(void)pthread_mutex_unlock(&a->lock);
	return NULL;
}

struct ahead *ahead_new(size_t n, size_t most, void (*fn)(void *ctx, size_t i),
			void (*told)(void *ctx), void *ctx)
{
	struct ahead *a = mem_zalloc(sizeof(*a));
	sigset_t all, before;

	a->fn = fn;
	a->told = told;
	a->ctx = ctx;
	a->n = n;
	a->most = most;
	a->wanted = most;
	(void)pthread_mutex_init(&a->lock, NULL);
	(void)pthread_cond_init(&a->changed, NULL);
	/* signals are the caller's */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	a->threaded = n > 0 && pthread_create(&a->thread, NULL, work, a) == 0;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return a;
}

/* Lets the thread go on so far. The lock is held. */
static void want(struct ahead *a, size_t i)
{
	if (i + 1 + a->most <= a->wanted)
		return;
	a->wanted = i + 1 + a->most;
	(void)pthread_cond_broadcast(&a->changed);
}

bool ahead_done(struct ahead *a, size_t i)
{
	bool done;

	if (!a->threaded)
		return true;
	(void)pthread_mutex_lock(&a->lock);
	want(a, i);
	done = a->done > i;
	(void)pthread_mutex_unlock(&a->lock);
	return done;
}

void ahead_wait(struct ahead *a, size_t i)
{
	for (; !a->threaded && a->done <= i; a->done++)
		a->fn(a->ctx, a->done);
	(void)pthread_mutex_lock(&a->lock);
	want(a, i);
	while (a->done <= i)
		(void)pthread_cond_wait(&a->changed, &a->lock);
	(void)pthread_mutex_unlock(&a->lock);
}

void ahead_free(struct ahead *a)
{
	if (a == NULL)
		return;
	if (a->threaded) {
		(void)pthread_mutex_lock(&a->lock);
		a->end = true;
		(void)pthread_cond_broadcast(&a->changed);
		(void)pthread_mutex_unlock(&a->lock);
		(void)pthread_join(a->thread, NULL);
	}
	(void)pthread_cond_destroy(&a->changed);
	(void)pthread_mutex_destroy(&a->lock);
	free(a);
}
