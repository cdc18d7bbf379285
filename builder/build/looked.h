/* looked.h - the files of the tree that is hardened and sealed, from the indexes of the stages
 * below and a look at what the stage itself has changed so far; and which of them an earlier build
 * looked into: they need not be read again. */
#ifndef BUILD_LOOKED_H
#define BUILD_LOOKED_H

#include "build/job.h"
#include "harden/facts.h"

struct looked;

/* For a stage on top of the `n` lowest, whose changes lie in `upper`, borrowed. With no_cache
 * nothing counts as looked into. A stage below whose index is damaged: ERR_VERIFY and
 * j->damaged. */
int looked_open(struct job *j, size_t n, const char *upper, struct looked **ret,
		struct err *e) MUST_CHECK;

/* The stage is finished: its index, j->contents[n], says what it changed. `upper` is where its
 * tree lies now. */
void looked_finish(struct looked *l, const char *upper);

void looked_free(struct looked *l);

/* Lists the tree; NULL for NULL. Borrowed. */
const struct facts_source *looked_source(const struct looked *l);

/* Something was found in this file: it is to be found again. NULL l: nobody asks. */
void looked_found(struct looked *l, const char *path);

/* Appends all of these, each with a NUL behind it. */
void looked_all_found(const struct looked *l, struct buf *ret);

/* Whether an earlier build looked into the layers of the image below and found nothing at all; and
 * this one did. */
bool looked_below(const struct looked *l);
void looked_below_clean(struct looked *l);

/* All files were looked into: says so to later builds of the recipe, for as long as this program,
 * whose rules may be others tomorrow, and the machine are the same. */
int looked_keep(struct looked *l, struct err *e) MUST_CHECK;

#endif
