/* trial.c - the old application on the data that came back, before the commit of a reverse: it must
 * run there, and nobody can come to it. */
#include "cutover/back.h"

#include "base/fault.h"
#include "base/log.h"
#include "stage/leave.h"
#include "sys/clock.h"
#include "sys/intr.h"
#include <unistd.h>

enum { PORTS_MS = 60000, POLL_US = 200000, PORT_MS = 10000 };

int cut_ports_open(struct cut_run *r, struct err *e)
{
	const struct site_old *old = &r->s->cutover.old;
	uint64_t end = clock_mono_ms() + PORTS_MS;

	for (size_t i = 0; i < old->ports_n; i++) {
		const struct site_check c = {
		    .on = SITE_ON_OLD, .tcp = old->ports[i], .within_ms = PORT_MS};
		struct err why = ERR_INIT;

		while (cut_one_check(r, &c, &why) != 0) {
			if (why.kind == ERR_REMOTE || intr_pending() || clock_mono_ms() > end) {
				*e = why;
				return err_in(e, "port %u of the old server", old->ports[i]);
			}
			why = (struct err)ERR_INIT;
			(void)usleep(POLL_US);
		}
	}
	return 0;
}

bool cut_tries_old(const struct site_cutover *c)
{
	return c->old.trial == SITE_TRIAL_REQUIRED && c->old.interface != NULL;
}

int cut_trial_start(struct cut_run *r, struct err *e)
{
	struct old_state then SCOPED(old_state_release) = {0};
	struct old_state st SCOPED(old_state_release) = {0};
	uint64_t until = clock_mono_ms() + r->s->cutover.lease_ms;

	if (cut_keep(r, e) != 0)
		return -1;
	if (!cut_tries_old(&r->s->cutover))
		return 0;
	fault_point("cutover: start");
	/* it ends there before the instance may come back here */
	if (stage_leave_longer(r->s, r->o->so, until, e) != 0)
		return -1;
	if (cut_session(r, e) != 0 || old_renew(r->old, &then, e) != 0 ||
	    old_try(r->old, &then, until - CUT_LET_GO_MS, &st, e) != 0)
		return cut_lost(r, e);
	fault_point("cutover: started");
	return cut_ports_open(r, e);
}

int cut_trial_smoke(struct cut_run *r, struct err *e)
{
	struct jval *list = NULL;
	int rc;

	if (cut_keep(r, e) != 0)
		return -1;
	if (!cut_tries_old(&r->s->cutover)) {
		log_info("the old application is not tried before the commit");
		return 0;
	}
	rc = cut_checks(r, SITE_WHEN_TRIAL, &list, e);
	cut_put_checks(r, list);
	return rc;
}
