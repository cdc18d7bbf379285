#include "installer/sha256.h"

#include "form/rounds.h"
#include <string.h>

static const uint32_t constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t turn(uint32_t v, unsigned n)
{
	return v >> n | v << (32 - n);
}

static uint32_t get_be(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void schedule(const uint8_t *p, uint32_t w[64])
{
	for (size_t i = 0; i < 16; i++)
		w[i] = get_be(p + 4 * i);
	for (size_t i = 16; i < 64; i++) {
		uint32_t a = w[i - 15], b = w[i - 2];

		w[i] = w[i - 16] + (turn(a, 7) ^ turn(a, 18) ^ a >> 3) + w[i - 7] +
		       (turn(b, 17) ^ turn(b, 19) ^ b >> 10);
	}
}

static void take(struct rounds *s, const uint8_t *p)
{
	uint32_t w[64], v[8];

	schedule(p, w);
	memcpy(v, s->w, sizeof(v));
	for (size_t i = 0; i < 64; i++) {
		uint32_t a = v[7] + (turn(v[4], 6) ^ turn(v[4], 11) ^ turn(v[4], 25)) +
			     ((v[4] & v[5]) ^ (~v[4] & v[6])) + constants[i] + w[i];
		uint32_t b = (turn(v[0], 2) ^ turn(v[0], 13) ^ turn(v[0], 22)) +
			     ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));

		memmove(v + 1, v, 7 * sizeof(*v));
		v[4] += a;
		v[0] = a + b;
	}
	for (size_t i = 0; i < 8; i++)
		s->w[i] += v[i];
}

static void take_all(struct rounds *s, const uint8_t *p, size_t blocks)
{
	if (rounds_here()) {
		rounds_take(&(struct rounds_of){s, p}, 1, blocks);
		return;
	}
	for (; blocks > 0; blocks--, p += ROUNDS_BLOCK)
		take(s, p);
}

struct sha256 sha256_of(const void *p, size_t n)
{
	struct rounds s = {{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c,
			    0x1f83d9ab, 0x5be0cd19}};
	const size_t whole = n / ROUNDS_BLOCK, rest = n % ROUNDS_BLOCK;
	const size_t last = rest < ROUNDS_BLOCK - 8 ? 1 : 2;
	uint8_t end[2 * ROUNDS_BLOCK] = {0};
	struct sha256 ret;

	if (rest > 0)
		memcpy(end, (const uint8_t *)p + whole * ROUNDS_BLOCK, rest);
	end[rest] = 0x80;
	for (size_t i = 0; i < 8; i++)
		end[last * ROUNDS_BLOCK - 1 - i] = (uint8_t)((uint64_t)n * 8 >> (8 * i));
	take_all(&s, p, whole);
	take_all(&s, end, last);
	for (size_t i = 0; i < SHA256_BYTES; i++)
		ret.b[i] = (uint8_t)(s.w[i / 4] >> (24 - 8 * (i % 4)));
	return ret;
}
