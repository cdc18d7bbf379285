/* set.h - the packages of one image while they are being resolved: apt's plan, joined with what
 * the indexes say about each package. */
#ifndef PACKAGE_SET_H
#define PACKAGE_SET_H

#include "base/map.h"
#include "recipe/lock.h"

struct set_package {
	struct lock_package lock;               /* name, version and arch from the plan, the rest
						   from the index */
	char *pre_depends, *depends, *provides; /* as the index has them, or NULL */
	bool is_essential;                      /* Essential: yes */
	bool is_known;                          /* an index had it */
	size_t configured;                      /* its place in apt's order of configuring */
};

struct set {
	struct set_package *v; /* in apt's order of unpacking */
	size_t n, cap;
	size_t configured; /* how many the plan configures */
	struct map names;  /* name -> struct set_package */
};

/* Reads "Inst" and "Conf" lines of `apt-get --simulate install`. A plan that removes a package or
 * has none to install is ERR_FAIL. */
int set_parse_plan(const char *text, struct set *ret, struct err *e) MUST_CHECK;

/* The package of that name, or NULL. */
struct set_package *set_find(const struct set *s, const char *name);

/* Marks lock.essential: the packages with Essential: yes and all they depend on. */
void set_mark_essential(struct set *s);

/* Appends the fewest dpkg runs that satisfy every Pre-Depends: unpack, configure, ... with all
 * packages outside the essential set. Keeps apt's order within a run. A circle of Pre-Depends is
 * ERR_RECIPE. */
int set_batches(const struct set *s, struct lock *l, struct err *e) MUST_CHECK;

void set_release(struct set *s);

#endif
