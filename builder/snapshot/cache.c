#include "snapshot/cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { PLACES = 8 };

/* A place is `busy` while it is being filled; nobody takes it for another segment then, nor while
 * somebody copies from it. */
struct cache_place {
	uint32_t segment; /* one more than it is; 0 = empty */
	unsigned users;
	bool busy;
	uint64_t used; /* when it was last */
	uint8_t *bytes;
	struct block *block;
};

struct cache {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t turn;
	unsigned n;
	struct cache_place v[PLACES];
};

struct cache *cache_new(unsigned places)
{
	struct cache *c = mem_zalloc(sizeof(*c));

	c->n = places < PLACES ? places : PLACES;
	(void)pthread_mutex_init(&c->lock, NULL);
	(void)pthread_cond_init(&c->changed, NULL);
	return c;
}

void cache_free(struct cache *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < PLACES; i++) {
		free(c->v[i].bytes);
		block_free(c->v[i].block);
	}
	(void)pthread_cond_destroy(&c->changed);
	(void)pthread_mutex_destroy(&c->lock);
	free(c);
}

/* The place that has it, else the one that was not used for longest, else NULL. */
static struct cache_place *choose(struct cache *c, uint32_t segment)
{
	struct cache_place *oldest = NULL;

	for (size_t i = 0; i < c->n; i++) {
		struct cache_place *p = &c->v[i];

		if (p->segment == segment)
			return p;
		if (p->users == 0 && !p->busy && (oldest == NULL || p->used < oldest->used))
			oldest = p;
	}
	return oldest;
}

static int fill(struct cache *c, struct snapshot_repo *r, struct cache_place *p, struct err *e)
{
	uint32_t i = p->segment - 1;
	int rc;

	(void)pthread_mutex_unlock(&c->lock);
	if (p->bytes == NULL) {
		p->bytes = mem_resize(NULL, PACK_SEGMENT_MAX, 1);
		p->block = block_new(0);
	}
	rc = repo_segment(r, &r->segments[i], p->block, p->bytes, e);
	(void)pthread_mutex_lock(&c->lock);
	p->busy = false;
	if (rc != 0)
		p->segment = 0;
	(void)pthread_cond_broadcast(&c->changed);
	return rc;
}

int cache_copy(struct cache *c, struct snapshot_repo *r, const struct block_at *at, void *to,
	       struct err *e)
{
	struct cache_place *p;
	int rc = 0;

	(void)pthread_mutex_lock(&c->lock);
	while ((p = choose(c, at->segment + 1)) == NULL ||
	       (p->segment == at->segment + 1 && p->busy))
		(void)pthread_cond_wait(&c->changed, &c->lock);
	p->used = ++c->turn;
	if (p->segment != at->segment + 1) {
		p->segment = at->segment + 1;
		p->busy = true;
		rc = fill(c, r, p, e);
	}
	if (rc == 0) {
		p->users++;
		(void)pthread_mutex_unlock(&c->lock);
		memcpy(to, p->bytes + at->from, at->size);
		(void)pthread_mutex_lock(&c->lock);
		if (--p->users == 0)
			(void)pthread_cond_broadcast(&c->changed);
	}
	(void)pthread_mutex_unlock(&c->lock);
	return rc;
}
