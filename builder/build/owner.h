/* owner.h - which package an entry of the tree is of. */
#ifndef BUILD_OWNER_H
#define BUILD_OWNER_H

#include "archive/tree.h"
#include "base/map.h"
#include "recipe/lock.h"

struct owned_package;
struct owner {
	struct owned_package *package;
	bool derived; /* not unpacked with it, but follows from it: dpkg's own notes, .pyc */
};

struct owned_package {
	char *source;
	int64_t newest; /* of the times that owner_note was told */
	struct owner unpacked, derived;
};

struct owners {
	const struct owner **v; /* for each entry of the tree, or NULL */
	struct map packages;    /* name -> struct owned_package */
};

/* Finds the owners of the entries of t; files: path -> package. */
void owners_find(const struct map *files, const struct lock *l, const struct tree *t,
		 struct owners *ret);

/* Says that a file of a package has the time that it was unpacked with. */
void owner_note(const struct owner *o, int64_t mtime);
void owners_release(struct owners *o);

#endif
