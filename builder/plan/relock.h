/* relock.h - make or refresh a lock: the recipe's packages resolved, its media hashed. */
#ifndef PLAN_RELOCK_H
#define PLAN_RELOCK_H

#include "recipe/lock.h"
#include "store/store.h"

/* Resolves the recipe into *ret. Where the outcome names the same packages and media as `before`
 * (may be NULL), `before`'s epoch and repository snapshots stay, so that a
 * mirror's new time stamp alone changes no image. *ret_changes gets lock_diff's lines. */
int relock(const struct recipe *r, const struct lock *before, struct store *s, struct lock **ret,
	   struct strv *ret_changes, struct err *e) MUST_CHECK;

/* Checks files on disk against the recipe's digests and sizes: a wrong medium is ERR_VERIFY at the
 * recipe's position. Remote media are checked when they are fetched. */
int relock_media(const struct recipe *r, struct lock *l, struct err *e) MUST_CHECK;

#endif
