/* image.h - signatures on images in a layout. The cosign form is a manifest under the tag
 * "sha256-<hex>.sig"; the OpenPGP form an artifact manifest under "sha256-<hex>.pgp" (media type
 * application/vnd.posmedia.openpgp.v1, one layer a signature), from which push fills a lookaside;
 * the bundle form is a referrer, listed under "sha256-<hex>" (oci/referrers.h). */
#ifndef SIGN_IMAGE_H
#define SIGN_IMAGE_H

#include "base/strv.h"
#include "oci/oci.h"
#include "sign/sign.h"

#define SIGN_PGP_TYPE    "application/vnd.posmedia.openpgp.v1"
#define SIGN_COSIGN_TYPE "application/vnd.dev.cosign.simplesigning.v1+json"
#define SIGN_COSIGN_NOTE "dev.cosignproject.cosign/signature" /* base64 DER */

/* Adds all forms for the manifest and one identity ("HOST/REPO:TAG"). Signatures that are there
 * already stay; the same key and identity again replaces its own (no growth). Of an index, the
 * images in it are signed as well: engines check the one that they take. */
int sign_image(struct oci_layout *l, const struct oci_desc *manifest, const char *identity,
	       const struct sign_key *k, int64_t timestamp, struct err *e) MUST_CHECK;

struct sign_found {
	enum sign_form form;
	char *identity;    /* of the payload */
	struct digest key; /* id of the key that made it */
	int64_t time;      /* when it was made, as the signer says; 0 = he does not */
	int64_t stamped;   /* as the authority says; 0 = it did not */
};
struct sign_report {
	struct sign_found *v;
	size_t n;
	size_t ignored;      /* signatures by keys that are not ours, or broken ones */
	struct strv checked; /* what a policy's rule demanded and found, a line each */
};

struct sign_wanted {
	const char *identity; /* exact "HOST/REPO:TAG"; NULL = any */
	struct sign_public *const *keys;
	size_t keys_n;
	unsigned forms;                   /* bits 1 << form: at least one good signature of each */
	const struct sign_authority *tsa; /* whose stamps count; or NULL */
};
enum { SIGN_ALL_FORMS = (1 << SIGN_FORMS) - 1 };

/* "openpgp", "cosign" or "bundle", as policies and reports write it. */
const char *sign_form_word(enum sign_form form);

/* Checks all signatures on the manifest against the keys; blobs are hashed before they are
 * believed. What is missing is ERR_VERIFY, which says what was found instead. */
int sign_image_verify(const struct oci_layout *l, const struct oci_desc *manifest,
		      const struct sign_wanted *want, struct sign_report *ret,
		      struct err *e) MUST_CHECK;
void sign_report_release(struct sign_report *r);

#endif
