#include "sys/par.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

enum { THREADS_MAX = 64 };

struct work {
	size_t next; /* by __atomic_* only */
	size_t n;
	void (*fn)(void *ctx, size_t i);
	void *ctx;
};

unsigned par_cpus(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n > 0 ? (unsigned)n : 1;
}

unsigned par_disk(void)
{
	unsigned n = par_cpus();

	return n < 2 ? 8 : n < 8 ? 4 * n : 32;
}

static void *run(void *arg)
{
	struct work *w = arg;
	size_t i;

	while ((i = __atomic_fetch_add(&w->next, 1, __ATOMIC_RELAXED)) < w->n)
		w->fn(w->ctx, i);
	return NULL;
}

void par_each(size_t n, unsigned threads, void (*fn)(void *ctx, size_t i), void *ctx)
{
	struct work w = {.n = n, .fn = fn, .ctx = ctx};
	pthread_t others[THREADS_MAX];
	unsigned want = threads > 0 ? threads : par_cpus(), started = 0;
	sigset_t all, before;

	want = want < THREADS_MAX ? want : THREADS_MAX;
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	while (started + 1 < want && started + 1 < n &&
	       pthread_create(&others[started], NULL, run, &w) == 0)
		started++;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	(void)run(&w);
	for (unsigned i = 0; i < started; i++)
		(void)pthread_join(others[i], NULL);
}
