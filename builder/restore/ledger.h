/* ledger.h - what was done to a site, one JSON object a line, each with the SHA-256 of the line
 * before it: nothing in the middle can be changed or taken out unseen. */
#ifndef RESTORE_LEDGER_H
#define RESTORE_LEDGER_H

#include "form/digest.h"
#include "form/json.h"

#define LEDGER "ledger.jsonl"

/* Appends an event to the ledger in a site's own directory, with "time", "number" and "previous",
 * and waits for the disk. The end of a line whose writer died is cut off before. The caller has the
 * site's lock, or another that all who append have. */
int restore_ledger_append(int ownfd, const char *what, const struct jval *event,
			  struct err *e) MUST_CHECK;

/* Checks the chain: ERR_VERIFY names the first line that is not what the next one says of it. Says
 * how many lines there are. */
int restore_ledger_check(int ownfd, uint64_t *ret, struct err *e) MUST_CHECK;

#endif
