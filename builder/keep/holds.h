/* holds.h - images that must stay wherever they are, however old: what a legal hold names, what was
 * promoted, and what shops run, as ledgers tell it. */
#ifndef KEEP_HOLDS_H
#define KEEP_HOLDS_H

#include "base/map.h"
#include "form/digest.h"

struct holds {
	struct map why;   /* digest as text -> why it stays (owned) */
	struct map shops; /* shop and environment -> struct strv of digests (owned) */
};

/* Reads a file of holds: a line each of a digest, sha256:HEX, a blank, and the reason; '#' begins a
 * comment. Anything else, also one without a reason, is ERR_RECIPE with FILE:LINE:COL. */
int holds_file(struct holds *h, const char *path, struct err *e) MUST_CHECK;

/* Reads a ledger: what was promoted stays, and of each shop what was staged or started in it since
 * it was destroyed last, so that it can go back, too. A damaged ledger is ERR_VERIFY: what it does
 * not tell must not go. */
int holds_ledger(struct holds *h, const char *dir, struct err *e) MUST_CHECK;

/* Why an image stays, borrowed; NULL = nobody holds it. After all was read. */
const char *holds_why(const struct holds *h, const struct digest *d);

/* Accepts a zeroed struct. */
void holds_release(struct holds *h);

#endif
