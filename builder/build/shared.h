/* shared.h - stages that other machines have made (stash/stash.h), and those of ours for them. */
#ifndef BUILD_SHARED_H
#define BUILD_SHARED_H

#include "archive/unpack.h"
#include "build/job.h"

/* A stage's tree as a tar, and what it takes away of the trees below, which a tar has no words for:
 * {"gone": [path, …], "opaque": [path, …]}. */
struct packed_tree {
	struct pack_result packed;
	struct jval *marks;
};
int job_tree_pack(struct job *j, const char *tree, const struct sink *to, struct packed_tree *ret,
		  struct err *e) MUST_CHECK;
void packed_tree_release(struct packed_tree *p);

/* And back, into the new directory `tree`. */
int job_tree_unpack(int blob, const struct jval *marks, const char *tree,
		    const struct unpack_opts *o, struct err *e) MUST_CHECK;

/* Whether stage i can come from other machines in this build. */
bool shared_reads(const struct job *j, size_t i);

/* Brings the tree of stage i into dir/tree, which is made anew: *ret_done, or it is not to be had.
 * What it holds is known then, as if it was made here. */
int shared_get(struct job *j, size_t i, const char *dir, bool *ret_done, struct err *e) MUST_CHECK;

/* The same of a stage that will be made here if it does not come: waits while another machine is at
 * work on it, and claims it when none is, until shared_end. */
int shared_begin(struct job *j, size_t i, const char *dir, bool *ret_done,
		 struct err *e) MUST_CHECK;
void shared_end(struct job *j);

/* Whether something else than what stage i made here is there for all others: another machine was
 * faster. */
bool shared_is_other(struct job *j, size_t i) MUST_CHECK;

/* Puts what stage i made, its tree. */
int shared_put(struct job *j, size_t i, const char *tree, struct err *e) MUST_CHECK;

#endif
