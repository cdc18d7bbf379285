/* dsse.h - signed statements: DSSE envelopes of one signature (secure-systems-lab/dsse,
 * protocol.md), alone and in sigstore bundles; for the files of sign/ only. */
#ifndef SIGN_DSSE_H
#define SIGN_DSSE_H

#include "form/json.h"
#include "sign/sign.h"

#define DSSE_STATEMENT "application/vnd.in-toto+json"
#define BUNDLE_TYPE    "application/vnd.dev.sigstore.bundle.v0.3+json"
/* what cosign calls an image signature that is a statement */
#define BUNDLE_SIGNATURE "https://sigstore.dev/cosign/sign/v1"

enum { BUNDLE_MAX = 16 << 20 };

/* Signs a statement into a new envelope object, which the caller frees; ret_der gets the raw
 * signature. */
int dsse_seal(const struct buf *statement, const struct sign_key *k, struct jval **ret,
	      struct buf *ret_der, struct err *e) MUST_CHECK;

/* Appends the statement of an envelope that the key has signed, and the raw signature to ret_der
 * (may be NULL). */
int dsse_open(const struct jval *envelope, const struct sign_public *key, struct buf *ret,
	      struct buf *ret_der, struct err *e) MUST_CHECK;

/* A bundle v0.3 around a statement, with a time stamp when the key has an authority for that. */
int bundle_seal(const struct buf *statement, const struct sign_key *k, struct buf *ret,
		struct err *e) MUST_CHECK;

/* What a bundle says, when the key has signed it. */
struct bundle_said {
	struct buf statement;
	int64_t stamped; /* seconds, by an authority that the caller trusts; 0 = not stamped */
};
void bundle_said_init(struct bundle_said *s);
void bundle_said_release(struct bundle_said *s);
int bundle_open(const struct buf *bundle, const struct sign_public *key,
		const struct sign_authority *tsa, struct bundle_said *ret,
		struct err *e) MUST_CHECK;

/* The same around the signature of a file's digest ("messageSignature"), and its check: when the
 * authority, which may be NULL, has stamped it, or 0. */
int bundle_of_file(const struct digest *d, const struct sign_key *k, struct buf *ret,
		   struct err *e) MUST_CHECK;
int bundle_check_file(const struct buf *bundle, const struct sign_public *key,
		      const struct sign_authority *tsa, const struct digest *d,
		      int64_t *ret_stamped, struct err *e) MUST_CHECK;

#endif
