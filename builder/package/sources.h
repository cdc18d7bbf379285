/* sources.h - where a suite's repository is: the recipe's mirrors, the environment, or the
 * machine's own apt sources (sources.list(5), apt-transport-mirror(1)). */
#ifndef PACKAGE_SOURCES_H
#define PACKAGE_SOURCES_H

#include "recipe/recipe.h"

/* Appends the base URIs of a suite, best first, each ending in "/": what the recipe lists, where
 * "system" stands for $POSMEDIA_APT_MIRROR ($POSMEDIA_APT_SECURITY_MIRROR for suites ending in
 * "-security") or else for the machine's sources. None at all is ERR_RECIPE with a hint that
 * names the variables. */
int sources_find(const struct recipe_apt *a, const char *suite, struct strv *ret,
		 struct err *e) MUST_CHECK;

/* What a lock calls the mirror of that URI: the URI where the recipe names it, else "system". */
const char *sources_label(const struct recipe_apt *a, const char *uri);

/* Appends the URIs that an apt configuration directory ("/etc/apt") has for a suite: enabled
 * binary sources of http, https and file; mirror+file lists are followed. Unreadable files count
 * as absent, as they do for apt. */
void sources_scan(const char *dir, const char *suite, struct strv *ret);

#endif
