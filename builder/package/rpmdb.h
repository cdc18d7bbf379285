/* rpmdb.h - the rpm database of a tree (rpm 4.16 and later: SQLite), read without running rpm or
 * anything of the tree. */
#ifndef PACKAGE_RPMDB_H
#define PACKAGE_RPMDB_H

#include "base/err.h"
#include "base/strv.h"
#include <stdbool.h>
#include <stddef.h>

struct rpmdb_package {
	char *name, *version, *arch; /* version: [EPOCH:]VERSION-RELEASE */
	struct strv files;           /* absolute paths as rpm has them; no ghosts */
	struct strv digests;         /* of each of them, hex; "" for what is no regular file or is
					configuration */
};

struct rpmdb {
	struct rpmdb_package *v; /* in the order of installing */
	size_t n;
	bool older; /* there is one of rpm before 4.16, which is not read */
};

enum rpmdb_what {
	RPMDB_NAMES, /* files stay empty */
	RPMDB_FILES, /* with their digests */
};

/* Reads the database of the tree at rootfd; a tree without one has no packages. The file is
 * foreign: a process of its own, which reaches nothing else, reads it from memory. A damaged one,
 * one that rpm has not finished with, and one larger than 1 GiB are ERR_FAIL. */
int rpmdb_read(int rootfd, enum rpmdb_what what, struct rpmdb *ret, struct err *e) MUST_CHECK;
void rpmdb_release(struct rpmdb *db);

/* Prepares the database of a tree for an image: journals that are empty go, and it is no longer
 * kept with one beside it, so that a read-only image can be asked. A tree without is fine. */
int rpmdb_settle(int rootfd, struct strv *removed, struct err *e) MUST_CHECK;

#endif
