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

#endif
