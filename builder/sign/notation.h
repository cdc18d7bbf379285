/* notation.h - Notary Project signatures (JWS envelope, notaryproject/specifications) of images,
 * for verifiers that trust certificates: referrers; for the files of sign/ only. */
#ifndef SIGN_NOTATION_H
#define SIGN_NOTATION_H

#include "oci/oci.h"
#include "sign/sign.h"

#define NOTATION_TYPE "application/vnd.cncf.notary.signature"

/* Adds a signature by the key with its certificates, unless a good one is there. */
int notation_sign(struct oci_layout *l, const struct oci_desc *manifest, const struct sign_key *k,
		  int64_t time, struct err *e) MUST_CHECK;

/* Whether the key made this JWS over the manifest: ERR_VERIFY otherwise. */
int notation_check(const struct buf *jws, const struct oci_desc *manifest,
		   const struct sign_public *k, struct err *e) MUST_CHECK;

/* Certificates that signatures must lead to. */
struct notation_roots;
int notation_roots_load(const char *path, struct notation_roots **ret, struct err *e) MUST_CHECK;
void notation_roots_free(struct notation_roots *r);

struct notation_wanted {
	const struct notation_roots *roots;
	const char *subject; /* of the signer's certificate, "C=DE,O=Example"; or NULL */
	int64_t now;         /* seconds: certificates and signatures must not have run out */
};

/* Whether the envelope is a signature over the manifest by whom is wanted, as the Notary Project's
 * specifications have it (scheme notary.x509): a chain of certificates from one for signing code to
 * one of the roots, an algorithm that goes with the key, no critical member that is not known, made
 * while its certificate was good, and not expired. *ret_who: its subject, the caller's.
 * ERR_VERIFY otherwise. */
int notation_judge(const struct buf *jws, const struct oci_desc *manifest,
		   const struct notation_wanted *w, char **ret_who, struct err *e) MUST_CHECK;

/* The first good one that hangs on the manifest. ERR_VERIFY says what is there instead. */
int notation_find(const struct oci_layout *l, const struct oci_desc *manifest,
		  const struct notation_wanted *w, char **ret_who, struct err *e) MUST_CHECK;

#endif
