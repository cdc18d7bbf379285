/* status.h - how the instances of a host are. */
#ifndef STAGE_STATUS_H
#define STAGE_STATUS_H

#include "stage/stage.h"

struct status_opts {
	const struct stage_opts *where;
	const char *vici; /* where charon listens, as swanctl's --uri wants it; NULL = as it does */
	bool ask;         /* run the programs of the sites' checks, which takes a while */
	bool controls;    /* check what the engine and the site have to hold */
};

/* An array, one object an instance: of those sites, or, of none, of all that have a record below
 * the state, by shop and environment. Nothing is changed, but the
 * ledger is told what nobody has told it (stage_settle). "state" is "runs", "stopped" (on
 * purpose), "dead", "lost" (the engine does not have it), "begun" (no staging came to its end),
 * "none" (nothing was staged) or "unknown" (no engine answers); "trouble" lists what is not well,
 * and *ret_well is whether there is none. What is not known is null and never guessed. The caller
 * owns *ret. */
int stage_status(const struct status_opts *o, const struct site *const *sites, size_t n,
		 struct jval **ret, bool *ret_well, struct err *e) MUST_CHECK;

#endif
