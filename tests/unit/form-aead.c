/* Sealing and keys, by the vectors of those who defined them. */
#include "form/aead.h"

#include "form/hex.h"
#include "form/sigv4.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct bytes {
	uint8_t b[512];
	size_t n;
};

static struct bytes hex(const char *s)
{
	struct bytes r = {.n = strlen(s) / 2};

	assert_int_equal(hex_decode(s, strlen(s), r.b), 0);
	return r;
}

static void assert_hex(const void *p, size_t n, const char *want)
{
	char text[1025];

	hex_encode(p, n, text);
	assert_string_equal(text, want);
}

/* The Galois/Counter Mode of Operation (McGrew, Viega), appendix B, the cases with 256-bit keys and
 * 96-bit nonces. */
static const struct {
	const char *key, *nonce, *also, *plain, *sealed;
} gcm[] = {
    {"0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000",
     "", "", "530f8afbc74536b9a963b4f1c4cb738b"},
    {"0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000",
     "", "00000000000000000000000000000000",
     "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"},
    {"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
     "",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
     "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
     "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad"
     "b094dac5d93471bdec1a502270e3cc6c"},
    {"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
     "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
     "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
     "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
     "76fc6ece0f4e1768cddf8853bb2d551b"},
};

static void sealed_as_published(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(gcm) / sizeof(gcm[0]); i++) {
		struct bytes key = hex(gcm[i].key), nonce = hex(gcm[i].nonce),
			     also = hex(gcm[i].also), plain = hex(gcm[i].plain);
		struct aead *a SCOPED(aead_freep) = aead_new(key.b);
		struct aead_box box = {.also = also.b, .also_n = also.n};
		uint8_t out[128], back[128];

		memcpy(box.nonce, nonce.b, AEAD_NONCE);
		aead_seal(a, &box, plain.b, plain.n, out);
		assert_hex(out, plain.n + AEAD_TAG, gcm[i].sealed);
		assert_int_equal(aead_open(a, &box, out, plain.n + AEAD_TAG, back), 0);
		assert_memory_equal(back, plain.b, plain.n);
	}
}

static void any_changed_bit_is_found(void **state)
{
	static const uint8_t key[AEAD_KEY] = "a key of thirty-two bytes, right";
	struct aead *a SCOPED(aead_freep) = aead_new(key);
	struct aead_box box = aead_box(1, "head", 4), other = aead_box(2, "head", 4);
	uint8_t sealed[5 + AEAD_TAG], back[5];

	(void)state;
	aead_seal(a, &box, "plain", 5, sealed);
	for (size_t bit = 0; bit < sizeof(sealed) * 8; bit++) {
		sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(aead_open(a, &box, sealed, sizeof(sealed), back), -1);
		sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(aead_open(a, &other, sealed, sizeof(sealed), back), -1);
	box.also = "Head";
	assert_int_equal(aead_open(a, &box, sealed, sizeof(sealed), back), -1);
	box.also = "head";
	assert_int_equal(aead_open(a, &box, sealed, AEAD_TAG - 1, back), -1);
	assert_int_equal(aead_open(a, &box, sealed, sizeof(sealed), back), 0);
	assert_memory_equal(back, "plain", 5);
}

static void nonces_are_numbers(void **state)
{
	struct aead_box b = aead_box(0x0102030405060708, NULL, 0), none = aead_box(0, NULL, 0);

	(void)state;
	assert_hex(b.nonce, AEAD_NONCE, "000000000102030405060708");
	assert_hex(none.nonce, AEAD_NONCE, "000000000000000000000000");
}

/* RFC 4231, test cases 1, 2, 6. */
static void macs_as_published(void **state)
{
	uint8_t key1[20], key6[131];
	struct mac *m;
	struct digest d;

	(void)state;
	memset(key1, 0x0b, sizeof(key1));
	memset(key6, 0xaa, sizeof(key6));
	m = mac_new(key1, sizeof(key1));
	for (int again = 0; again < 2; again++) {
		d = mac_of(m, "Hi There", 8);
		assert_hex(d.b, sizeof(d.b),
			   "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	}
	mac_free(m);
	m = mac_new("Jefe", 4);
	d = mac_of(m, "what do ya want for nothing?", 28);
	assert_hex(d.b, sizeof(d.b),
		   "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	mac_free(m);
	m = mac_new(key6, sizeof(key6));
	d = mac_of(m, "Test Using Larger Than Block-Size Key - Hash Key First", 54);
	assert_hex(d.b, sizeof(d.b),
		   "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
	mac_free(m);
	mac_free(NULL);
}

/* With a file beside it, on a processor that has the instructions and on one that has not. */
static void macs_beside_a_stream(void **state)
{
	static const size_t sizes[] = {0, 1, 63, 64, 65, 8191, 8192};
	uint8_t all[3 * 8192];
	struct mac *m = mac_new("Jefe", 4);

	(void)state;
	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = (uint8_t)(i * 7 + i / 251);
	for (int plain = 0; plain < 2; plain++) {
		struct abreast *a = abreast_new(plain != 0);
		struct digest file, is;
		size_t at = 0;

		for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
			struct digest want = mac_of(m, all + at, sizes[i]);
			struct digest d = mac_beside(m, a, all + at, sizes[i]);

			assert_true(digest_equal(&d, &want));
			at += sizes[i];
		}
		is = abreast_final(a, 0);
		file = digest_of(all, at);
		assert_true(digest_equal(&is, &file));
		abreast_free(a);
	}
	mac_free(m);
}

/* RFC 5869, appendix A, cases 1 and 3; and what is longer than one block, by case 1's beginning. */
static void keys_as_published(void **state)
{
	struct bytes ikm = hex("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b");
	struct bytes salt = hex("000102030405060708090a0b0c");
	struct key_from from = {ikm.b, salt.b, ikm.n, salt.n};
	uint8_t out[100], more[100];

	(void)state;
	key_derive(&from, "\xf0\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8\xf9", out, 42);
	assert_hex(out, 42,
		   "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
		   "34007208d5b887185865");
	key_derive(&from, "\xf0\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8\xf9", more, sizeof(more));
	assert_memory_equal(out, more, 42);
	from.salt = NULL;
	from.salt_n = 0;
	key_derive(&from, "", out, 42);
	assert_hex(out, 42,
		   "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
		   "9d201395faa4b61a96c8");
}

/* RFC 7914, section 12. */
static void stretched_as_published(void **state)
{
	const struct key_from none = {"", "", 0, 0}, some = {"password", "NaCl", 8, 4},
			      please = {"pleaseletmein", "SodiumChloride", 13, 14};
	uint8_t out[64];
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(key_stretch(&none, &(struct key_cost){16, 1, 1}, out, 64, &e), 0);
	assert_hex(out, 64,
		   "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442"
		   "fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906");
	assert_int_equal(key_stretch(&some, &(struct key_cost){1024, 8, 16}, out, 64, &e), 0);
	assert_hex(out, 64,
		   "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"
		   "2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640");
	assert_int_equal(key_stretch(&please, &(struct key_cost){16384, 8, 1}, out, 64, &e), 0);
	assert_hex(out, 64,
		   "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
		   "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887");
}

static void costs_have_limits(void **state)
{
	static const struct key_cost bad[] = {
	    {0, 8, 1},         {1, 8, 1},          {3, 8, 1},           {16, 0, 1},
	    {16, 8, 0},        {1 << 22, 8, 1},    {1 << 18, 16, 1},    {UINT64_MAX / 2 + 1, 8, 1},
	    {16, 1u << 31, 1}, {1 << 15, 8, 5000}, {16, 8, UINT64_MAX},
	};
	const struct key_from some = {"password", "NaCl", 8, 4};
	uint8_t out[32];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err e = ERR_INIT;

		assert_int_equal(key_stretch(&some, &bad[i], out, sizeof(out), &e), -1);
		assert_int_equal(e.kind, ERR_VERIFY);
	}
}

static void random_differs(void **state)
{
	uint8_t a[32] = {0}, b[32] = {0};

	(void)state;
	key_random(a, sizeof(a));
	key_random(b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sealed_as_published),    cmocka_unit_test(any_changed_bit_is_found),
	    cmocka_unit_test(nonces_are_numbers),     cmocka_unit_test(macs_as_published),
	    cmocka_unit_test(macs_beside_a_stream),   cmocka_unit_test(keys_as_published),
	    cmocka_unit_test(stretched_as_published), cmocka_unit_test(costs_have_limits),
	    cmocka_unit_test(random_differs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
