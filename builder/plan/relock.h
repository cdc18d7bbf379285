/* relock.h - make or refresh a lock: the recipe's packages resolved, its media hashed. */
#ifndef PLAN_RELOCK_H
#define PLAN_RELOCK_H

#include "package/package.h"
#include "recipe/lock.h"
#include "store/store.h"

struct relock_opts {
	const struct lock *before; /* the lock that is there, or NULL */
	const char *path;          /* where the lock lies, for its history in git; NULL = none */
	bool update;               /* ask the solver again even if its question is the same */
	bool replan;               /* plan the layers anew, whatever they were */
	struct package_ask ask;    /* other packages than the recipe's, or of another time */
};

struct relocked {
	struct lock *lock;
	struct strv changes;    /* lock_diff's lines */
	struct strv unrecorded; /* steps that use the proxy and have nothing recorded yet */
	/* the repositories that the solver was asked about, as they are now: id, release and date;
	 * none when it was not asked */
	struct lock_repository *seen;
	size_t seen_n;
};

/* Makes the lock of a recipe. While the question for the solver stays the same, so do the versions
 * (no network is used) unless `update` is set or `ask` says anything; and where the answer names
 * the same packages as before, epoch and repository snapshots stay, so that a mirror's new time
 * stamp alone changes no image. What the proxy recorded is kept, and taken from the store where a
 * build has recorded anew (record_merge). */
int relock(const struct recipe *r, const struct relock_opts *o, struct store *s,
	   struct relocked *ret, struct err *e) MUST_CHECK;
void relocked_release(struct relocked *r);

#endif
