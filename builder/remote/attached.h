/* attached.h - what hangs on an image: signatures and attestations under tags of its digest,
 * OpenPGP signatures in a lookaside, and referrers. */
#ifndef REMOTE_ATTACHED_H
#define REMOTE_ATTACHED_H

#include "remote/lookaside.h"

/* Adds what is there of an image to what the layout has. */
int attached_pull(const struct carry *c, const struct lookaside *a, struct err *e) MUST_CHECK;

/* Adds what the layout has to what is there, and fills the lookaside, if there is one. */
int attached_push(const struct carry *c, const struct lookaside *a, struct err *e) MUST_CHECK;

/* Whether anything is attached to it in the layout. */
bool attached_any(const struct oci_layout *l, const struct digest *image);

/* The tags that an image's signatures may have, "sha256-HEX" and what follows it. */
void attached_tags(const struct digest *image, struct strv *ret);

#endif
