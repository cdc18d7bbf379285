/* index.h - what apt fetched: Packages indexes and InRelease files (deb822). */
#ifndef PACKAGE_INDEX_H
#define PACKAGE_INDEX_H

#include "package/match.h"
#include "package/pending.h"
#include "package/set.h"

/* Appends the names of the packages that the index at `path` marks Essential: yes or Priority:
 * required, for the architecture or "all" (usr-is-merged in place of usrmerge,
 * and not apt). */
int index_required(const char *path, const char *arch, struct strv *ret, struct err *e) MUST_CHECK;

/* Offers what the index at `path` has of the packages that a match asks for; `where` is what a lock
 * calls its repository. */
int index_offer(const char *path, const char *where, struct match *m, struct err *e) MUST_CHECK;

/* Offers what the index at `path` has of what is installed; security: all that it has are security
 * updates. */
int index_pending(const char *path, const char *where, bool security, struct pending *b,
		  struct err *e) MUST_CHECK;

/* Fills in those packages of the set that no earlier index had, and notes `repository` in them; ""
 * = the one that the entry's field Posmedia-Repository names, in an index of our own. An entry
 * without a SHA-256, size or sane path is ERR_RECIPE. */
int index_fill(const char *path, const char *repository, struct set *s, struct err *e) MUST_CHECK;

/* The Date of a Release or InRelease text in seconds. */
int index_release_date(const char *text, size_t n, int64_t *ret, struct err *e) MUST_CHECK;

#endif
