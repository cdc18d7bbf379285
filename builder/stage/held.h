/* held.h - an instance that stands still while something looks at its data. */
#ifndef STAGE_HELD_H
#define STAGE_HELD_H

#include "stage/parts.h"
#include "sys/guard.h"

struct stage_held {
	struct stage st; /* with its lock: nobody starts, stops or restores it meanwhile */
	struct guard guard;
	uint64_t since; /* clock_mono_ms; 0 = it does not stand still */
	uint64_t ms;    /* how long it did */
};
#define STAGE_HELD_INIT                                                                            \
	{                                                                                          \
		.st = {.ownfd = -1, .lock = -1 }                                                   \
	}

/* Opens the site, before there are other threads: from now on a child lets the instance go on, in
 * whatever way this process ends. *ret must not be moved. */
int stage_held_open(const struct site *s, const struct stage_opts *o, struct stage_held *ret,
		    struct err *e) MUST_CHECK;

/* Makes the instance stand still, when it runs, under a mark in the site's own directory, by which
 * stage_start_current lets it go on even when the child is gone too. */
int stage_hold(struct stage_held *h, struct err *e) MUST_CHECK;

/* Lets it go on; also what was never held. */
int stage_let_go(struct stage_held *h, struct err *e) MUST_CHECK;

/* Whether the container that stands still does so under that mark; it is let go then. */
int stage_let_go_left(struct stage *st, bool *ret, struct err *e) MUST_CHECK;

/* Lets it go on, and forgets it. */
void stage_held_release(struct stage_held *h);

#endif
