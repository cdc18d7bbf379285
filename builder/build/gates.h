/* gates.h - programs of the finished tree judge what hardening made of it (posmedia-profile(5),
 * gate), beside what else is done meanwhile. */
#ifndef BUILD_GATES_H
#define BUILD_GATES_H

#include "build/job.h"
#include "sys/aside.h"

struct gates {
	struct job *j;
	const struct tree *tree; /* the index of what is below root; j->origins belongs to it */
	const char *root;        /* the tree, to look at */
	struct digest programs;  /* reads_programs */
};

/* Runs the gates of the recipe's profiles on copies of the tree, two controls at once; for
 * aside_start, with a struct gates. A control that fails and reaches the recipe's fail-on is
 * ERR_VERIFY with what the program said; others are told. What passed on the same files, with the
 * same profile, before, is not run again but with no_cache. */
int gates_run(void *arg, struct err *e) MUST_CHECK;

#endif
