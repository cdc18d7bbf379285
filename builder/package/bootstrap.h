/* bootstrap.h - a tree in which dpkg can run, out of nothing: the essential packages' files, laid
 * out merged-/usr, and an empty package database. dpkg then installs the same packages properly
 * over it. */
#ifndef PACKAGE_BOOTSTRAP_H
#define PACKAGE_BOOTSTRAP_H

#include "package/apt.h"

/* Fills in->root, which must be an empty directory. */
int bootstrap_tree(const struct package_install *in, struct err *e) MUST_CHECK;

/* Compares dpkg's status in root with the lock: each locked package that the recipe does not
 * remove is "install ok installed" in the locked version, and there is no other. ERR_STEP. */
int bootstrap_check(const struct package_install *in, struct err *e) MUST_CHECK;

/* Removes what dpkg's --path-exclude leaves of excluded documentation and languages: symlinks to
 * nowhere and empty directories. */
int bootstrap_prune(const struct package_install *in, struct err *e) MUST_CHECK;

#endif
