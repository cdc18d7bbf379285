/* tests.h - the programs that a recipe runs against the finished image, beside what else is done
 * meanwhile. */
#ifndef BUILD_TESTS_H
#define BUILD_TESTS_H

#include "build/job.h"
#include "sys/aside.h"

struct tests {
	struct job *j;
	const char *root;         /* the finished tree, read-only */
	struct digest_text *keys; /* one a test: what decides its outcome; "" = everything */
	bool *known;              /* passed before with this key */
	struct aside running;
};

/* Starts those that have to run, two at once; `tree` is the index of what is below root,
 * `programs` from reads_programs. A test that says what it reads and passed on the same before is
 * not run again, but with no_cache; its log is there all the same. */
int tests_begin(struct tests *t, const struct tree *tree, const struct digest *programs,
		struct err *e) MUST_CHECK;

/* Waits for them: the first that failed is ERR_STEP. */
int tests_end(struct tests *t, struct err *e) MUST_CHECK;

/* Stops what runs. */
void tests_drop(struct tests *t);

#endif
