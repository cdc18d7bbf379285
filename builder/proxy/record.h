/* record.h - what a step's proxy got, in the store: cache/records/KEY.json, until a lock has it. */
#ifndef PROXY_RECORD_H
#define PROXY_RECORD_H

#include "recipe/lock.h"
#include "store/store.h"

struct record {
	struct digest replaces; /* record_of_lock of the lock that the step ran with */
	struct lock_recorded *v;
	size_t n;
};

/* The name of a step's record: it changes with the recipe's name and with the step. */
struct digest record_key(const struct recipe *r, const struct recipe_step *st);

/* The file of a record, relative to the store; the caller owns it. */
char *record_path(const struct digest *key) MUST_CHECK;

/* What a lock has of a step, as one digest; of nothing as well. */
struct digest record_of_lock(const struct lock *l, const char *step);

/* Keeps the n sorted entries that the step got when it ran with this lock. */
int record_save(struct store *s, const struct digest *key, const struct record *rec,
		struct err *e) MUST_CHECK;

/* False when there is none, or it is no good. The caller releases what it gets. */
bool record_load(const struct store *s, const struct digest *key, struct record *ret);

/* Same with a file of the caller's. */
int record_write(const char *path, const struct record *rec, struct err *e) MUST_CHECK;
bool record_read(const char *path, struct record *ret);
void record_release(struct record *r);

/* The entries that a lock of this recipe is to have: those of `l` (NULL: none) for steps that
 * still use the proxy, and for each step the store's record in their place if it was made with just
 * them. So a record is taken once, and an old one never undoes what a lock got later. */
void record_merge(const struct store *s, const struct recipe *r, const struct lock *l,
		  struct lock_recorded **ret, size_t *ret_n);

/* Same with records that the caller has in place of the store's: one for each step of the recipe,
 * NULL for those that have made none. */
void record_merge_made(const struct record *const *made, const struct recipe *r,
		       const struct lock *l, struct lock_recorded **ret, size_t *ret_n);

#endif
