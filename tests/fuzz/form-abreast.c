/* Any bytes as streams: two of them say how much of the rest goes to each stream, and which of
 * these end; each digest is that of its stream by itself. */
#include "fuzz.h"

#include "form/abreast.h"

struct streams {
	struct abreast *fast, *plain;
	struct hash *alone[ABREAST];
};

static void end(struct streams *s, unsigned i)
{
	struct digest a = abreast_final(s->fast, i), b = abreast_final(s->plain, i),
		      c = hash_final(s->alone[i]);

	HOLDS(digest_equal(&a, &c) && digest_equal(&b, &c));
}

/* Of 16 bits each stream has 5 for its length, in units of 17 bytes. Returns how much was taken. */
static size_t add(struct streams *s, unsigned bits, const uint8_t *from, size_t n)
{
	const uint8_t *p[ABREAST];
	size_t part[ABREAST], at = 0;

	for (unsigned i = 0; i < ABREAST; i++) {
		size_t want = (bits >> 5 * i & 31) * 17;

		part[i] = want < n - at ? want : n - at;
		p[i] = part[i] > 0 ? from + at : NULL;
		if (part[i] > 0)
			hash_add(s->alone[i], p[i], part[i]);
		at += part[i];
	}
	abreast_add(s->fast, p, part);
	abreast_add(s->plain, p, part);
	return at;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct streams s = {.fast = abreast_new(false), .plain = abreast_new(true)};
	size_t at = 0;

	for (unsigned i = 0; i < ABREAST; i++)
		s.alone[i] = hash_new();
	while (n - at >= 2) {
		unsigned bits = p[at] | (unsigned)p[at + 1] << 8;

		at += 2;
		at += add(&s, bits, p + at, n - at);
		if (bits >> 15 != 0)
			end(&s, bits % ABREAST);
	}
	for (unsigned i = 0; i < ABREAST; i++) {
		end(&s, i);
		hash_free(s.alone[i]);
	}
	abreast_free(s.fast);
	abreast_free(s.plain);
	return 0;
}
