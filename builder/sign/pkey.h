/* pkey.h - what a key is made of; for the files of sign/ only. */
#ifndef SIGN_PKEY_H
#define SIGN_PKEY_H

#include "sign/sign.h"
#include <openssl/evp.h>

/* A P-256 SPKI in its one accepted form (RFC 5480: named curve, uncompressed point) always has
 * these lengths; the point 04||X||Y is its tail. */
enum { SPKI_BYTES = 91, POINT_BYTES = 65, POINT_AT = SPKI_BYTES - POINT_BYTES };
enum { SCALAR_BYTES = 32, ECDSA_DER_MAX = 72 };

struct sign_public {
	EVP_PKEY *pkey; /* the public half only */
	uint8_t spki[SPKI_BYTES];
};

struct sign_key {
	EVP_PKEY *pkey; /* NULL: another program signs */
	struct sign_public *pub;
	int64_t created;                    /* seconds; part of the OpenPGP fingerprint */
	const struct sign_stamper *stamper; /* borrowed; or NULL */
	const struct sign_chain *chain;     /* borrowed; or NULL */
	struct signer *signer;
};

/* Makes a public key of a DER SPKI; `what` names it in errors, which are ERR_VERIFY. */
int public_parse(const uint8_t *der, size_t n, const char *what, struct sign_public **ret,
		 struct err *e) MUST_CHECK;

/* Makes a key around pkey, which is taken over on success. Checks that its halves fit. */
int key_wrap(EVP_PKEY *pkey, int64_t created, const char *what, struct sign_key **ret,
	     struct err *e) MUST_CHECK;

/* Reads a private key of any kind (PKCS#8, its passphrase or NULL); the caller frees it. One that
 * others may read is refused: sign_key_load. */
int key_read(const char *path, const char *pass, EVP_PKEY **ret, struct err *e) MUST_CHECK;

/* Opens a key file of cosign's; the caller frees the key. ERR_VERIFY for a wrong passphrase too. */
int key_from_cosign(const void *p, size_t n, const char *pass, EVP_PKEY **ret,
		    struct err *e) MUST_CHECK;

/* Cleanup handler. */
void pkey_freep(EVP_PKEY **p);

/* Takes a DER signature apart into two big-endian numbers, and back. Anything but the one DER
 * form of two numbers from 1 to the group's order less 1 is ERR_VERIFY. */
int ecdsa_split(const void *der, size_t n, uint8_t r[SCALAR_BYTES], uint8_t s[SCALAR_BYTES],
		struct err *e) MUST_CHECK;
int ecdsa_join(const uint8_t r[SCALAR_BYTES], const uint8_t s[SCALAR_BYTES], struct buf *ret_der,
	       struct err *e) MUST_CHECK;

/* Like err_set, and adds OpenSSL's reason, whose queue it empties. Returns -1. */
int ssl_err(struct err *e, enum err_kind k, const char *fmt, ...) PRINTF(3, 4);

#endif
