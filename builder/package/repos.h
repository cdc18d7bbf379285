/* repos.h - the repositories that apt is asked about, in private directories of their own. */
#ifndef PACKAGE_REPOS_H
#define PACKAGE_REPOS_H

#include "package/private.h"

/* One of them. Where it is had from is known after repos_update. */
struct repo {
	char *suite; /* "bookworm-security"; "./" = an index of our own */
	char *time;  /* of a snapshot, "20240115T000000Z"; NULL = as it is today */
	char *id;    /* what the lock calls it: the suite, for a snapshot with "_" and its time */
	char *uri;   /* ends in "/", or NULL */
};

struct repos {
	const struct recipe *r;
	struct private_apt apt;
	struct repo *v;
	size_t n;
};

/* An index of one of them, as apt fetched and verified it. */
struct repos_index {
	const struct repo *repo;
	const char *path;
	size_t key; /* bytes of the end of `path` that are not the directory of its Release file */
};

/* apt in the directory, which exists and is empty; no repository yet. */
int repos_make(const struct recipe *r, const char *dir, struct repos *ret,
	       struct err *e) MUST_CHECK;

/* Adds all suites of the recipe, as they are today (time NULL) or were at that time. */
void repos_add(struct repos *s, const char *time);

/* Adds an index that we made ourselves, in the directory, which apt trusts as we do. */
void repos_add_own(struct repos *s, const char *dir);

/* Fetches and verifies the indexes of all, from the first mirror or snapshot that answers. Not
 * signed by the recipe's keyring: ERR_RECIPE at its position. Nobody answers: ERR_REMOTE. *absent
 * (may be NULL): for a snapshot, that it has no such suite at that time. */
int repos_update(struct repos *s, bool *absent, struct err *e) MUST_CHECK;

/* Calls fn for each index, in the order of the repositories. */
int repos_each(struct repos *s, int (*fn)(void *ctx, const struct repos_index *x, struct err *e),
	       void *ctx, struct err *e) MUST_CHECK;

/* The text of the Release file that vouches for an index. */
int repos_release_text(const struct repos_index *x, struct buf *ret, struct err *e) MUST_CHECK;

/* Accepts a zeroed struct. */
void repos_release(struct repos *s);

#endif
