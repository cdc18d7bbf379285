/* artifact.h - what is the same for images and for their signatures: a manifest with its blobs. */
#ifndef REMOTE_ARTIFACT_H
#define REMOTE_ARTIFACT_H

#include "remote/blobs.h"

/* An OpenPGP signature in a manifest under "sha256-<hex>.pgp": one layer each. */
#define ARTIFACT_PGP "application/vnd.posmedia.openpgp.v1"

/* What the layers under "sha256-<hex>.sig" and ".att" are. */
#define ARTIFACT_COSIGN "application/vnd.dev.cosign.simplesigning.v1+json"
#define ARTIFACT_DSSE   "application/vnd.dsse.envelope.v1+json"

/* The tag of an image's signatures: "sha256-<hex>.sig" or ".pgp"; the caller owns it. */
char *artifact_tag(const struct digest *image, const char *suffix) MUST_CHECK;

/* Uploads the manifest and its blobs; then, unless tag is "", gives it the tag. */
int artifact_push(const struct carry *c, const struct oci_desc *d, const char *tag,
		  struct err *e) MUST_CHECK;

/* Uploads the blobs, and the manifest under this name, a tag or its digest, alone. */
int artifact_push_as(const struct carry *c, const struct oci_desc *d, const char *name,
		     struct err *e) MUST_CHECK;

/* Reads the manifest that `name` (a tag or a digest) stands for into an initialised buffer of
 * OCI_MANIFEST_MAX, checked against the digest and what the registry says of it; the caller
 * releases *ret. Returns 1 when there is none. */
int artifact_get(struct registry *r, const char *name, struct buf *b, struct oci_desc *ret,
		 struct err *e) MUST_CHECK;

/* Whether this media type is one that we carry: docker's own and an index where an image is wanted
 * are refused, with a hint. */
int artifact_check_type(const char *type, struct err *e) MUST_CHECK;

/* Brings in the blobs of a manifest that artifact_get has read, and then the manifest. What is no
 * OCI image manifest is refused. */
int artifact_take(const struct carry *c, struct oci_desc *got, const struct buf *b,
		  uint64_t max_bytes, struct err *e) MUST_CHECK;

/* Writes a manifest or an index under a tag or its digest. */
int artifact_put(struct registry *r, const char *name, const char *type, const struct buf *b,
		 struct err *e) MUST_CHECK;

/* Only an index, whose images are there. */
int artifact_push_index(struct registry *r, const struct oci_layout *l, const struct oci_desc *d,
			struct err *e) MUST_CHECK;

/* Only the tag, for a manifest that is there. */
int artifact_set_tag(struct registry *r, const struct oci_layout *l, const struct oci_desc *d,
		     const char *tag, struct err *e) MUST_CHECK;

/* Downloads the manifest that `name` (a tag or a digest) stands for, and its blobs, which may have
 * max_bytes in all; the layout's index is left alone. Returns 1 when there is none, and leaves *ret
 * then. */
int artifact_pull(const struct carry *c, const char *name, uint64_t max_bytes, struct oci_desc *ret,
		  struct err *e) MUST_CHECK;

/* Same for an image, which may be an index: of images for one platform, or with c->platform "all"
 * of any, these come with it and are handed out in *ret_members, which the caller releases. With
 * another c->platform the first image for it comes alone; with c->arch the index and the first
 * image for that; with c->only_manifest no blobs do. */
int artifact_pull_image(const struct carry *c, const char *name, struct oci_desc *ret,
			struct oci_index *ret_members, struct err *e) MUST_CHECK;

#endif
