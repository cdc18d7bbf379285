/* verdict.h - what the profiles of a recipe say of the tree and of the image. */
#ifndef BUILD_VERDICT_H
#define BUILD_VERDICT_H

#include "build/job.h"
#include "harden/facts.h"
#include "harden/harden.h"

/* Loads the recipe's profiles for all that follows, unless they are loaded. Two controls that
 * contradict each other are ERR_RECIPE. */
int verdict_load(struct job *j, struct err *e) MUST_CHECK;

/* Hardens the tree at root by every profile; whether that was enough is asked afterwards. */
int verdict_fix(struct job *j, const char *root, struct err *e) MUST_CHECK;

/* Judges the tree at root by every profile. One that fails at or above the recipe's fail-on is
 * ERR_VERIFY. Files that are clean are not looked into for card data; the layers of
 * an image below are, too. Fills in verdict.found and verdict.judged. */
int verdict_tree(struct job *j, const char *root, struct err *e) MUST_CHECK;

/* Refuses card data that was found, of those classes that no control of a profile that applies has
 * judged, unless the recipe's fail-on is "never". */
int verdict_content(struct job *j, struct err *e) MUST_CHECK;

/* Judges what is beyond the tree at root: the image's configuration and its packages. */
int verdict_image(struct job *j, const char *root, const struct jval *config,
		  struct err *e) MUST_CHECK;

/* Adds a label for each profile, "org.posmedia.profile.ID" with its digest. */
int verdict_labels(struct job *j, struct jval *labels, struct err *e) MUST_CHECK;

/* What the profiles are, all of them together. */
int verdict_digest(struct job *j, struct digest *ret, struct err *e) MUST_CHECK;

/* Forgets the profiles and what was found. */
void verdict_release(struct job *j);

#endif
