/* package.h - the operating system below an image, whatever kind of base the recipe has: one way
 * to resolve, fetch, install and clean it. The kinds themselves are in apt.h and its neighbours.
 * Each of these refuses a kind that it does not know (ERR_RECIPE at the base's position). */
#ifndef PACKAGE_PACKAGE_H
#define PACKAGE_PACKAGE_H

#include "package/match.h"
#include "recipe/lock.h"
#include "sandbox/sandbox.h"
#include "store/store.h"

/* What else there is to say than the recipe. */
struct package_ask {
	struct strv times;   /* of snapshots, as snapshot_time gives them; none = as it is today */
	struct match *match; /* a server's packages in its versions; NULL = the newest ones */
	struct store *store; /* for a match: whose archive counts too; NULL = none */
};

/* Fills the base's part of the lock (repositories, packages, batches, solver, epoch) with what the
 * recipe's packages are now, were at a time, or are on a server. scratch: absolute, an empty
 * directory. A repository that is not signed as the recipe says, a package that does not exist, or
 * a conflict is ERR_RECIPE at the recipe's position; a mirror that does not answer is ERR_REMOTE.
 * What the recipe excludes is not asked for. When something cannot be had in its version, and the
 * match does not take the nearest, ERR_FAIL: the match says what. */
int package_resolve_ask(const struct recipe *r, const struct package_ask *ask, const char *scratch,
			struct lock *l, struct err *e) MUST_CHECK;

/* Appends the URLs that a locked package may be had from now, best first. */
int package_urls(const struct recipe *r, const struct lock_package *p, struct strv *ret,
		 struct err *e) MUST_CHECK;

/* Percent-encodes all but what RFC 3986 calls unreserved, and '/'; the caller owns the text. */
char *package_path_encode(const char *path) MUST_CHECK;

/* The file `from` as dir/name: a link where the file system allows, else a copy. */
int package_link(const char *from, int dir, const char *name, struct err *e) MUST_CHECK;

struct package_install {
	const struct recipe *recipe;
	const struct lock *lock;
	const char *root;    /* absolute, an empty directory: becomes the tree */
	const char *scratch; /* absolute, for links to the files of packages */
	/* the absolute path of a package's file, asked for when it is needed: the essential ones
	 * first, the others when these are installed. The caller owns the text */
	char *(*file_path)(void *ctx, const struct lock_package *p);
	void *ctx;
	const struct sink *out; /* what the installer and maintainer scripts say; NULL = dropped */
};

/* Makes the tree, offline. Services are not started, nothing prompts, docs and langs are as the
 * recipe says; no helper of ours is left in the tree. A maintainer script that fails is ERR_STEP
 * with the last lines it wrote. Progress: "install". */
int package_install(const struct package_install *in, struct err *e) MUST_CHECK;

/* Removes from a tree what every run makes differently or no image needs (logs, caches, backups,
 * ld.so aux-cache, machine-id, host keys, ...). Appends to *removed what went (may be NULL). */
int package_clean(const char *root, struct strv *removed, struct err *e) MUST_CHECK;

/* The paths of a tree that packages own, without leading slash, into a map to package names, by
 * the package databases that are found there; none is no error. The names live as long as *names,
 * which the caller releases. */
struct map;
int package_owned(const char *root, struct map *ret, struct strv *names, struct err *e) MUST_CHECK;

#endif
