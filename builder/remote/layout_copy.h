/* layout_copy.h - from one layout into another. */
#ifndef REMOTE_LAYOUT_COPY_H
#define REMOTE_LAYOUT_COPY_H

#include "oci/oci.h"

/* Copies a manifest and its blobs, verified; the index is left alone. */
int layout_copy_manifest(const struct oci_layout *from, struct oci_layout *to,
			 const struct oci_desc *d, struct err *e) MUST_CHECK;

#endif
