/* dpkgdb.h - the packages that dpkg says are installed in a tree (dpkg(1): var/lib/dpkg/status, and
 * status.d of images that were made without dpkg), read without running anything of the tree. */
#ifndef HARDEN_DPKGDB_H
#define HARDEN_DPKGDB_H

#include "base/err.h"
#include <stddef.h>

struct dpkgdb_package {
	char *name;
	char *version, *arch; /* NULL where a stanza has no such field */
};

struct dpkgdb {
	struct dpkgdb_package *v; /* in the order of the files, which are sorted */
	size_t n;
};

/* Reads the installed packages of the tree at rootfd; one that is half installed or only
 * configured once is none. A tree without dpkg has none. Files above ROOT_FILE_MAX are an error. */
int dpkgdb_read(int rootfd, struct dpkgdb *ret, struct err *e) MUST_CHECK;
void dpkgdb_release(struct dpkgdb *db);

#endif
