/* outdated.h - an image against the repositories that its recipe names, as they are now: what of it
 * is behind, and what of that is a security update. Changes nothing but the store's cache. */
#ifndef OUTDATED_OUTDATED_H
#define OUTDATED_OUTDATED_H

#include "form/json.h"
#include "oci/oci.h"
#include "package/pending.h"
#include "store/store.h"

struct outdated {
	char *object;           /* as it was named */
	char *recipe, *version; /* of the recipe that the image carries */
	struct digest image;    /* its manifest */
	struct pending all;     /* every package that the image has */
	size_t behind;          /* how many there is a newer version of */
	size_t security;        /* and of these by a security update */
	size_t strange;         /* that no repository knows: what steps have installed */
};

/* What is installed is read from the image's own databases; where to look and whom to believe from
 * the recipe and the keys that it carries (posmedia-reproducible(7)): an image without is
 * ERR_RECIPE. Blobs are verified. An ordinary user has been through sandbox_enter before the store
 * was opened. The caller releases *ret. */
int outdated_image(struct store *s, const struct oci_layout *l, const struct oci_desc *manifest,
		   const char *object, struct outdated *ret, struct err *e) MUST_CHECK;

/* For people; as JSON, which the caller owns. */
void outdated_text(const struct outdated *o, struct buf *out);
struct jval *outdated_json(const struct outdated *o) MUST_CHECK;

/* ERR_VERIFY when the image is behind by more than that: "any" update, "security" updates only, or
 * "never". Another word is ERR_USAGE. */
int outdated_gate(const struct outdated *o, const char *fail_on, struct err *e) MUST_CHECK;

/* Accepts a zeroed struct. */
void outdated_release(struct outdated *o);

#endif
