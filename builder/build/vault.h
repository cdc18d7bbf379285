/* vault.h - secrets that are given to a build: what steps read, what must not be left behind, and
 * what nobody gets to see. They are in our memory only, and wiped at the end. */
#ifndef BUILD_VAULT_H
#define BUILD_VAULT_H

#include "base/buf.h"
#include "base/strv.h"
#include "recipe/recipe.h"
#include "sandbox/sandbox.h"

/* Shorter ones cannot be told from other text: they are neither looked for nor hidden. */
enum { SECRET_SHORTEST = 8 };

struct needle {
	const char *p; /* into a secret's bytes */
	size_t n;
	const char *name;
	bool short_line; /* looked for in what is said, not in a tree */
};

struct vault {
	struct sandbox_secret *v; /* sorted by name */
	size_t n;
	struct needle *needles; /* whole secrets and lines, of 8 bytes or more; longest first */
	size_t needles_n;
};

/* Reads what "NAME=FILE" words name. What no step of the recipe wants, what cannot be read, what is
 * empty or has more than 64 KiB: ERR_USAGE. */
int vault_load(const struct strv *given, const struct recipe *r, struct vault *ret,
	       struct err *e) MUST_CHECK;
void vault_release(struct vault *s);

/* The secret of that name, or NULL. */
const struct sandbox_secret *vault_find(const struct vault *s, const char *name);

/* Refuses a step whose secrets were not all given: ERR_USAGE with FILE:LINE:COL and the flag. */
int vault_check(const struct vault *s, const struct recipe_step *st, struct err *e) MUST_CHECK;

/* The first needle in n bytes that is no short line (less than 16 bytes), its place in *ret_at;
 * NULL when there is none. */
const struct needle *vault_spot(const struct vault *s, const char *p, size_t n, size_t *ret_at);

/* Appends text to *out with "***" for each secret in it. `final`: nothing follows; else as many
 * bytes at its end as may be the beginning of a secret are left out. Returns how many were taken.
 */
size_t vault_hide(const struct vault *s, const char *p, size_t n, bool final, struct buf *out);

/* Refuses (ERR_VERIFY, naming secret and file) a tree that has one in a file's contents, a link's
 * target or a name. */
int vault_scan(const struct vault *s, const char *tree, struct err *e) MUST_CHECK;

/* The same in a URL, also where its bytes are written as %XX. */
const struct needle *vault_spot_url(const struct vault *s, const char *url);

/* Reads fd to its end: the first needle that is found, NULL in *ret when there is none. `what` is
 * for messages. */
int vault_spot_file(const struct vault *s, int fd, const char *what, const struct needle **ret,
		    struct err *e) MUST_CHECK;

#endif
