/* unpack.h - what the layers of an image make together, its root tree, and what each is. */
#ifndef OCI_UNPACK_H
#define OCI_UNPACK_H

#include "oci/oci.h"

/* Hashes every blob of the image and reads its manifest: of an index the one for this machine. The
 * caller releases *ret; *ret_digest, the manifest's own, may be NULL. */
int oci_read_verified(const struct oci_layout *l, const struct oci_desc *manifest,
		      struct oci_manifest *ret, struct digest *ret_digest,
		      struct err *e) MUST_CHECK;

/* Hashes every blob of the image, then unpacks its layers in order, with their owners, below the
 * directory `dest` (absolute, empty). Owners need more ids than an ordinary user has: he has been
 * through sandbox_enter. The caller releases *ret. */
int oci_unpack(const struct oci_layout *l, const struct oci_desc *manifest, const char *dest,
	       struct oci_manifest *ret, struct err *e) MUST_CHECK;

/* Unpacks the layers of a manifest that oci_read_verified gave. *ret_hidden says whether one takes
 * away or replaces what another below it has: then there is more in the image than its tree shows.
 */
int oci_unpack_layers(const struct oci_layout *l, const struct oci_manifest *m, const char *dest,
		      bool *ret_hidden, struct err *e) MUST_CHECK;

/* Whether each layer is what the config names as its diff_id: no engine takes the image else. One
 * that is not is ERR_VERIFY. The blobs were hashed before. */
int oci_check_diff_ids(const struct oci_layout *l, const struct oci_manifest *m,
		       struct err *e) MUST_CHECK;

#endif
