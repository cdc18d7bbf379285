/* lookaside.h - OpenPGP signatures where skopeo and podman look for them:
 * LOOKASIDE/REPO@sha256=HEX/signature-N (containers-registries.d(5)), N from 1 without gaps. */
#ifndef REMOTE_LOOKASIDE_H
#define REMOTE_LOOKASIDE_H

#include "remote/blobs.h"

enum { LOOKASIDE_SIGNATURES_MAX = 127, LOOKASIDE_BYTES_MAX = 4 << 20 };

/* Where an image's signatures are. */
struct lookaside {
	const char *at; /* a directory, or for reading an http or https URL too */
	const char *repo;
	const struct digest *image;
};

/* Adds a signature to a directory, unless the same bytes are there. */
int lookaside_put(const struct lookaside *a, const struct buf *sig, struct err *e) MUST_CHECK;

/* Copies all signatures into the layout as the layers of *ret (an ARTIFACT_PGP manifest that is
 * not yet in the layout). None is no error: ret->layers_n is 0. */
int lookaside_get(const struct lookaside *a, struct oci_layout *l, struct oci_manifest *ret,
		  struct err *e) MUST_CHECK;

#endif
