/* dialogue.h - answers what a step asks at its terminal: posmedia-answers(5) says how. */
#ifndef BUILD_DIALOGUE_H
#define BUILD_DIALOGUE_H

#include "build/vault.h"
#include "recipe/answers.h"
#include <sys/types.h>

struct dialogue {
	const struct recipe_answers *a;
	const struct vault *secrets;
	size_t at;         /* the first answer that is not used up */
	uint64_t used;     /* how often that one was used */
	struct buf heard;  /* plain text since the last reply */
	uint64_t heard_ms; /* when the last of it came */
	uint64_t fits_ms;  /* since when an answer fits; 0 = none does */
	uint64_t waits_ms; /* since when the program waits for input in silence; 0 = it does not */
	uint64_t checked_ms; /* when that was looked at last */
};

/* Answers and secrets are borrowed. */
void dialogue_init(struct dialogue *d, const struct recipe_answers *a, const struct vault *s);
void dialogue_release(struct dialogue *d);

/* Takes plain text that the program said (form/unescape.h). */
void dialogue_hear(struct dialogue *d, const char *p, size_t n);

/* What is to be typed now, if anything, onto *type. The program waits in vain: ERR_STEP with the
 * last line that it said. `waits` tells whether it waits for input; it is asked seldom. */
int dialogue_look(struct dialogue *d, bool (*waits)(pid_t init), pid_t init, struct buf *type,
		  struct err *e) MUST_CHECK;

/* The program ended well: answers that are left and not optional are ERR_STEP. */
int dialogue_end(const struct dialogue *d, struct err *e) MUST_CHECK;

/* Whether an answer fits the text that was heard. */
bool dialogue_fits(const struct recipe_answer *a, const char *heard);

#endif
