/* siglayer.h - signatures as an image layout keeps them; for the files of sign/ only. */
#ifndef SIGN_SIGLAYER_H
#define SIGN_SIGLAYER_H

#include "oci/oci.h"
#include "sign/payload.h"

/* The signatures of one form on one manifest. */
struct sig_set {
	const struct oci_layout *layout;
	const struct digest *manifest;
	enum sign_form form;
};

/* "OpenPGP", "cosign" or "bundle", for messages; the media type of the layers. */
const char *sig_form_name(enum sign_form form);
const char *sig_media_type(enum sign_form form);

/* The tag under which the set's manifest is; the caller owns it. */
char *sig_tag(const struct sig_set *s) MUST_CHECK;

/* Reads the set's manifest. None at all: success, and an empty *ret. A damaged one is ERR_VERIFY.
 */
int sig_manifest(const struct sig_set *s, struct oci_manifest *ret, struct err *e) MUST_CHECK;

/* The same of any tag. */
int sig_manifest_at(const struct oci_layout *l, const char *tag, struct oci_manifest *ret,
		    struct err *e) MUST_CHECK;

/* Points the tag at the manifest, whose layers are in the layout, and gives it the configuration
 * that readers of the form want. */
int sig_save(struct oci_layout *l, const char *tag, enum sign_form form, struct oci_manifest *m,
	     struct err *e) MUST_CHECK;

/* Takes a layer out. */
void sig_drop_layer(struct oci_manifest *m, size_t i);

/* One signature: the layer's blob, and for cosign the DER from its annotation. */
struct sig {
	struct buf blob;
	struct buf der;
};
void sig_init(struct sig *sig);
void sig_release(struct sig *sig);

/* Reads a layer into an initialised sig; its digest, size and type are checked (ERR_VERIFY). */
int sig_load(const struct sig_set *s, const struct oci_desc *layer, struct sig *ret,
	     struct err *e) MUST_CHECK;

/* Whether the key made it, over this manifest. Gives what was signed; the caller releases it. */
int sig_check(const struct sig_set *s, const struct sig *sig, const struct sign_public *key,
	      struct payload_said *ret, struct err *e) MUST_CHECK;

#endif
