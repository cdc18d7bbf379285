/* instance.h - the instance that data is restored for: who its users are, and its fixers. */
#ifndef RESTORE_INSTANCE_H
#define RESTORE_INSTANCE_H

#include "manifest/manifest.h"
#include "stage/parts.h"

/* Whether one of the site's generations runs. */
int instance_runs(struct stage *st, bool *ret, struct err *e) MUST_CHECK;

/* Names and numbers of the current generation's users and groups, as its container has them,
 * whether it runs or not. */
int instance_names(struct stage *st, struct manifest_names **ret, struct err *e) MUST_CHECK;

/* Every user and group of a manifest that the instance does not know: "user NAME", "group NAME",
 * sorted; a number without a name too, when it is somebody's number there. */
void instance_unknown(const struct manifest *m, const struct manifest_names *names,
		      struct strv *ret);

/* Ends and removes the container of a fixer that a kill left. */
int instance_sweep(struct stage *st, struct err *e) MUST_CHECK;

/* Runs the fixers that the image's recipe declares, each a program of the image, in a container of
 * its own without a network that has the new data where the instance has it, and the instance's
 * users. `dir` has the new data by their names. A program that does not end with 0 is ERR_STEP with
 * what it said. *ret lists what ran. */
int instance_fix(struct stage *st, const char *dir, struct strv *ret, struct err *e) MUST_CHECK;

#endif
