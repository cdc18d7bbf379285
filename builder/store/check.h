/* check.h - whether the bytes of a store's blobs are what their names say. */
#ifndef STORE_CHECK_H
#define STORE_CHECK_H

#include "store/store.h"

struct store_wrong {
	char *name; /* in blobs/sha256 */
	char *why;  /* "is sha256:…", "is no digest", "is no file", "cannot be read: …" */
};

struct store_report {
	size_t blobs; /* the right ones, and their size */
	uint64_t bytes;
	struct store_wrong *wrong; /* by name */
	size_t wrong_n;
	size_t partial_n;      /* downloads that may be resumed: no fault */
	struct strv leftovers; /* in tmp/, of processes that are no more: no fault */
};

/* Hashes every blob of a store that the caller shares. With `repair` (the caller has it alone) what
 * is wrong is moved to damaged/, one durable step each: it is then absent, and so made or fetched
 * again by whoever needs it. Wrong blobs are a result, -1 is for trouble. Progress: "verify". */
int store_check(struct store *s, bool repair, struct store_report *ret, struct err *e) MUST_CHECK;
void store_report_release(struct store_report *r);

#endif
