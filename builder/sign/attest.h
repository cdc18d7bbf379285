/* attest.h - signed statements about images: an in-toto Statement v1 in a DSSE envelope, kept
 * twice: as a layer of the manifest under the tag "sha256-<hex>.att" beside the image, as cosign 2
 * does, and in a sigstore bundle that is a referrer of the image. */
#ifndef SIGN_ATTEST_H
#define SIGN_ATTEST_H

#include "oci/oci.h"
#include "sign/sign.h"

#define SIGN_DSSE_TYPE   "application/vnd.dsse.envelope.v1+json"
#define ATTEST_STATEMENT "https://in-toto.io/Statement/v1"

enum { ATTEST_MAX = 8 << 20 };

/* Whether a text is a statement about the manifest that a key which releases images may sign: one
 * that says that a test failed is not, since some verifiers take any statement for a signature.
 * ERR_VERIFY otherwise. `what` names it in errors. */
int attest_check(const struct buf *statement, const char *what, const struct digest *manifest,
		 struct err *e) MUST_CHECK;

/* The predicate type of a statement, "" when it has none; the caller owns it. */
char *attest_predicate(const struct buf *statement) MUST_CHECK;

/* Appends the statement in an envelope (DSSE, with one signature) that the key signs; and the
 * statement of one that it has signed. */
int attest_seal(const struct buf *statement, const struct sign_key *k, struct buf *ret,
		struct err *e) MUST_CHECK;
int attest_open(const struct buf *envelope, const struct sign_public *key, struct buf *ret,
		struct err *e) MUST_CHECK;

/* Signs the statement and adds it to the image; one of the same key and predicate type that is
 * there already is replaced, the very same one is left alone. Attestations by others stay. */
int attest_image(struct oci_layout *l, const struct oci_desc *manifest, const struct buf *statement,
		 const struct sign_key *k, struct err *e) MUST_CHECK;

/* Whether one of the keys has attested exactly these bytes. ERR_VERIFY says what is there instead.
 */
struct attest_keys {
	struct sign_public *const *v;
	size_t n;
};
int attest_verify(const struct oci_layout *l, const struct digest *manifest,
		  const struct buf *statement, const struct attest_keys *keys,
		  struct err *e) MUST_CHECK;

/* All statements about an image by one of the keys, from both stores, each once. One that hangs on
 * the image and is about another counts among the others, with a warning. The caller releases *ret.
 */
struct attest_one {
	struct buf statement;
	struct digest key;
	struct jval *json;
};
struct attest_list {
	struct attest_one *v;
	size_t n;
	size_t others; /* by other keys, about other images, or broken */
};
int attest_collect(const struct oci_layout *l, const struct digest *manifest,
		   const struct attest_keys *keys, struct attest_list *ret,
		   struct err *e) MUST_CHECK;
void attest_list_release(struct attest_list *l);

#endif
