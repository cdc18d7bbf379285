/* dnf_ask.h - one question to dnf, in private directories; see dnf.h. */
#ifndef PACKAGE_DNF_ASK_H
#define PACKAGE_DNF_ASK_H

#include "form/json.h"
#include "recipe/recipe.h"

/* What is asked, and of when. */
struct dnf_question {
	const struct recipe *r;
	const char *time; /* NULL = as it is today */
	const char *dir;  /* absolute, exists */
};

/* Asks about the recipe's repositories; more: what the question has besides, it is taken over.
 * What dnf refuses is said in its own words: ERR_RECIPE at the recipe's position, or ERR_REMOTE.
 * The caller owns *ret. */
int dnf_ask(const struct dnf_question *q, struct jval *more, struct jval **ret,
	    struct err *e) MUST_CHECK;

#endif
