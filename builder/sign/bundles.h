/* bundles.h - sigstore bundles on an image in a layout: referrers, one bundle each; for the files
 * of sign/ only. */
#ifndef SIGN_BUNDLES_H
#define SIGN_BUNDLES_H

#include "oci/referrers.h"
#include "sign/dsse.h"
#include "sign/payload.h"

/* Whether an entry of the list says that it is a bundle. */
bool bundle_is(const struct oci_desc *d);

/* Reads the bundle behind an entry; everything is hashed, and it must be about the subject. */
int bundle_load(const struct oci_layout *l, const struct digest *subject, const struct oci_desc *d,
		struct buf *ret, struct err *e) MUST_CHECK;

/* What a key has said about an image in the bundle behind an entry; false when it is another's, or
 * damaged. *ret is initialised. */
bool bundle_by(const struct oci_layout *l, const struct digest *subject, const struct oci_desc *d,
	       const struct sign_public *key, struct bundle_said *ret);

/* Signs a statement and adds it to the list; `time` is the annotation's. */
int bundle_add(struct oci_layout *l, const struct oci_desc *subject, const struct buf *statement,
	       const struct sign_key *k, struct oci_index *list, struct err *e) MUST_CHECK;

/* An image signature as a statement, and whether one is it: nothing else passes for a signature,
 * whoever signed it. */
void bundle_payload(const char *identity, const struct digest *manifest, int64_t time,
		    struct buf *ret);
int bundle_payload_open(const struct buf *statement, const struct digest *manifest,
			struct payload_said *ret, struct err *e) MUST_CHECK;

#endif
