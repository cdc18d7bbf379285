/* referrers.h - manifests that name an image as their subject (OCI distribution-spec 1.1, "Listing
 * Referrers"): by the API where there is one, else by an index under the tag "sha256-HEX", which is
 * also how a layout lists them. */
#ifndef REMOTE_REFERRERS_H
#define REMOTE_REFERRERS_H

#include "remote/artifact.h"

enum { REFERRERS_MAX = 256 };

/* Adds those of an image that are there to the layout. One that is no manifest about this image, or
 * has more than 64 MiB, is left out with a warning: whoever may push can leave such a thing. */
int referrers_pull(const struct carry *c, const struct digest *image, struct err *e) MUST_CHECK;

/* Uploads the layout's, each under its digest. */
int referrers_push(const struct carry *c, const struct digest *image, struct err *e) MUST_CHECK;

/* Adds what the layout lists to the index under the tag, where the registry has no API: once, as
 * signatures_push. */
int referrers_enter(const struct carry *c, const struct digest *image, bool *ret_wrote,
		    struct err *e) MUST_CHECK;

/* Adds those of one layout to another, with their blobs. */
int referrers_copy(const struct oci_layout *from, struct oci_layout *to, const struct digest *image,
		   struct err *e) MUST_CHECK;

/* The digests of those that are there; the caller releases *ret. */
int referrers_list(struct registry *r, const struct digest *image, struct strv *ret,
		   struct err *e) MUST_CHECK;

#endif
