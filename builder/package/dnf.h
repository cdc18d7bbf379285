/* dnf.h - base.dnf: rpm packages, resolved by dnf itself, installed by rpm itself. Nothing of the
 * machine's own dnf and rpm configuration, keys or databases is used. */
#ifndef PACKAGE_DNF_H
#define PACKAGE_DNF_H

#include "package/package.h"

/* A file of keys is text: blocks of one key each, with these lines (RFC 4880, 6.2). */
#define DNF_KEY_BEGIN "-----BEGIN PGP PUBLIC KEY BLOCK-----\n"
#define DNF_KEY_END   "\n-----END PGP PUBLIC KEY BLOCK-----\n"
#define DNF_KEYS_MAX  (1U << 20)

/* package_resolve_ask: dnf's own solver, in private directories below scratch, on the recipe's
 * repositories alone, and for a match on what the store has of other locks. The index of each is
 * signed by the recipe's key, unless the recipe says that only its packages are, and is the one
 * that the recipe pins. Of times there can be one, at which all repositories are looked at. */
int dnf_resolve(const struct recipe *r, const struct package_ask *ask, const char *scratch,
		struct lock *l, struct err *e) MUST_CHECK;

/* pending_look: by dnf itself; a security update is what an advisory of that type (updateinfo) has
 * among its packages. */
struct pending;
int dnf_pending(const struct recipe *r, const char *scratch, struct pending *b,
		struct err *e) MUST_CHECK;

/* package_urls: where the repository of the package is now. */
int dnf_urls(const struct recipe *r, const struct lock_package *p, struct strv *ret,
	     struct err *e) MUST_CHECK;

/* Appends the base URLs of a repository, best first, each ending in "/": its own, or for a path
 * below the mirrors those that the recipe lists, where "system" stands for $POSMEDIA_DNF_MIRROR;
 * with a time its snapshots, where it stands for $POSMEDIA_DNF_SNAPSHOT. None at all is ERR_RECIPE
 * with a hint that names the variable. */
int dnf_bases(const struct recipe_dnf *d, const struct recipe_repo *repo, const char *time,
	      struct strv *ret, struct err *e) MUST_CHECK;

/* package_install: one transaction of the machine's rpm in the sandbox, whose root is the tree. Of
 * every package rpm first checks the signature, by the recipe's keys alone, and all digests: one
 * that is unsigned or damaged is ERR_VERIFY, and nothing was installed. Scriptlets that rpm does
 * not take for an error (%post and later) are warnings. */
int rpm_install(const struct package_install *in, struct err *e) MUST_CHECK;

/* The program that asks dnf, in dnf's own language, in parts; the last is NULL. Argument: a file
 * with the question as JSON; its working directory is its own. It answers in JSON on standard
 * output. */
extern const char *const dnf_program[];

#endif
