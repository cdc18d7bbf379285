#include "form/aead.h"

#include "form/sigv4.h"
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { MEMORY_MAX = 256 << 20, WORK_MAX = 1 << 30, HMAC_BLOCK = 64 };

struct aead {
	EVP_CIPHER_CTX *seal, *open;
};

void aead_free(struct aead *a)
{
	if (a == NULL)
		return;
	EVP_CIPHER_CTX_free(a->seal);
	EVP_CIPHER_CTX_free(a->open);
	free(a);
}

void aead_freep(struct aead **a)
{
	aead_free(*a);
	*a = NULL;
}

/* The cipher is built into every OpenSSL; a failure here means no memory. */
static void must(int ok)
{
	if (ok != 1)
		mem_exhausted();
}

struct aead *aead_new(const uint8_t key[AEAD_KEY])
{
	struct aead *a = mem_zalloc(sizeof(*a));

	a->seal = EVP_CIPHER_CTX_new();
	a->open = EVP_CIPHER_CTX_new();
	must(a->seal != NULL && a->open != NULL);
	must(EVP_EncryptInit_ex(a->seal, EVP_aes_256_gcm(), NULL, key, NULL));
	must(EVP_DecryptInit_ex(a->open, EVP_aes_256_gcm(), NULL, key, NULL));
	return a;
}

struct aead_box aead_box(uint64_t i, const void *also, size_t also_n)
{
	struct aead_box b = {.also = also, .also_n = also_n};

	for (size_t at = AEAD_NONCE; i > 0; i >>= 8)
		b.nonce[--at] = (uint8_t)i;
	return b;
}

void aead_seal(struct aead *a, const struct aead_box *b, const void *in, size_t n, uint8_t *out)
{
	int got = 0;

	must(EVP_EncryptInit_ex(a->seal, NULL, NULL, NULL, b->nonce));
	if (b->also_n > 0)
		must(EVP_EncryptUpdate(a->seal, NULL, &got, b->also, (int)b->also_n));
	if (n > 0)
		must(EVP_EncryptUpdate(a->seal, out, &got, in, (int)n));
	must(EVP_EncryptFinal_ex(a->seal, out + n, &got));
	must(EVP_CIPHER_CTX_ctrl(a->seal, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG, out + n));
}

int aead_open(struct aead *a, const struct aead_box *b, const uint8_t *in, size_t n, void *out)
{
	uint8_t tag[AEAD_TAG];
	uint8_t none[AEAD_TAG];
	int got = 0;

	if (n < AEAD_TAG)
		return -1;
	memcpy(tag, in + n - AEAD_TAG, AEAD_TAG);
	must(EVP_DecryptInit_ex(a->open, NULL, NULL, NULL, b->nonce));
	must(EVP_CIPHER_CTX_ctrl(a->open, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG, tag));
	if (b->also_n > 0)
		must(EVP_DecryptUpdate(a->open, NULL, &got, b->also, (int)b->also_n));
	if (n > AEAD_TAG)
		must(EVP_DecryptUpdate(a->open, out, &got, in, (int)(n - AEAD_TAG)));
	return EVP_DecryptFinal_ex(a->open, none, &got) == 1 ? 0 : -1;
}

struct mac {
	EVP_MD_CTX *inner, *outer; /* that have taken their halves of the key */
	EVP_MD_CTX *work;
	uint8_t inner_pad[HMAC_BLOCK], outer_pad[HMAC_BLOCK];
};

static EVP_MD_CTX *keyed(const uint8_t *block)
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();

	must(c != NULL && EVP_DigestInit_ex(c, EVP_sha256(), NULL) == 1);
	must(EVP_DigestUpdate(c, block, HMAC_BLOCK));
	return c;
}

struct mac *mac_new(const void *key, size_t n)
{
	struct mac *m = mem_zalloc(sizeof(*m));
	uint8_t *inner = m->inner_pad, *outer = m->outer_pad;
	struct digest d;

	if (n > HMAC_BLOCK) {
		d = digest_of(key, n);
		memcpy(inner, d.b, sizeof(d.b));
	} else if (n > 0) {
		memcpy(inner, key, n);
	}
	for (size_t i = 0; i < HMAC_BLOCK; i++) {
		outer[i] = inner[i] ^ 0x5c;
		inner[i] ^= 0x36;
	}
	m->inner = keyed(inner);
	m->outer = keyed(outer);
	m->work = EVP_MD_CTX_new();
	must(m->work != NULL);
	return m;
}

struct digest mac_of(struct mac *m, const void *p, size_t n)
{
	struct digest d;

	must(EVP_MD_CTX_copy_ex(m->work, m->inner));
	must(EVP_DigestUpdate(m->work, p, n));
	must(EVP_DigestFinal_ex(m->work, d.b, NULL));
	must(EVP_MD_CTX_copy_ex(m->work, m->outer));
	must(EVP_DigestUpdate(m->work, d.b, sizeof(d.b)));
	must(EVP_DigestFinal_ex(m->work, d.b, NULL));
	return d;
}

struct digest mac_beside(struct mac *m, struct abreast *a, const void *p, size_t n)
{
	enum { FILE = 0, MAC = 1 };
	struct digest d;

	abreast_add(a, (const uint8_t *const[ABREAST]){[MAC] = m->inner_pad},
		    (const size_t[ABREAST]){[MAC] = HMAC_BLOCK});
	abreast_add(a, (const uint8_t *const[ABREAST]){[FILE] = p, [MAC] = p},
		    (const size_t[ABREAST]){[FILE] = n, [MAC] = n});
	d = abreast_final(a, MAC);
	abreast_add(a, (const uint8_t *const[ABREAST]){[MAC] = m->outer_pad},
		    (const size_t[ABREAST]){[MAC] = HMAC_BLOCK});
	abreast_add(a, (const uint8_t *const[ABREAST]){[MAC] = d.b},
		    (const size_t[ABREAST]){[MAC] = sizeof(d.b)});
	return abreast_final(a, MAC);
}

void mac_free(struct mac *m)
{
	if (m == NULL)
		return;
	EVP_MD_CTX_free(m->inner);
	EVP_MD_CTX_free(m->outer);
	EVP_MD_CTX_free(m->work);
	explicit_bzero(m, sizeof(*m));
	free(m);
}

void mac_freep(struct mac **m)
{
	mac_free(*m);
	*m = NULL;
}

void key_derive(const struct key_from *from, const char *what, uint8_t *ret, size_t n)
{
	struct digest prk = hmac_sha256(from->salt, from->salt_n, from->key, from->key_n), t;
	size_t what_n = strlen(what), before = 0;
	uint8_t *in = mem_zalloc(sizeof(t) + what_n + 1);

	for (uint8_t i = 1; n > 0; i++) {
		size_t take = n < sizeof(t.b) ? n : sizeof(t.b);

		memcpy(in + before, what, what_n);
		in[before + what_n] = i;
		t = hmac_sha256(prk.b, sizeof(prk.b), in, before + what_n + 1);
		memcpy(ret, t.b, take);
		memcpy(in, t.b, sizeof(t.b));
		before = sizeof(t.b);
		ret += take;
		n -= take;
	}
	explicit_bzero(&prk, sizeof(prk));
	explicit_bzero(&t, sizeof(t));
	explicit_bzero(in, before + what_n);
	free(in);
}

static bool bearable(const struct key_cost *c)
{
	return c->n > 1 && (c->n & (c->n - 1)) == 0 && c->r > 0 && c->p > 0 &&
	       c->n <= MEMORY_MAX / 128 && c->r <= MEMORY_MAX / 128 / c->n &&
	       c->p <= (uint64_t)WORK_MAX / (c->n * c->r);
}

int key_stretch(const struct key_from *from, const struct key_cost *cost, uint8_t *ret, size_t n,
		struct err *e)
{
	/* the library's own limit counts some small change too */
	uint64_t limit = (uint64_t)MEMORY_MAX + (64 << 20);

	if (!bearable(cost))
		return err_set(e, ERR_VERIFY, "scrypt: costs that are none, or too much");
	must(EVP_PBE_scrypt(from->key, from->key_n, from->salt, from->salt_n, cost->n, cost->r,
			    cost->p, limit, ret, n));
	return 0;
}

void key_random(void *ret, size_t n)
{
	while (getrandom(ret, n, 0) != (ssize_t)n) {
		/* it can only have been interrupted */
	}
}
