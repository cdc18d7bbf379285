/* chain.h - a file to which lines are appended for ever, one JSON object each, with the SHA-256 of
 * the line before it: nothing in the middle can be changed or taken out unseen.
 *
 * "number" is the place of a line, from 1, and "previous" the digest of the whole line before it,
 * its end too; of nothing for the first. With sums, "sum" is the digest of the line as it is
 * without it: nothing of the last line can be changed either. What a writer that died left of a
 * line has no end, and is none. */
#ifndef SYS_CHAIN_H
#define SYS_CHAIN_H

#include "form/digest.h"
#include "form/json.h"

struct chain {
	const char *name; /* of the file, in its directory */
	bool sums;
	const char *fault; /* the crash point between a line and its sync */
};

/* Appends v, an object to which "number", "previous" and "sum" are added, and waits for the disk.
 * What there is of a line without an end is cut off before. The caller has a lock that all who
 * append have. */
int chain_append(int dirfd, const struct chain *c, struct jval *v, struct err *e) MUST_CHECK;

/* Calls fn for each line, a lent value, and says how many there are; without a file there are none.
 * ERR_VERIFY names the first line that is not what it says or what the next one says of it; fn
 * returns -1 with *e set to stop. fn may be NULL. */
typedef int chain_fn(void *ctx, const struct jval *line, struct err *e);
int chain_read(int dirfd, const struct chain *c, chain_fn *fn, void *ctx, uint64_t *ret,
	       struct err *e) MUST_CHECK;

/* The same of bytes. */
int chain_parse(const struct buf *b, const struct chain *c, chain_fn *fn, void *ctx, uint64_t *ret,
		struct err *e) MUST_CHECK;

#endif
