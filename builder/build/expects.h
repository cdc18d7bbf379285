/* expects.h - files of the machine that a step is shown, and that are gone after it. They are laid
 * into the tree and taken out again, not mounted over it: an installer that edits /etc/fstab
 * replaces it, which nobody can do with a mount point. */
#ifndef BUILD_EXPECTS_H
#define BUILD_EXPECTS_H

#include "base/err.h"
#include "base/strv.h"
#include "recipe/recipe.h"
#include <stdbool.h>

struct laid_file {
	char *path; /* in the tree, links resolved, without leading slash */
	char *text;
	bool fixed; /* a step that changes it has failed */
};

struct laid {
	struct laid_file *v;
	size_t n;
	struct strv made; /* directories that were not there */
};

/* Lays what the step expects into the merged tree at root. *ret is to be released whatever it
 * returns. */
int expects_lay(const struct recipe_step *st, const char *root, struct laid *ret,
		struct err *e) MUST_CHECK;

/* After the step: ERR_STEP when it changed what is fixed. Says which other changes will be dropped.
 */
int expects_check(const struct recipe_step *st, const char *root, const struct laid *l,
		  struct err *e) MUST_CHECK;

/* Takes all of it out of `upper`, the overlay's own directory, when that is not mounted: what the
 * trees below have is there again. */
int expects_take_out(const char *upper, const struct laid *l, struct err *e) MUST_CHECK;

void laid_release(struct laid *l);

#endif
