/* SHA-256 of several streams at a time is that of each by itself. */
#include "form/abreast.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 300, LARGE = 200 * 1000 };

static uint8_t bytes[LARGE + ABREAST * MOST];

/* Numbers that are the same in each run (xorshift, Marsaglia 2003). */
static uint64_t next(void)
{
	static uint64_t x = 2026;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

static int fill(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)next();
	return 0;
}

/* Streams of these lengths in so many parts, that end anywhere. */
static void streams(struct abreast *a, const size_t n[ABREAST], unsigned parts)
{
	size_t at[ABREAST] = {0};

	for (unsigned k = 1; k <= parts; k++) {
		const uint8_t *p[ABREAST];
		size_t part[ABREAST];

		for (size_t i = 0; i < ABREAST; i++) {
			part[i] = k == parts ? n[i] - at[i] : next() % (n[i] - at[i] + 1);
			p[i] = bytes + i * MOST + at[i];
			at[i] += part[i];
		}
		abreast_add(a, p, part);
	}
	for (unsigned i = 0; i < ABREAST; i++) {
		struct digest is = abreast_final(a, i), want = digest_of(bytes + i * MOST, n[i]);

		assert_memory_equal(is.b, want.b, sizeof(want.b));
	}
}

static void each_length(bool plain)
{
	struct abreast *a = abreast_new(plain);

	for (size_t n = 0; n <= MOST; n++) {
		const size_t same[ABREAST] = {n, n, n}, one[ABREAST] = {0, n, 0},
			     other[ABREAST] = {n, MOST - n, n * 7 % MOST};

		for (unsigned parts = 1; parts <= 4; parts++) {
			streams(a, same, parts);
			streams(a, one, parts);
			streams(a, other, parts);
		}
	}
	abreast_free(a);
}

static void every_length_has_its_digest(void **state)
{
	(void)state;
	each_length(false);
	each_length(true);
}

static void long_streams_of_unequal_length(void **state)
{
	struct abreast *a = abreast_new(false);

	(void)state;
	for (unsigned k = 0; k < 300; k++) {
		const size_t n[ABREAST] = {next() % LARGE, next() % 5000, next() % LARGE};

		streams(a, n, 1 + k % 20);
	}
	abreast_free(a);
}

/* One ends and another begins while the others go on. */
static void a_stream_begins_anew_beside_others(void **state)
{
	struct abreast *a = abreast_new(false);
	struct hash *whole = hash_new();
	struct digest is, want;
	size_t at = 0;

	(void)state;
	for (size_t n = 0; n <= MOST; n++) {
		const uint8_t *const p[ABREAST] = {bytes + at, bytes + n, NULL};
		const size_t part[ABREAST] = {n, MOST - n, 0};

		abreast_add(a, p, part);
		hash_add(whole, p[0], n);
		is = abreast_final(a, 1);
		want = digest_of(bytes + n, MOST - n);
		assert_memory_equal(is.b, want.b, sizeof(want.b));
		at += n;
	}
	is = abreast_final(a, 0);
	want = hash_final(whole);
	assert_memory_equal(is.b, want.b, sizeof(want.b));
	abreast_free(a);
	hash_free(whole);
	abreast_free(NULL);
}

/* FIPS 180-4, in CAVP's SHA256ShortMsg and the message of a million a. */
static void known_answers(void **state)
{
	static const char abc[] =
	    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
	static const char a_million[] =
	    "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";
	struct abreast *a = abreast_new(false);
	struct digest d;

	(void)state;
	memset(bytes, 'a', 1000);
	for (unsigned i = 0; i < 1000; i++) {
		const uint8_t *const p[ABREAST] = {bytes, (const uint8_t *)"abc", bytes};
		const size_t n[ABREAST] = {1000, i == 0 ? 3 : 0, i % 3};

		abreast_add(a, p, n);
	}
	d = abreast_final(a, 0);
	assert_string_equal(digest_hex(&d).s, a_million);
	d = abreast_final(a, 1);
	assert_string_equal(digest_hex(&d).s, abc);
	abreast_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_length_has_its_digest),
	    cmocka_unit_test(long_streams_of_unequal_length),
	    cmocka_unit_test(a_stream_begins_anew_beside_others),
	    cmocka_unit_test(known_answers),
	};

	return cmocka_run_group_tests(tests, fill, NULL);
}
