/* referrers.h - sigstore bundles and notation signatures of an image, here and there: artifacts
 * that name it as their subject. A registry lists them itself (distribution-spec 1.1, referrers
 * API), or they are listed under the tag "sha256-<hex>". */
#ifndef REMOTE_REFERRERS_H
#define REMOTE_REFERRERS_H

#include "remote/artifact.h"

/* Adds the registry's referrers of the image to the layout's. Others' kinds stay where they are,
 * and what is listed but damaged or gone is passed over with a warning. */
int referrers_pull(const struct carry *c, const struct digest *image, struct err *e) MUST_CHECK;

/* Uploads the layout's after adding the registry's to their list; the list too, where the registry
 * keeps none. */
int referrers_push(const struct carry *c, const struct digest *image, struct err *e) MUST_CHECK;

#endif
