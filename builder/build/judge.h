/* judge.h - what the configured tree is found to be, beside what else is done with it: the controls
 * and the look for card data in a process of their own, secrets and traces of this machine in this
 * one. */
#ifndef BUILD_JUDGE_H
#define BUILD_JUDGE_H

#include "build/job.h"

/* Begins with stage i of the plan, the last finished one. Nothing when it was judged before and is
 * as it was. */
int judge_begin(struct job *j, size_t i, struct err *e) MUST_CHECK;

/* Whether the tree of the plan's configuration is there and nobody has found it good: an image of
 * it is not to be believed. */
bool judge_is_due(const struct job *j);

/* Refuses (ERR_VERIFY) secrets and traces of this machine; what the controls have against the tree
 * comes first. */
int judge_seal(struct job *j, struct err *e) MUST_CHECK;

/* Something else went wrong, which *e says: what is wrong with the tree takes its place. */
void judge_first(struct job *j, struct err *e);

/* Waits for the rest. What is well is noted with the stage. */
int judge_end(struct job *j, struct err *e) MUST_CHECK;

/* Stops what runs and forgets it. */
void judge_drop(struct job *j);

#endif
