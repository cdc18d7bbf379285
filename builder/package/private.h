/* private.h - apt in a directory of its own: nothing of the machine's configuration, state or
 * cache is read (apt.conf(5), $APT_CONFIG). */
#ifndef PACKAGE_PRIVATE_H
#define PACKAGE_PRIVATE_H

#include "base/buf.h"
#include "recipe/recipe.h"

struct private_apt {
	const struct recipe *recipe;
	const char *dir; /* absolute, exists, empty */
	struct strv env; /* for apt: PATH, LC_ALL, APT_CONFIG, proxies of the environment */
};

/* Lays the directory out: apt.conf, the recipe's keyring and nothing else to trust, pins for its
 * exclusions, an empty status file. */
int private_make(const struct recipe *r, const char *dir, struct private_apt *ret,
		 struct err *e) MUST_CHECK;

/* Where to have a suite from; "./" is an index without a Release file, which is trusted. */
struct private_source {
	const char *suite, *uri;
	bool old; /* a snapshot: its time is over, and that is as it should be */
};

/* Writes the sources. */
int private_sources(struct private_apt *a, const struct private_source *v, size_t n,
		    struct err *e) MUST_CHECK;

/* Wants exactly these versions where others would do: names[i] in versions[i]. */
int private_pin(struct private_apt *a, const struct strv *names, const struct strv *versions,
		struct err *e) MUST_CHECK;

/* Runs apt-get (argv is NULL-terminated) and gives its standard output and standard error.
 * *ret_status is its exit status. */
int private_run(const struct private_apt *a, const char *const *argv, struct buf *ret_out,
		struct buf *ret_err, int *ret_status, struct err *e) MUST_CHECK;

/* apt's own words of what went wrong: its "E:" and "GPG error" lines, at most a few hundred bytes;
 * the caller owns it. */
char *private_complaint(const struct buf *err) MUST_CHECK;

void private_release(struct private_apt *a);

#endif
