/* push.h - what push and copy have in common. */
#ifndef REMOTE_PUSH_H
#define REMOTE_PUSH_H

#include "remote/lookaside.h"

/* Whether this may be pushed there: a registry's repository with a tag, or with the digest that the
 * image has. ERR_USAGE otherwise. */
int push_target_ok(const struct ref *to, const struct oci_desc *manifest, struct err *e) MUST_CHECK;

/* The image, of an index its images first, with all that is attached, and its tag last, unless it
 * is
 * "". An image that a registry has under that tag is whole there: it took the manifest. */
int push_whole(const struct carry *c, const struct oci_desc *d, const struct lookaside *a,
	       const char *tag, struct err *e) MUST_CHECK;

#endif
