/* aead.h - secrets and what they keep: AES-256-GCM (NIST SP 800-38D), keys from keys by HKDF
 * (RFC 5869) and from passphrases by scrypt (RFC 7914), HMAC for many short texts (RFC 2104); all
 * with SHA-256. */
#ifndef FORM_AEAD_H
#define FORM_AEAD_H

#include "form/abreast.h"

enum { AEAD_KEY = 32, AEAD_NONCE = 12, AEAD_TAG = 16 };

/* A key that is ready for use, by one thread at a time. aead_free wipes it. */
struct aead;
struct aead *aead_new(const uint8_t key[AEAD_KEY]) MUST_CHECK;
void aead_free(struct aead *a);
void aead_freep(struct aead **a);

/* Which of a key's texts it is: a nonce that no other text under that key has, and what is vouched
 * for along with the text without being in it. */
struct aead_box {
	uint8_t nonce[AEAD_NONCE];
	const void *also;
	size_t also_n;
};

/* The box of the i-th text: its nonce is that number, big-endian. */
struct aead_box aead_box(uint64_t i, const void *also, size_t also_n);

/* Encrypts n bytes (less than 2 GiB) to out, which has room for n + AEAD_TAG; in and out may be the
 * same. */
void aead_seal(struct aead *a, const struct aead_box *b, const void *in, size_t n, uint8_t *out);

/* The way back, of n bytes, tag included, to n - AEAD_TAG. Returns 0, or -1 when anything is not as
 * it was sealed: out has nothing then that may be used. */
int aead_open(struct aead *a, const struct aead_box *b, const uint8_t *in, size_t n,
	      void *out) MUST_CHECK;

/* HMAC under one key, by one thread at a time. mac_free wipes it. */
struct mac;
struct mac *mac_new(const void *key, size_t n) MUST_CHECK;
struct digest mac_of(struct mac *m, const void *p, size_t n);
/* The same, and the n bytes go into stream 0 of `a` as well, both in one go; stream 1 must be
 * empty, and is so afterwards. */
struct digest mac_beside(struct mac *m, struct abreast *a, const void *p, size_t n);
void mac_free(struct mac *m);
void mac_freep(struct mac **m);

/* What a key is made from: the other key, and a salt, which may be absent (NULL, 0). */
struct key_from {
	const void *key, *salt;
	size_t key_n, salt_n;
};

/* Fills n bytes, at most 255 * 32, for the purpose that `what` names. */
void key_derive(const struct key_from *from, const char *what, uint8_t *ret, size_t n);

/* How much work a guess is: scrypt's N (a power of two), r and p. It takes 128 * n * r bytes. */
struct key_cost {
	uint64_t n, r, p;
};

/* Fills n bytes from a passphrase. ERR_VERIFY for costs that are none, or take more than 256 MiB or
 * 2^30 blocks: they come from a file. */
int key_stretch(const struct key_from *from, const struct key_cost *cost, uint8_t *ret, size_t n,
		struct err *e) MUST_CHECK;

/* Fills n bytes (at most 256) at random; the system's own source, waited for. */
void key_random(void *ret, size_t n);

#endif
