/* search.h - at which time the versions of a server were the newest: a bisection of snapshots. */
#ifndef PACKAGE_SEARCH_H
#define PACKAGE_SEARCH_H

#include "package/match.h"
#include "recipe/recipe.h"

struct search {
	const struct recipe *recipe;
	const char *scratch; /* absolute; an own directory in it for each snapshot */
	struct match *match;
	int64_t now; /* seconds: what is wanted is older */
};

/* Looks for what the match misses in snapshots of ever other times, a few dozen at most, and offers
 * what it finds: where that is says the time (snapshot_id). A snapshot that does not answer is
 * ERR_REMOTE; a time without one is one before the archive began. */
int search_snapshots(const struct search *s, struct err *e) MUST_CHECK;

#endif
