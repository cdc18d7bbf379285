/* heads.h - what vouches for a repository now, InRelease or repomd.xml, looked at without a solver:
 * while it is the one that a lock was made from there is nothing new to be had.
 *
 * Nothing is verified here: a head only counts when its digest is one that was, in a lock. */
#ifndef PACKAGE_HEADS_H
#define PACKAGE_HEADS_H

#include "http/http.h"
#include "recipe/recipe.h"

struct package_head {
	char *id;             /* what a lock calls the repository */
	char *url;            /* of the first mirror */
	bool known;           /* it is there: */
	struct digest digest; /* of its bytes */
	int64_t until;        /* seconds: it says of itself that it is good until then; 0 = it does
				 not say */
};

struct package_heads {
	struct package_head *v; /* in the order of the recipe */
	size_t n;
};

/* Where the heads of the recipe's repositories are; a base without repositories has none. A mirror
 * that nobody knows is ERR_RECIPE. */
int package_heads(const struct recipe *r, struct package_heads *ret, struct err *e) MUST_CHECK;

/* Fetches one. What cannot be had is not known, and no error. */
void package_head_look(struct package_head *h, struct http *via);

/* Accepts a zeroed struct. */
void package_heads_release(struct package_heads *h);

#endif
