/* referrers.h - artifacts that point at an image by their `subject` (image-spec 1.1). A layout has
 * no index of them, so they are listed as registries without the referrers API want it: an image
 * index under the tag "sha256-<hex>" of the subject (distribution-spec 1.1, referrers tag schema).
 */
#ifndef OCI_REFERRERS_H
#define OCI_REFERRERS_H

#include "oci/oci.h"

/* "sha256-<hex>"; the caller owns it. */
char *oci_referrers_tag(const struct digest *subject) MUST_CHECK;

/* Reads the list. None: success, and an empty *ret, which the caller releases. A damaged one is
 * ERR_VERIFY. */
int oci_referrers(const struct oci_layout *l, const struct digest *subject, struct oci_index *ret,
		  struct err *e) MUST_CHECK;

/* The same of bytes by others: entries that are no manifests are passed over, and what is past the
 * first OCI_INDEX_MAX too. */
int oci_referrers_parse(const char *p, size_t n, struct oci_index *ret, struct err *e) MUST_CHECK;

/* Writes the manifest m, whose layers are in the layout, with the empty configuration and the
 * subject, and appends it with its type and annotations to the list. */
int oci_referrer_add(struct oci_layout *l, const struct oci_desc *subject, struct oci_manifest *m,
		     struct oci_index *list, struct err *e) MUST_CHECK;

/* Takes an entry out of a list. */
void oci_referrer_drop(struct oci_index *list, size_t i);

/* Points the tag at the list. */
int oci_referrers_save(struct oci_layout *l, const struct digest *subject,
		       const struct oci_index *list, struct err *e) MUST_CHECK;

#endif
