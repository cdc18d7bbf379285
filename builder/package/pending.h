/* pending.h - what is installed against what the repositories have now: which packages there is a
 * newer version of, and whether a security update is among those. Knows names and versions only,
 * whatever kind they are. */
#ifndef PACKAGE_PENDING_H
#define PACKAGE_PENDING_H

#include "base/map.h"
#include "recipe/lock.h"

struct pending_package {
	char *name, *version, *arch; /* arch: NULL = the database does not say */
	char *candidate;             /* the newest version that there is, if it is newer; or NULL */
	char *repository;            /* that has it, as a lock calls it; or NULL */
	struct strv advisories;      /* that a newer version is the answer to, sorted */
	bool known;                  /* a repository has a package of that name */
	bool security;               /* one of the newer versions is a security update */
	struct pending_package *next; /* of the same name, for another architecture */
};

struct pending {
	struct pending_package **v; /* sorted by name, then architecture, once it was looked at */
	size_t n;
	struct map names;                     /* name -> the first struct pending_package */
	struct lock_repository *repositories; /* that were looked at: id, release and date */
	size_t repositories_n;
};

/* One more that is installed; arch may be NULL. */
void pending_add(struct pending *b, const char *name, const char *version, const char *arch);

/* What a repository has of it. */
struct pending_offer {
	const char *name, *version, *arch, *where;
	int (*compare)(const char *a, const char *b); /* of versions */
	bool security;
	const struct strv *advisories; /* or NULL */
};
void pending_offer(struct pending *b, const struct pending_offer *o);

/* Notes a repository that was looked at; the texts are copied. */
void pending_repository(struct pending *b, const char *id, const struct digest *release,
			int64_t date);

/* Looks all of it up in the repositories of the recipe as they are now, fetched and verified as for
 * a lock. scratch: absolute, an empty directory. A base without repositories, and one that is not
 * signed as the recipe says, are ERR_RECIPE, a mirror that does not answer is ERR_REMOTE. */
int pending_look(const struct recipe *r, const char *scratch, struct pending *b,
		 struct err *e) MUST_CHECK;

/* Accepts a zeroed struct. */
void pending_release(struct pending *b);

#endif
