#include "scan/columns.h"

#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

/* Eight numbers that all fit by chance are one in a hundred million. */
enum { SLOTS = 512, PROBES = 16, HITS_MIN = 8, DIFFERENT_MIN = 6 };

struct column {
	uint16_t run, off, len; /* digits of the run, before the number, of the number */
	uint64_t tries, hits;
	uint64_t different; /* a bit for the hash of each number */
	uint64_t at;        /* of the first hit */
	const char *issuer;
	char seen[CARD_MAX + 1];
	bool test;
};

struct columns {
	struct column slots[SLOTS];
};

/* The slot of a column; NULL when there are too many. */
static struct column *find(struct columns *c, size_t run, size_t off, size_t len)
{
	size_t h = run * 31 + off * 7 + len * 131;

	for (size_t i = 0; i < PROBES; i++) {
		struct column *s = &c->slots[(h + i) % SLOTS];

		if (s->run == 0)
			*s = (struct column){
			    .run = (uint16_t)run, .off = (uint16_t)off, .len = (uint16_t)len};
		if (s->run == run && s->off == off && s->len == len)
			return s;
	}
	return NULL;
}

static uint64_t hash(const char *d, size_t n)
{
	uint64_t h = 0;

	for (size_t i = 0; i < n; i++)
		h = h * 10 + (uint64_t)(d[i] - '0');
	return h * UINT64_C(0x9e3779b97f4a7c15) >> 58;
}

static void hit(struct column *s, const char *d, uint64_t at)
{
	if (s->hits++ == 0) {
		s->at = at + s->off;
		s->issuer = issuer_of(d, s->len);
		s->test = issuer_is_test(d, s->len);
		match_mask(d, s->len, s->seen);
	}
	s->different |= UINT64_C(1) << hash(d, s->len);
}

void columns_add(struct columns **c, const char *digits, size_t n, uint64_t at)
{
	if (*c == NULL)
		*c = mem_zalloc(sizeof(**c));
	for (size_t len = 14; len <= 16 && len < n; len++) {
		for (size_t off = 0; off + len <= n; off++) {
			struct column *s;

			if (issuer_of(digits + off, len) == NULL)
				continue;
			s = find(*c, n, off, len);
			if (s == NULL)
				continue;
			s->tries++;
			if (issuer_luhn(digits + off, len))
				hit(s, digits + off, at);
		}
	}
}

void columns_report(const struct columns *c, const struct matcher *m)
{
	for (size_t i = 0; c != NULL && i < SLOTS; i++) {
		const struct column *s = &c->slots[i];
		struct match one = {
		    .cls = s->test ? SCAN_TEST_PAN : SCAN_PAN, .at = s->at, .what = s->issuer};

		if (s->hits < HITS_MIN || __builtin_popcountll(s->different) < DIFFERENT_MIN ||
		    s->hits * 10 < s->tries * 9)
			continue;
		memcpy(one.seen, s->seen, sizeof(one.seen));
		for (uint64_t k = 0; k < s->hits; k++)
			m->fn(m->ctx, &one);
	}
}

void columns_freep(struct columns **c)
{
	free(*c);
	*c = NULL;
}
