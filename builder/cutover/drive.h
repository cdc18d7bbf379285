/* drive.h - the go-live of a site: rehearsed, run, resumed, undone and told of. See
 * posmedia-cutover(1).
 *
 * Every call takes up what the journal says, and every step can be made again: a process that dies
 * anywhere leaves a journal from which the next one goes on or back. */
#ifndef CUTOVER_DRIVE_H
#define CUTOVER_DRIVE_H

#include "form/json.h"
#include "stage/stage.h"

struct cutover_opts {
	const struct site *s;
	const struct stage_opts *so;
	bool over_budget; /* what takes too long is not undone */
	bool reverse; /* of a run, a rehearsal and a plan: from the instance to the old server */
};

/* Begins an epoch and brings it to its end: the new instance serves, or everything is as before and
 * the error says why. *ret is the report, set in both cases once an epoch was begun; the caller
 * owns it. ERR_BUSY: another one at work, one that is not over, or a shop that is on the other side
 * already. */
int cutover_run(const struct cutover_opts *o, struct jval **ret, struct err *e) MUST_CHECK;

/* The same up to the fence, which is not put up: the instance is started on what was copied,
 * closed, looked at and put back, and what each phase took is kept as an estimate. */
int cutover_rehearse(const struct cutover_opts *o, struct jval **ret, struct err *e) MUST_CHECK;

/* Goes on with what was interrupted, or undoes it: ERR_BUSY when nothing was. */
int cutover_resume(const struct cutover_opts *o, struct jval **ret, struct err *e) MUST_CHECK;

/* Undoes what is not committed: ERR_BUSY when there is nothing, or it is committed. */
int cutover_rollback(const struct cutover_opts *o, struct jval **ret, struct err *e) MUST_CHECK;

/* How the last epoch stands, an object; nothing is changed, and nobody is asked. */
int cutover_status(const struct cutover_opts *o, struct jval **ret, struct err *e) MUST_CHECK;

/* What a run would do, phase by phase, with the estimates of the last rehearsal, an object. */
int cutover_plan(const struct cutover_opts *o, struct jval **ret, struct err *e) MUST_CHECK;

#endif
