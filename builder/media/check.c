#include "media/check.h"

#include "base/log.h"
#include "sys/par.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	AT_ONCE = 64, /* blocks */
	PER_BLOCK = MEDIUM_BLOCK / VERITY_BLOCK,
	PER_NODE = VERITY_BLOCK / DIGEST_BYTES, /* hashes in a block of them */
};

/* Of a block that was looked at: FINE, or why not. */
enum state { FINE, OTHER, UNREADABLE, MISSING, SKIPPED };

struct checking {
	const struct medium *m;
	int fd;
	bool used;
	size_t first;   /* of those that are looked at now */
	uint8_t *state; /* of each block */
};

static void check_one(void *ctx, size_t n)
{
	struct checking *c = ctx;
	const size_t i = c->first + n;
	const struct medium_part *p = medium_part_at(c->m, (uint64_t)i * MEDIUM_BLOCK);
	struct digest d;
	int failed;

	if (c->used && p->data) {
		c->state[i] = SKIPPED;
		return;
	}
	failed = medium_block(c->m, c->fd, i, &d);
	if (failed != 0)
		c->state[i] = failed == ENODATA ? MISSING : UNREADABLE;
	else
		c->state[i] = digest_equal(&d, &c->m->blocks[i]) ? FINE : OTHER;
}

/* Some at a time: how far it is, one thread says. */
static void check_all(struct checking *c)
{
	const size_t all = c->m->blocks_n;

	for (; c->first < all; c->first += AT_ONCE) {
		size_t n = all - c->first < AT_ONCE ? all - c->first : AT_ONCE;

		par_each(n, 0, check_one, c);
		log_progress("verify", c->first + n, all);
	}
}

/* A place joins the one before it when nothing lies between them. */
static void add(struct check_report *r, const struct check_place *p)
{
	struct check_place *last = r->n > 0 ? &r->v[r->n - 1] : NULL;

	r->wrong += p->size;
	if (last != NULL && last->part == p->part && last->kind == p->kind &&
	    last->at + last->size == p->at) {
		last->size += p->size;
		return;
	}
	if (r->n == CHECK_PLACES)
		return;
	r->v = mem_resize(r->v, r->n + 1, sizeof(*r->v));
	r->v[r->n++] = *p;
}

/* Where the hashes of the root's own blocks are: behind a block that says what they are come those
 * of all levels, the topmost first (Documentation/admin-guide/device-mapper/verity.rst of Linux).
 */
static uint64_t leaves_at(const struct medium *m, const struct medium_part *hash)
{
	uint64_t at = 1, n = (m->verity.blocks + PER_NODE - 1) / PER_NODE;

	while (n > 1) {
		n = (n + PER_NODE - 1) / PER_NODE;
		at += n;
	}
	return hash->at + at * VERITY_BLOCK;
}

/* The hash that one of them should have, when the block of the medium that tells it is fine. */
static bool leaf(const struct checking *c, uint64_t n, struct digest *ret)
{
	const struct medium_part *hash = medium_hashes(c->m);
	uint64_t at;

	if (hash == NULL)
		return false;
	at = leaves_at(c->m, hash) + n * DIGEST_BYTES;
	if (at + DIGEST_BYTES > hash->at + hash->size || c->state[at / MEDIUM_BLOCK] != FINE)
		return false;
	return pread(c->fd, ret->b, DIGEST_BYTES, (off_t)at) == DIGEST_BYTES;
}

static struct digest salted(const struct medium *m, const char *p)
{
	struct hash *h SCOPED(hash_freep) = hash_new();

	hash_add(h, m->verity.salt.b, DIGEST_BYTES);
	hash_add(h, p, VERITY_BLOCK);
	return hash_final(h);
}

/* The one of the root's own blocks at a byte of the medium: 0 as it should be, 1 not, -1 when that
 * cannot be told. */
static int check_own(const struct checking *c, const struct medium_part *root, uint64_t at)
{
	uint64_t n = (at - root->at) / VERITY_BLOCK;
	char p[VERITY_BLOCK];
	struct digest want, is;

	if (n >= c->m->verity.blocks || !leaf(c, n, &want) ||
	    pread(c->fd, p, sizeof(p), (off_t)at) != (ssize_t)sizeof(p))
		return -1;
	is = salted(c->m, p);
	return digest_equal(&is, &want) ? 0 : 1;
}

/* A block of the root that is another: which of its own blocks are. Returns false when that cannot
 * be told. */
static bool narrow(const struct checking *c, const struct medium_part *root, uint64_t at,
		   struct check_report *r)
{
	bool wrong[PER_BLOCK];

	if (!c->m->verity.there || root != medium_root(c->m))
		return false;
	for (size_t i = 0; i < PER_BLOCK; i++) {
		int rc = check_own(c, root, at + i * VERITY_BLOCK);

		if (rc < 0)
			return false;
		wrong[i] = rc == 1;
	}
	if (memchr(wrong, true, sizeof(wrong)) == NULL)
		return false;
	for (size_t i = 0; i < PER_BLOCK; i++)
		if (wrong[i])
			add(r, &(struct check_place){root, at + i * VERITY_BLOCK, VERITY_BLOCK,
						     CHECK_OTHER});
	return true;
}

static void report_one(const struct checking *c, size_t i, struct check_report *r)
{
	static const enum check_kind kinds[] = {
	    [OTHER] = CHECK_OTHER, [UNREADABLE] = CHECK_UNREADABLE, [MISSING] = CHECK_MISSING};
	const uint64_t at = (uint64_t)i * MEDIUM_BLOCK;
	const struct medium_part *p = medium_part_at(c->m, at);
	const size_t size = medium_block_size(c->m, i);

	if (c->state[i] == SKIPPED)
		r->skipped += size;
	else
		r->bytes += size;
	if (c->state[i] == FINE || c->state[i] == SKIPPED)
		return;
	if (c->state[i] == OTHER && narrow(c, p, at, r))
		return;
	add(r, &(struct check_place){p, at, size, kinds[c->state[i]]});
}

static int check_from(struct checking *c, struct check_report *ret, struct err *e)
{
	const size_t from = c->first;
	off_t size = lseek(c->fd, 0, SEEK_END);

	if (size < 0)
		return err_sys(e, "find its end");
	*ret = (struct check_report){0};
	if ((uint64_t)size > c->m->size)
		ret->behind = (uint64_t)size - c->m->size;
	c->state = mem_zalloc(c->m->blocks_n + 1);
	check_all(c);
	for (size_t i = from; i < c->m->blocks_n; i++)
		report_one(c, i, ret);
	free(c->state);
	return 0;
}

int check_medium(const struct medium *m, int fd, bool used, struct check_report *ret, struct err *e)
{
	struct checking c = {.m = m, .fd = fd, .used = used};

	return check_from(&c, ret, e);
}

int check_behind_first(const struct medium *m, int fd, struct check_report *ret, struct err *e)
{
	struct checking c = {.m = m, .fd = fd, .first = 1};

	return check_from(&c, ret, e);
}

void check_release(struct check_report *r)
{
	free(r->v);
}
