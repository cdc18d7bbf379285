/* gate.h - programs of the tree that are run to say whether it works. */
#ifndef HARDEN_GATE_H
#define HARDEN_GATE_H

#include "base/strv.h"
#include "harden/harden.h"
#include "sandbox/sandbox.h"
#include <regex.h>

/* What a control wants of one run. Paths have no leading slash. */
struct gate {
	char *program;
	struct yaml *arguments; /* a list of texts, empty ones too; or NULL */
	char *input;
	struct strv directories; /* made for this run: empty, root's, 0755 */
	struct strv files;       /* patterns: what they match is added to the arguments */
	struct strv when;        /* these are there, or it is not run */
	struct strv reads;       /* what it reads; none = anything */
	char *says, *never;      /* extended regular expressions, of a line */
	bool refuses;            /* the program refuses what it is given */
	bool network;            /* it may configure its own, empty network */
	regex_t says_re, never_re;
	bool says_set, never_set;
};

/* A copy of the tree to run programs on; zero-initialised but for g, it is made when the first one
 * runs. */
struct gate_copy {
	const struct harden_gates *g;
	char *dir, *root;
	bool mounted;
};
void gate_copy_drop(struct gate_copy *c);

struct gate_outcome {
	struct sandbox_result end;
	struct buf said; /* plain text, the first so many bytes */
	bool cut;        /* it said more */
};
void gate_outcome_release(struct gate_outcome *o);

/* Runs it on the copy; argv ends with NULL. -1: it could not be run. */
int gate_run(const struct gate *g, const char *const *argv, struct gate_copy *c,
	     struct gate_outcome *ret, struct err *e) MUST_CHECK;

#endif
