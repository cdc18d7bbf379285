/* brought.h - what a recipe brings into an image beside its packages: overlays, and what its steps
 * may write. Of the recipe at hand, else of the one that the image carries: whoever made the image
 * wrote that, so it excuses nothing unless a key that was given signed the image. */
#ifndef HARDEN_BROUGHT_H
#define HARDEN_BROUGHT_H

#include "harden/op.h"

struct brought {
	struct strv from, to; /* overlays: where they are; without leading slash where they go */
	struct strv writes;   /* of steps, the same */
	bool inside;          /* from is in the tree */
	bool vouched;         /* the caller's own recipe, or of an image with a good signature */
};

/* Reads it; a tree without a recipe brings nothing. The caller releases *ret. */
int brought_read(const struct op_run *r, struct brought *ret, struct err *e) MUST_CHECK;
void brought_release(struct brought *b);

/* Whether the path is an overlay's, or below what a step may write, of a recipe that is vouched
 * for.
 */
bool brought_has(const struct op_run *r, const struct brought *b, const char *path);

/* The same of one that is not: words to append to a finding, else "". */
const char *brought_claim(const struct op_run *r, const struct brought *b, const char *path);

#endif
