/* artifact.h - what is the same for images and for their signatures: a manifest with its blobs. */
#ifndef REMOTE_ARTIFACT_H
#define REMOTE_ARTIFACT_H

#include "remote/blobs.h"

/* An OpenPGP signature in a manifest under "sha256-<hex>.pgp": one layer each. */
#define ARTIFACT_PGP "application/vnd.posmedia.openpgp.v1"

/* The tag of an image's signatures: "sha256-<hex>.sig" or ".pgp"; the caller owns it. */
char *artifact_tag(const struct digest *image, const char *suffix) MUST_CHECK;

/* Uploads the manifest and its blobs; then, unless tag is "", gives it the tag. */
int artifact_push(struct registry *r, const struct oci_layout *l, const struct oci_desc *d,
		  const char *tag, struct remote_stats *stats, struct err *e) MUST_CHECK;

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

/* Same for an image, which may be an index of images for one platform: they come with it and are
 * handed out in *ret_members, which the caller releases. With c->arch of an index for several the
 * first for that comes; with c->only_manifest no blobs do. */
int artifact_pull_image(const struct carry *c, const char *name, struct oci_desc *ret,
			struct oci_index *ret_members, struct err *e) MUST_CHECK;

/* The bytes of a manifest or index, checked, and what they are; the caller releases *ret. Returns 1
 * when there is none. */
int artifact_get(struct registry *r, const char *name, struct buf *b, struct oci_desc *ret,
		 struct err *e) MUST_CHECK;

/* Uploads bytes as a manifest of a media type. */
int artifact_put(struct registry *r, const char *name, const char *type, const struct buf *b,
		 struct err *e) MUST_CHECK;

#endif
