#include "sign/secretbox.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

enum { WORDS = 16, BLOCK = 64, ROUNDS = 20, FIRST = 32 };

static uint32_t load(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void store(uint32_t v, uint8_t *p)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static uint32_t turn(uint32_t v, int n)
{
	return v << n | v >> (32 - n);
}

static void quarter(uint32_t *x, int a, int b, int c, int d)
{
	x[b] ^= turn(x[a] + x[d], 7);
	x[c] ^= turn(x[b] + x[a], 9);
	x[d] ^= turn(x[c] + x[b], 13);
	x[a] ^= turn(x[d] + x[c], 18);
}

static void rounds(uint32_t x[WORDS])
{
	for (int i = 0; i < ROUNDS; i += 2) {
		quarter(x, 0, 4, 8, 12);
		quarter(x, 5, 9, 13, 1);
		quarter(x, 10, 14, 2, 6);
		quarter(x, 15, 3, 7, 11);
		quarter(x, 0, 1, 2, 3);
		quarter(x, 5, 6, 7, 4);
		quarter(x, 10, 11, 8, 9);
		quarter(x, 15, 12, 13, 14);
	}
}

/* The matrix of a key and 16 bytes: constants on the diagonal (Salsa20 specification, 8). */
static void lay_out(const uint8_t key[BOX_KEY_BYTES], const uint8_t in[16], uint32_t x[WORDS])
{
	static const uint8_t sigma[] = "expand 32-byte k";

	for (int i = 0; i < 4; i++) {
		x[5 * i] = load(sigma + 4 * i);
		x[1 + i] = load(key + 4 * i);
		x[6 + i] = load(in + 4 * i);
		x[11 + i] = load(key + 16 + 4 * i);
	}
}

/* HSalsa20: the key for a nonce's first 16 bytes. */
static void subkey(const uint8_t key[BOX_KEY_BYTES], const uint8_t in[16],
		   uint8_t out[BOX_KEY_BYTES])
{
	static const int at[] = {0, 5, 10, 15, 6, 7, 8, 9};
	uint32_t x[WORDS];

	lay_out(key, in, x);
	rounds(x);
	for (int i = 0; i < 8; i++)
		store(x[at[i]], out + 4 * i);
	OPENSSL_cleanse(x, sizeof(x));
}

static void block(const uint8_t key[BOX_KEY_BYTES], const uint8_t nonce[8], uint64_t n,
		  uint8_t out[BLOCK])
{
	uint8_t in[16];
	uint32_t x[WORDS], before[WORDS];

	memcpy(in, nonce, 8);
	store((uint32_t)n, in + 8);
	store((uint32_t)(n >> 32), in + 12);
	lay_out(key, in, x);
	memcpy(before, x, sizeof(x));
	rounds(x);
	for (int i = 0; i < WORDS; i++)
		store(x[i] + before[i], out + 4 * i);
	OPENSSL_cleanse(x, sizeof(x));
	OPENSSL_cleanse(before, sizeof(before));
}

static int tag_of(const uint8_t key[FIRST], const void *p, size_t n, uint8_t tag[BOX_TAG_BYTES])
{
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "POLY1305", NULL);
	EVP_MAC_CTX *c = mac == NULL ? NULL : EVP_MAC_CTX_new(mac);
	size_t len = 0;
	int good = c != NULL && EVP_MAC_init(c, key, FIRST, NULL) == 1 &&
		   EVP_MAC_update(c, p, n) == 1 &&
		   EVP_MAC_final(c, tag, &len, BOX_TAG_BYTES) == 1 && len == BOX_TAG_BYTES;

	EVP_MAC_CTX_free(c);
	EVP_MAC_free(mac);
	return good ? 0 : -1;
}

/* XORs n bytes with the stream past its first 32 bytes, which are the key of the tag. */
static void stream(const uint8_t key[BOX_KEY_BYTES], const uint8_t nonce[8], const char *in,
		   size_t n, struct buf *out)
{
	uint8_t s[BLOCK];

	for (size_t i = 0; i < n; i++) {
		size_t at = i + FIRST;
		char c;

		if (i == 0 || at % BLOCK == 0)
			block(key, nonce, at / BLOCK, s);
		c = (char)((uint8_t)in[i] ^ s[at % BLOCK]);
		buf_add(out, &c, 1);
	}
	OPENSSL_cleanse(s, sizeof(s));
}

int secretbox_seal(const uint8_t key[BOX_KEY_BYTES], const uint8_t nonce[BOX_NONCE_BYTES],
		   const struct buf *plain, struct buf *ret, struct err *e)
{
	struct buf cipher SCOPED(buf_release) = BUF_INIT(plain->len);
	uint8_t sub[BOX_KEY_BYTES], first[BLOCK], tag[BOX_TAG_BYTES];
	int rc;

	subkey(key, nonce, sub);
	block(sub, nonce + 16, 0, first);
	stream(sub, nonce + 16, plain->data, plain->len, &cipher);
	rc = tag_of(first, cipher.data, cipher.len, tag);
	OPENSSL_cleanse(sub, sizeof(sub));
	OPENSSL_cleanse(first, sizeof(first));
	if (rc != 0)
		return err_set(e, ERR_FAIL, "OpenSSL has no Poly1305");
	buf_add(ret, tag, sizeof(tag));
	buf_add(ret, cipher.data, cipher.len);
	return buf_over(ret) ? err_set(e, ERR_FAIL, "too large to seal") : 0;
}

int secretbox_open(const uint8_t key[BOX_KEY_BYTES], const uint8_t nonce[BOX_NONCE_BYTES],
		   const struct buf *box, struct buf *ret, struct err *e)
{
	uint8_t sub[BOX_KEY_BYTES], first[BLOCK], tag[BOX_TAG_BYTES];
	int good = 0;

	if (box->len < BOX_TAG_BYTES)
		return err_set(e, ERR_VERIFY, "cut short");
	subkey(key, nonce, sub);
	block(sub, nonce + 16, 0, first);
	if (tag_of(first, box->data + BOX_TAG_BYTES, box->len - BOX_TAG_BYTES, tag) == 0)
		good = CRYPTO_memcmp(tag, box->data, BOX_TAG_BYTES) == 0;
	if (good)
		stream(sub, nonce + 16, box->data + BOX_TAG_BYTES, box->len - BOX_TAG_BYTES, ret);
	OPENSSL_cleanse(sub, sizeof(sub));
	OPENSSL_cleanse(first, sizeof(first));
	if (!good || buf_over(ret))
		return err_set(e, ERR_VERIFY, "wrong passphrase, or a damaged file");
	return 0;
}
