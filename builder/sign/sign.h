/* sign.h - keys and signatures. Private keys are read, used and wiped here and nowhere else.
 *
 * One ECDSA P-256 key gives an OpenPGP simple-signing message (containers-signature(5), RFC 4880
 * and 6637) and a cosign signature (the "simplesigning.v1+json" layer) over the same manifest
 * digest. */
#ifndef SIGN_SIGN_H
#define SIGN_SIGN_H

#include "base/buf.h"
#include "base/err.h"
#include "base/strv.h"
#include "form/digest.h"
#include <stdint.h>

struct sign_key;       /* a private key */
struct sign_public;    /* a public key */
struct sign_stamper;   /* a time-stamping authority that stamps here */
struct sign_authority; /* one whose stamps are believed */
struct sign_chain;     /* certificates, the key's own first */

/* Makes a key: PATH (PKCS#8 PEM, mode 0600; encrypted with scrypt and AES-256-CBC when passphrase
 * is not NULL), PATH.pub (SPKI PEM), PATH.gpg (OpenPGP public keyring with user id `uid`), and
 * PATH.json ({"created": seconds, "uid": …}: the creation time is part of the OpenPGP
 * fingerprint). Nothing is overwritten (ERR_BUSY); all four or none: PATH comes last, so a key that
 * can sign has its other files, and what a crash leaves is named by the next call. */
int sign_key_new(const char *path, const char *uid, const char *passphrase,
		 struct err *e) MUST_CHECK;

/* The same of a key in a file of cosign's, which the passphrase opens and the new one gets too. */
int sign_key_import(const char *path, const char *from, const char *uid, const char *passphrase,
		    struct err *e) MUST_CHECK;

/* A key as others want it: PKCS#8 (passphrase NULL: in the clear), a file of cosign's, an OpenPGP
 * public keyring, a certificate request (PEM) for a subject "C=DE,O=Example,CN=release". */
int sign_key_to_pkcs8(const struct sign_key *k, const char *passphrase, struct buf *ret,
		      struct err *e) MUST_CHECK;
int sign_key_to_cosign(const struct sign_key *k, const char *passphrase, struct buf *ret,
		       struct err *e) MUST_CHECK;
int sign_key_keyring(const struct sign_key *k, const char *uid, struct buf *ret,
		     struct err *e) MUST_CHECK;
int sign_key_request(const struct sign_key *k, const char *subject, struct buf *ret,
		     struct err *e) MUST_CHECK;

/* Reads a private key. One that group or others may read is refused (ERR_VERIFY, hint chmod). A
 * wrong or missing passphrase is ERR_VERIFY. */
int sign_key_load(const char *path, const char *passphrase, struct sign_key **ret,
		  struct err *e) MUST_CHECK;
/* A key that another program signs with: PATH.pub is its public half, PATH.json when it was made.
 * argv runs without a shell, for each signature, for at most timeout_ms (0 = a minute); secret (may
 * be NULL) is given to it, never shown. */
struct sign_program {
	struct strv argv;
	const char *secret;
	uint64_t timeout_ms;
};
int sign_key_outside(const char *path, const struct sign_program *p, struct sign_key **ret,
		     struct err *e) MUST_CHECK;
/* Wipes; NULL is fine. */
void sign_key_free(struct sign_key *k);
void sign_key_freep(struct sign_key **k);

/* Reads what PATH.json says about a key, without the key: its creation time in seconds and its
 * user id (ret_uid may be NULL; the caller owns the text). */
int sign_key_about(const char *path, int64_t *ret_created, char **ret_uid,
		   struct err *e) MUST_CHECK;

/* Reads an SPKI PEM. P-256 only. */
int sign_public_load(const char *path, struct sign_public **ret, struct err *e) MUST_CHECK;
const struct sign_public *sign_key_public(const struct sign_key *k);
void sign_public_free(struct sign_public *k);
void sign_public_freep(struct sign_public **k);

/* SHA-256 of the DER SPKI, for people and for the hint of sigstore bundles. */
struct digest sign_public_id(const struct sign_public *k);

/* The 20-byte OpenPGP v4 fingerprint as 40 upper-case hex digits; needs the creation time. */
char *sign_openpgp_fingerprint(const struct sign_public *k, int64_t created) MUST_CHECK;

/* ECDSA with SHA-256 over bytes; the signature is DER. sign_verify: 0 when good, else
 * ERR_VERIFY. Non-canonical DER is refused. */
int sign_bytes(const struct sign_key *k, const void *p, size_t n, struct buf *ret_der,
	       struct err *e) MUST_CHECK;
int sign_verify(const struct sign_public *k, const void *p, size_t n, const void *der,
		size_t der_len, struct err *e) MUST_CHECK;

/* The same of a digest that is known already. */
int sign_digest(const struct sign_key *k, const struct digest *d, struct buf *ret_der,
		struct err *e) MUST_CHECK;
int sign_verify_digest(const struct sign_public *k, const struct digest *d, const void *der,
		       size_t der_len, struct err *e) MUST_CHECK;

/* Reads an authority's private key (without passphrase) and certificate, or only the latter. */
int sign_stamper_load(const char *key, const char *cert, struct sign_stamper **ret,
		      struct err *e) MUST_CHECK;
int sign_authority_load(const char *path, struct sign_authority **ret, struct err *e) MUST_CHECK;
void sign_stamper_free(struct sign_stamper *s);
void sign_stamper_freep(struct sign_stamper **s);
void sign_authority_free(struct sign_authority *a);
void sign_authority_freep(struct sign_authority **a);

/* Reads certificates (PEM), the key's own first. ERR_VERIFY when the first is another's. */
int sign_chain_load(const char *path, const struct sign_public *k, struct sign_chain **ret,
		    struct err *e) MUST_CHECK;
void sign_chain_free(struct sign_chain *c);
void sign_chain_freep(struct sign_chain **c);

/* What is signed with the key from now on is stamped; is given the certificates. Both borrowed. */
void sign_key_stamps(struct sign_key *k, const struct sign_stamper *s);
void sign_key_certified(struct sign_key *k, const struct sign_chain *c);

/* The payload of both forms: critical.identity.docker-reference, image.docker-manifest-digest and
 * type ("atomic container signature" for OpenPGP, "cosign container image signature" for cosign).
 */
enum sign_form {
	SIGN_OPENPGP,
	SIGN_COSIGN,
	SIGN_BUNDLE, /* its payload is a statement: see attest.h */
	SIGN_FORMS,
};
void sign_payload(enum sign_form form, const char *identity, const struct digest *manifest,
		  int64_t timestamp, struct buf *ret);

/* Checks a payload strictly (exact members, right type); identity: exact match, or NULL for any. */
int sign_payload_check(enum sign_form form, const char *p, size_t n, const char *identity,
		       const struct digest *manifest, struct err *e) MUST_CHECK;

/* The OpenPGP signed message around a payload, and the way back: verifies the signature and gives
 * the payload (SIGN_OPENPGP needs the key's creation time only for signing). */
int sign_openpgp(const struct sign_key *k, const void *payload, size_t n, int64_t timestamp,
		 struct buf *ret, struct err *e) MUST_CHECK;
int sign_openpgp_open(const struct sign_public *k, const void *msg, size_t n,
		      struct buf *ret_payload, struct err *e) MUST_CHECK;

#endif
