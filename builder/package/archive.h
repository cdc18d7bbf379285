/* archive.h - the store's own archive: the packages of every lock that was made or built with it,
 * as long as they are in the store. A mirror forgets them when there is a newer version. Nobody
 * checks a signature over them again: a recipe only gets those that its own keys let in. */
#ifndef PACKAGE_ARCHIVE_H
#define PACKAGE_ARCHIVE_H

#include "package/match.h"
#include "recipe/lock.h"
#include "store/store.h"

/* Where the store remembers locks, HEX-KEYS.lock, among locks of other kinds. */
#define ARCHIVE_LOCKS "locks"
bool archive_is_lock(const char *name) MUST_CHECK;

/* Remembers a lock of the recipe in the store, or that it is still in use. */
int archive_keep(struct store *s, const struct recipe *r, const struct lock *l,
		 struct err *e) MUST_CHECK;

struct archive_package {
	const struct lock_package *package;       /* of one of the locks */
	const struct lock_repository *repository; /* that vouched for it then */
	char *id; /* what a lock calls it now: "SUITE_stored-TIME", or of a snapshot as before */
};

struct archive {
	struct store *store; /* borrowed */
	struct lock **locks;
	size_t locks_n;
	struct archive_package *v; /* what the match asks for and the store has */
	size_t n;
};

/* Reads the remembered locks of recipes with the same keys as this one; one that cannot be read is
 * left out with a warning. */
int archive_load(struct store *s, const struct recipe *r, const struct match *m,
		 struct archive *ret, struct err *e) MUST_CHECK;

/* Offers all of it to the match. */
void archive_offer(const struct archive *a, struct match *m);

/* Writes DIR/Packages, the index of those that the match takes from here, with the field
 * Posmedia-Repository for their id. *ret: how many they are; none, and nothing is written. */
int archive_index(const struct archive *a, const struct match *m, const char *dir, size_t *ret,
		  struct err *e) MUST_CHECK;

/* Whether the match takes this one from here. */
bool archive_taken(const struct match *m, const struct archive_package *p);

/* "SUITE" of "SUITE_TIME" and "SUITE_stored-TIME": what today's repository is called; the caller
 * owns it. */
char *archive_suite(const char *id) MUST_CHECK;

/* The repository of that id, or NULL. */
const struct lock_repository *archive_repository(const struct archive *a, const char *id);

/* Accepts a zeroed struct. */
void archive_release(struct archive *a);

#endif
