#include "form/rounds.h"

#if defined(__x86_64__)

#include <cpuid.h>
#include <immintrin.h>

static const uint32_t constants[64] __attribute__((aligned(16))) = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

#define WITH_SHA __attribute__((target("sha,sse4.1,ssse3")))
#define INLINE   static inline __attribute__((always_inline))

/* A stream on its way: its state as the instructions want it, and 16 words of the schedule. */
struct lane {
	__m128i abef, cdgh, w[4];
};

WITH_SHA INLINE void load(struct lane *l, const struct rounds *s)
{
	__m128i dcba = _mm_loadu_si128((const __m128i *)&s->w[0]);
	__m128i hgfe = _mm_loadu_si128((const __m128i *)&s->w[4]);
	__m128i cdab = _mm_shuffle_epi32(dcba, 0xb1), efgh = _mm_shuffle_epi32(hgfe, 0x1b);

	l->abef = _mm_alignr_epi8(cdab, efgh, 8);
	l->cdgh = _mm_blend_epi16(efgh, cdab, 0xf0);
}

WITH_SHA INLINE void store(const struct lane *l, struct rounds *s)
{
	__m128i feba = _mm_shuffle_epi32(l->abef, 0x1b), dchg = _mm_shuffle_epi32(l->cdgh, 0xb1);

	_mm_storeu_si128((__m128i *)&s->w[0], _mm_blend_epi16(feba, dchg, 0xf0));
	_mm_storeu_si128((__m128i *)&s->w[4], _mm_alignr_epi8(dchg, feba, 8));
}

WITH_SHA INLINE void words(struct lane *l, const uint8_t *p)
{
	const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);

#pragma GCC unroll 4
	for (int i = 0; i < 4; i++)
		l->w[i] =
		    _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(p + 16 * i)), big_endian);
}

/* Four of the 64 steps, and the four words that are wanted twelve steps later. */
WITH_SHA INLINE void four(struct lane *l, int n)
{
	__m128i *w = &l->w[n % 4], before = l->w[(n + 3) % 4], sum;
	__m128i k = _mm_add_epi32(*w, _mm_load_si128((const __m128i *)&constants[4 * n]));

	l->cdgh = _mm_sha256rnds2_epu32(l->cdgh, l->abef, k);
	l->abef = _mm_sha256rnds2_epu32(l->abef, l->cdgh, _mm_shuffle_epi32(k, 0x0e));
	if (n >= 12)
		return;
	sum = _mm_add_epi32(_mm_sha256msg1_epu32(*w, l->w[(n + 1) % 4]),
			    _mm_alignr_epi8(before, l->w[(n + 2) % 4], 4));
	*w = _mm_sha256msg2_epu32(sum, before);
}

/* One block of each of as many streams as the compiler knows there are. */
WITH_SHA INLINE void block(struct lane *l, size_t streams)
{
	__m128i abef[ROUNDS_STREAMS], cdgh[ROUNDS_STREAMS];

#pragma GCC unroll 4
	for (size_t i = 0; i < streams; i++) {
		abef[i] = l[i].abef;
		cdgh[i] = l[i].cdgh;
	}
#pragma GCC unroll 16
	for (int n = 0; n < 16; n++) {
#pragma GCC unroll 4
		for (size_t i = 0; i < streams; i++)
			four(&l[i], n);
	}
#pragma GCC unroll 4
	for (size_t i = 0; i < streams; i++) {
		l[i].abef = _mm_add_epi32(l[i].abef, abef[i]);
		l[i].cdgh = _mm_add_epi32(l[i].cdgh, cdgh[i]);
	}
}

WITH_SHA INLINE void take(const struct rounds_of *v, size_t streams, size_t n)
{
	struct lane l[ROUNDS_STREAMS];
	const uint8_t *p[ROUNDS_STREAMS];

#pragma GCC unroll 4
	for (size_t i = 0; i < streams; i++) {
		load(&l[i], v[i].state);
		p[i] = v[i].p;
	}
	for (; n > 0; n--) {
#pragma GCC unroll 4
		for (size_t i = 0; i < streams; i++) {
			words(&l[i], p[i]);
			p[i] += ROUNDS_BLOCK;
		}
		block(l, streams);
	}
#pragma GCC unroll 4
	for (size_t i = 0; i < streams; i++)
		store(&l[i], v[i].state);
}

WITH_SHA void rounds_take(const struct rounds_of *v, size_t streams, size_t n)
{
	if (streams == 3)
		take(v, 3, n);
	else if (streams == 2)
		take(v, 2, n);
	else
		take(v, 1, n);
}

bool rounds_here(void)
{
	unsigned a, b, c, d;
	bool sse =
	    __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_SSSE3) != 0 && (c & bit_SSE4_1) != 0;

	return sse && __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & bit_SHA) != 0;
}

#else

bool rounds_here(void)
{
	return false;
}

void rounds_take(const struct rounds_of *v, size_t streams, size_t n)
{
	(void)v;
	(void)streams;
	(void)n;
}

#endif
