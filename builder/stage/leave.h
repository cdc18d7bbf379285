/* leave.h - the shop of an instance goes to another machine: the instance ends here, at first for
 * as long as a lease, and then for good. See posmedia-cutover(1).
 *
 * The mark is that of closed.h, STAGE_GONE; beside it STAGE_LENT has the end of the lease. When
 * that is over, and behind a reboot, whoever starts the instance takes the mark away first. */
#ifndef STAGE_LEAVE_H
#define STAGE_LEAVE_H

#include "stage/stage.h"

enum stage_here {
	STAGE_HERE,    /* it has not gone */
	STAGE_LEAVING, /* it has, until its lease is over */
	STAGE_LAPSED,  /* that is over, and nobody has started it yet */
	STAGE_LEFT,    /* it has, for good */
};

/* Which of them it is. Waits for nobody. */
int stage_is_here(const struct site *s, const struct stage_opts *o, enum stage_here *ret,
		  struct err *e) MUST_CHECK;

/* The network of the instance that runs, which keeps its address as long as somebody has this open
 * and stage_leave ended the instance: who comes is told at once that nobody serves. -1 when it does
 * not run, or has no address of its own. The caller ends it by stage_shut_door. */
int stage_door(const struct site *s, const struct stage_opts *o, int *ret,
	       struct err *e) MUST_CHECK;
/* Nobody has the address here any more; a moved interface is the host's again. Accepts -1. */
int stage_shut_door(const struct site *s, const struct stage_opts *o, int door,
		    struct err *e) MUST_CHECK;

/* Until then (clock_mono_ms, of this boot) the instance is gone: it is marked, durably, lets nobody
 * in, and ends; nobody starts it. What is gone already stays so. */
int stage_leave(const struct site *s, const struct stage_opts *o, uint64_t until_ms,
		struct err *e) MUST_CHECK;

/* Moves the moment, and waits for nobody who works on the site. ERR_BUSY when it is over, or the
 * instance is not leaving: as long as this is not known, nobody brings the instance back. */
int stage_leave_longer(const struct site *s, const struct stage_opts *o, uint64_t until_ms,
		       struct err *e) MUST_CHECK;

/* From here on it is gone for good. ERR_BUSY when the lease was over before: it may have served. */
int stage_leave_for_good(const struct site *s, const struct stage_opts *o,
			 struct err *e) MUST_CHECK;

#endif
