#include "form/abreast.h"

#include "form/rounds.h"
#include <endian.h>
#include <stdlib.h>
#include <string.h>

struct stream {
	struct rounds state;
	uint64_t bytes;             /* of it so far */
	uint8_t part[ROUNDS_BLOCK]; /* its last bytes that are no block yet */
	struct hash *hash;          /* instead of all that, without the instructions */
};

struct abreast {
	struct stream v[ABREAST];
};

static void start(struct stream *s)
{
	static const struct rounds first = {{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
					     0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19}};

	s->state = first;
	s->bytes = 0;
}

struct abreast *abreast_new(bool plain)
{
	struct abreast *a = mem_zalloc(sizeof(*a));
	bool fast = !plain && rounds_here();

	for (size_t i = 0; i < ABREAST; i++) {
		start(&a->v[i]);
		if (!fast)
			a->v[i].hash = hash_new();
	}
	return a;
}

void abreast_free(struct abreast *a)
{
	if (a == NULL)
		return;
	for (size_t i = 0; i < ABREAST; i++)
		hash_free(a->v[i].hash);
	free(a);
}

static void take(struct stream *s, const uint8_t *p, size_t blocks)
{
	const struct rounds_of one = {&s->state, p};

	rounds_take(&one, 1, blocks);
}

/* Fills up what is no block yet. Returns how many bytes that took. */
static size_t fill_up(struct stream *s, const uint8_t *p, size_t n)
{
	size_t has = s->bytes % ROUNDS_BLOCK, want = ROUNDS_BLOCK - has;

	if (has == 0)
		return 0;
	want = want < n ? want : n;
	memcpy(s->part + has, p, want);
	s->bytes += want;
	if (has + want == ROUNDS_BLOCK)
		take(s, s->part, 1);
	return want;
}

/* What is left of each stream to be hashed. */
struct rest {
	const uint8_t *p[ABREAST];
	size_t n[ABREAST];
};

/* Whole blocks of all streams that have such, as many as each of those has. Returns false when none
 * has. */
static bool take_together(struct abreast *a, struct rest *r)
{
	struct rounds_of of[ABREAST];
	size_t streams = 0, blocks = SIZE_MAX;

	for (size_t i = 0; i < ABREAST; i++) {
		size_t has = r->n[i] / ROUNDS_BLOCK;

		if (has == 0)
			continue;
		of[streams++] = (struct rounds_of){&a->v[i].state, r->p[i]};
		blocks = has < blocks ? has : blocks;
	}
	if (streams == 0)
		return false;
	rounds_take(of, streams, blocks);
	for (size_t i = 0; i < ABREAST; i++) {
		if (r->n[i] < ROUNDS_BLOCK)
			continue;
		r->p[i] += blocks * ROUNDS_BLOCK;
		r->n[i] -= blocks * ROUNDS_BLOCK;
		a->v[i].bytes += blocks * ROUNDS_BLOCK;
	}
	return true;
}

void abreast_add(struct abreast *a, const uint8_t *const p[ABREAST], const size_t n[ABREAST])
{
	struct rest r;

	for (size_t i = 0; i < ABREAST; i++) {
		struct stream *s = &a->v[i];
		size_t done = n[i];

		if (n[i] > 0 && s->hash != NULL)
			hash_add(s->hash, p[i], n[i]);
		else if (n[i] > 0)
			done = fill_up(s, p[i], n[i]);
		r.p[i] = n[i] > 0 ? p[i] + done : NULL;
		r.n[i] = n[i] - done;
	}
	while (take_together(a, &r))
		;
	for (size_t i = 0; i < ABREAST; i++) {
		if (r.n[i] > 0)
			memcpy(a->v[i].part, r.p[i], r.n[i]);
		a->v[i].bytes += r.n[i];
	}
}

struct digest abreast_final(struct abreast *a, unsigned stream)
{
	struct stream *s = &a->v[stream];
	uint64_t bits = htobe64(s->bytes * 8);
	uint8_t end[2 * ROUNDS_BLOCK] = {0};
	size_t has = s->bytes % ROUNDS_BLOCK, blocks = has < ROUNDS_BLOCK - 8 ? 1 : 2;
	struct digest d;

	if (s->hash != NULL)
		return hash_final(s->hash);
	memcpy(end, s->part, has);
	end[has] = 0x80;
	memcpy(end + blocks * ROUNDS_BLOCK - sizeof(bits), &bits, sizeof(bits));
	take(s, end, blocks);
	for (size_t i = 0; i < 8; i++) {
		uint32_t w = htobe32(s->state.w[i]);

		memcpy(d.b + 4 * i, &w, sizeof(w));
	}
	start(s);
	return d;
}
