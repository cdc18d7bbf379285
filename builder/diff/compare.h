/* compare.h - two sides next to each other. */
#ifndef DIFF_COMPARE_H
#define DIFF_COMPARE_H

#include "diff/side.h"

/* Everything that is known by name; a topic that a side knows nothing of stays empty. */
void compare_facts(const struct side *was, const struct side *is, struct diff *ret);

/* The entries of the trees: same path, then type, link, owner, mode, attributes, size, SHA-256.
 * Needs compare_facts before it: files are folded into the packages that changed. */
int compare_files(const struct side *was, const struct side *is, struct diff *ret,
		  struct err *e) MUST_CHECK;

/* Against a list of packages: says of each what the other side is, and drops what is the same but
 * for an epoch that the list does not have. */
void compare_list(const struct inventory *list, bool list_is, struct diff_list *l);

#endif
