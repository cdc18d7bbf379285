/* signatures.h - an image's signatures here and there: they are added up, never replaced. Two
 * signers need not know of each other. */
#ifndef REMOTE_SIGNATURES_H
#define REMOTE_SIGNATURES_H

#include "remote/artifact.h"

/* The entry of index.json with this tag, borrowed until the layout changes, or NULL. */
const struct oci_desc *signatures_tagged(const struct oci_layout *l, const char *tag);

/* Makes `tag` in the layout the union of what it is and of the manifest `more`, whose blobs are in
 * the layout too. */
int signatures_add(struct oci_layout *l, const char *tag, const struct oci_desc *more,
		   struct err *e) MUST_CHECK;

/* Adds the registry's signatures under `tag` to the layout's. Returns 1 when it has none. */
int signatures_pull(const struct carry *c, const char *tag, struct err *e) MUST_CHECK;

/* Uploads the layout's signatures under `tag`, if it has any, after adding the registry's: once.
 * *ret_wrote is set when the tag was not yet what it has to be; otherwise it is left. Who wrote
 * looks again (attached_push), as another may have written meanwhile. ERR_BUSY: another did. */
int signatures_push(const struct carry *c, const char *tag, bool *ret_wrote,
		    struct err *e) MUST_CHECK;

#endif
