/* remote.h - images between a layout and a registry. OCI distribution-spec 1.1. */
#ifndef REMOTE_REMOTE_H
#define REMOTE_REMOTE_H

#include "form/ref.h"
#include "oci/oci.h"

struct remote_opts {
	bool plain_http;       /* http instead of https; the default for loopback hosts only */
	const char *lookaside; /* directory for OpenPGP signatures (push fills it, pull reads it),
				  or an http(s) URL (pull only); NULL = none */
	unsigned parallel;     /* blobs at once; 0 = 4 */
	unsigned tries;        /* 0 = 4 */
	const char *arch;      /* pull: of an index only the image for linux on this; NULL = an
				  index for several platforms is refused */
	bool only_manifest;    /* pull: not the image's blobs */
	bool only_image;       /* pull: not its signatures */
};

struct remote_stats {
	size_t blobs, blobs_skipped; /* moved; already there */
	uint64_t bytes;              /* moved */
};

/* Copies the image (and its sha256-….sig and .pgp signatures) from the layout to the registry:
 * HEAD, POST + monolithic PUT, manifest by digest, then signatures, then the tag last. Skips what
 * is there; a lost reply is answered by HEAD. Signatures that are in the registry already are
 * added to the layout's first, so that none is ever lost. OpenPGP signatures go to
 * LOOKASIDE/REPO@sha256=HEX/signature-N as well. Credentials: containers-auth.json(5). */
int remote_push(struct oci_layout *l, const struct oci_desc *manifest, const struct ref *to,
		const struct remote_opts *o, struct remote_stats *ret, struct err *e) MUST_CHECK;

struct remote_pulled {
	struct oci_desc manifest; /* of what was named; the caller releases it */
	struct digest image;      /* itself, or the first that was taken of an index */
	struct remote_stats stats;
};

/* Copies the other way, signatures included, verifying every byte, then sets the tag in the layout
 * (last); tag "" sets none. `from` names a tag or a digest: "latest" is not assumed (ERR_USAGE). */
int remote_pull(const struct ref *from, struct oci_layout *l, const char *tag,
		const struct remote_opts *o, struct remote_pulled *ret, struct err *e) MUST_CHECK;

#endif
