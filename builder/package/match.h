/* match.h - a server's package list against what can be had: which of its versions there are, and
 * the nearest one of each that is gone. Knows names and versions only, whatever kind they are. */
#ifndef PACKAGE_MATCH_H
#define PACKAGE_MATCH_H

#include "base/buf.h"
#include "base/map.h"
#include "base/strv.h"
#include "form/inventory.h"
#include "form/json.h"

struct match_want {
	const struct inventory_package *package; /* borrowed from the list */
	bool left_out;                           /* by the recipe: not asked for */
	bool exact;                              /* there is this version */
	char *version; /* as the repository writes it: the exact one, else the nearest; or NULL */
	char *where;   /* the repository that has it, as a lock calls it; or NULL */
	struct match_want *next; /* of the same name, for another architecture */
};

struct match {
	const char *file; /* what the list is called; borrowed, as the list is */
	const struct inventory *list;
	bool nearest;         /* the nearest version will do */
	struct match_want *v; /* in the order of the list */
	size_t n;
	struct map names; /* name -> the first struct match_want */
};

/* Wants all of the list, in exactly its versions unless `nearest`. */
void match_begin(struct match *m, const char *file, const struct inventory *list, bool nearest);

/* Does not ask for packages of these patterns (fnmatch(3)). */
void match_leave_out(struct match *m, const struct strv *patterns);

/* Whether a package of that name is asked for. */
bool match_wants(const struct match *m, const char *name);

/* What a repository has. An exact version stands as soon as there is one; else the nearest is the
 * oldest of the newer ones, since an image shall not be behind the server, and if there is none the
 * newest of the older ones. Where neither list says so, architectures do not count. */
void match_offer(struct match *m, const char *name, const char *version, const char *arch,
		 const char *where);

/* Whether the version that was found for a want is newer than what the server has. */
bool match_is_newer(const struct match *m, const struct match_want *w);

/* How many are asked for and cannot be had as they are. */
size_t match_missing(const struct match *m);

/* The error that says how many (ERR_FAIL), where the nearest version will not do; else 0. */
int match_refuse(const struct match *m, struct err *e) MUST_CHECK;

/* What cannot be had, for people: a line each. */
void match_report(const struct match *m, struct buf *out);

/* {"manifest", "packages", "exact", "left-out": [...], "unavailable": [{"package", "wanted",
 * "nearest", "where"}]}; the caller owns it. */
struct jval *match_json(const struct match *m) MUST_CHECK;

/* Accepts a zeroed struct. */
void match_release(struct match *m);

#endif
