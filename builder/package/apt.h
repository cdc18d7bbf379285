/* apt.h - base.apt: Debian packages: resolved by apt itself, installed by dpkg itself. Nothing of
 * the machine's own apt state is used but, for mirrors: [system], the URIs of its sources. */
#ifndef PACKAGE_APT_H
#define PACKAGE_APT_H

#include "package/package.h"

/* Fills lock.repositories, .packages, .batches, .solver and .epoch for the recipe: apt-get update
 * and a simulated install in private directories below `scratch` (absolute, empty), against the
 * recipe's keyring only. An unsigned or wrongly signed repository, a package that does not exist,
 * or a conflict is ERR_RECIPE at the recipe's position with apt's own words; a mirror that does
 * not answer is ERR_REMOTE. */
int apt_resolve(const struct recipe *r, const char *scratch, struct lock *l,
		struct err *e) MUST_CHECK;

/* The URLs a package may be had from now, in order: the recipe's mirrors or the machine's own (or
 * $POSMEDIA_APT_MIRROR, and $POSMEDIA_APT_SECURITY_MIRROR for -security suites). */
int apt_urls(const struct recipe *r, const struct lock_package *p, struct strv *ret,
	     struct err *e) MUST_CHECK;

/* Makes the tree, offline: the essential set is unpacked, then dpkg inside the sandbox installs it
 * properly and then the batches of the lock; services are not started (policy-rc.d), nothing
 * prompts, docs and langs as the recipe says. Leaves no helper of ours in the tree. A maintainer
 * script that fails is ERR_STEP with the last lines it wrote. Progress: "install". */
int apt_install(const struct package_install *in, struct err *e) MUST_CHECK;

#endif
