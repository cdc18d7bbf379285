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

#endif
