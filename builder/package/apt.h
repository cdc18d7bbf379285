/* apt.h - base.apt: Debian packages: resolved by apt itself, installed by dpkg itself. Nothing of
 * the machine's own apt state is used but, for mirrors: [system], the URIs of its sources. */
#ifndef PACKAGE_APT_H
#define PACKAGE_APT_H

#include "package/package.h"

/* package_resolve_ask: apt-get update and a simulated install in private directories below
 * scratch, against the recipe's keyring only. For a match from today's repositories, those of the
 * times (found by bisection if none is given), and the store's archive. What apt refuses is said in
 * its own words. */
int apt_resolve(const struct recipe *r, const struct package_ask *ask, const char *scratch,
		struct lock *l, struct err *e) MUST_CHECK;

/* pending_look: from the indexes of all suites of the recipe as they are today; what a suite ending
 * in "-security" has is a security update. */
struct pending;
int apt_pending(const struct recipe *r, const char *scratch, struct pending *b,
		struct err *e) MUST_CHECK;

/* The URLs a package may be had from now, in order: the recipe's mirrors or the machine's own (or
 * $POSMEDIA_APT_MIRROR, and $POSMEDIA_APT_SECURITY_MIRROR for -security suites); for one that was
 * had from a snapshot or the store, snapshots before them. */
int apt_urls(const struct recipe *r, const struct lock_package *p, struct strv *ret,
	     struct err *e) MUST_CHECK;

/* Makes the tree, offline: the essential set is unpacked, then dpkg inside the sandbox installs it
 * properly and then the batches of the lock; services are not started (policy-rc.d), nothing
 * prompts, docs and langs as the recipe says. Leaves no helper of ours in the tree. A maintainer
 * script that fails is ERR_STEP with the last lines it wrote. Progress: "install". */
int apt_install(const struct package_install *in, struct err *e) MUST_CHECK;

#endif
