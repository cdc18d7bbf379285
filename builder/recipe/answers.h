/* answers.h - what to type when an installer asks: posmedia-answers(5). */
#ifndef RECIPE_ANSWERS_H
#define RECIPE_ANSWERS_H

#include "recipe/recipe.h"

struct recipe_answer {
	char *prompt;  /* text that the output must contain, or NULL */
	char *pattern; /* or what its last line must match: glob.h */
	char *reply;   /* what is typed; "" for nothing but Enter */
	char *secret;  /* or the name of the secret that is typed; NULL for `reply` */
	uint64_t times;
	bool optional;
	bool no_enter; /* no newline after the reply */
	struct recipe_pos pos;
};

struct recipe_answers {
	struct recipe_answer *v; /* in their order */
	size_t n;
	uint64_t quiet_ms;    /* a program that waits for input this long was asked in vain */
	struct digest digest; /* of the file */
	char *schema;
};

/* Reads an answers file. Every fault is ERR_RECIPE with FILE:LINE:COL and a hint. */
int recipe_answers_load(const char *path, struct recipe_answers **ret, struct err *e) MUST_CHECK;
void recipe_answers_free(struct recipe_answers *a);
void recipe_answers_freep(struct recipe_answers **a);

/* What an answer waits for, as it was written; borrowed. */
const char *recipe_answer_wants(const struct recipe_answer *a);

#endif
