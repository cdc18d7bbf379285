/* fenced.c - what is done behind the fence, and from COMMIT on. */
#include "cutover/back.h"

#include "base/fault.h"
#include "base/log.h"
#include "restore/restore.h"
#include "stage/closed.h"
#include "stage/leave.h"
#include "stage/life.h"
#include "sys/clock.h"
#include <stdlib.h>
#include <string.h>

/* The new instance has the address for as long as the old server surely has not. */
static int lend(void *ctx, uint64_t until_ms, struct err *e)
{
	const struct cut_run *r = ctx;

	return stage_lend(r->s, r->o->so, until_ms - CUT_LET_GO_MS, e);
}

/* Before its first start the instance must know how long that is. */
static int lend_first(struct cut_run *r, struct err *e)
{
	struct old_state st SCOPED(old_state_release) = {0};
	uint64_t until = clock_mono_ms() + r->s->cutover.lease_ms;

	if (cut_session(r, e) != 0)
		return -1;
	return old_renew(r->old, &st, e) != 0 ? cut_lost(r, e) : lend(r, until, e);
}

/* Of a reverse: the instance stays gone, and what is tried on the old server goes on. */
static int stay_away(void *ctx, uint64_t until_ms, struct err *e)
{
	const struct cut_run *r = ctx;

	return stage_leave_longer(r->s, r->o->so, until_ms, e);
}

int cut_keep(struct cut_run *r, struct err *e)
{
	bool reverse = journal_facts(r->j)->reverse;
	const struct old_keeping how = {.lease_ms = r->s->cutover.lease_ms,
					.let_go_ms = reverse ? CUT_LET_GO_MS : 0,
					.renewed = reverse ? stay_away : lend,
					.ctx = r};

	if (cut_session(r, e) != 0)
		return -1;
	if (r->keeper != NULL && old_keeps(r->keeper))
		return 0;
	old_keeper_end(r->keeper);
	r->keeper = NULL;
	return old_keep(&r->oo, &how, &r->keeper, e);
}

static int fence(struct cut_run *r, struct err *e)
{
	struct old_state st SCOPED(old_state_release) = {0}, proof SCOPED(old_state_release) = {0};

	r->fenced_ms = r->phase_ms;
	if (cut_session(r, e) != 0)
		return -1;
	fault_point("cutover: fence");
	if (old_fence(r->old, r->s->cutover.lease_ms, &st, e) != 0)
		return cut_lost(r, e);
	fault_point("cutover: fenced");
	if (cut_keep(r, e) != 0)
		return -1;
	return old_prove(r->old, &proof, e) != 0 ? cut_lost(r, e) : 0;
}

static int64_t total(const struct jval *report, const char *key)
{
	const struct jval *data = jval_get(report, "data");
	int64_t n = 0;

	for (size_t i = 0; i < jval_len(data); i++)
		n += cut_number(jval_at(data, i), key);
	return n;
}

static void put_fetched(struct cut_run *r, const struct jval *report)
{
	const struct jval *data = jval_get(report, "data");
	struct jval *roots = jval_object();

	jval_free(r->data);
	r->data = jval_object();
	jval_put_int(r->data, "files", total(report, "files"));
	jval_put_int(r->data, "bytes", total(report, "bytes"));
	jval_put_int(r->data, "written-bytes", total(report, "written-bytes"));
	for (size_t i = 0; i < jval_len(data); i++) {
		const char *at = jval_get_str(jval_at(data, i), "at");
		const char *root = jval_get_str(jval_at(data, i), "root");

		if (at != NULL && root != NULL)
			jval_put_text(roots, at, root);
	}
	jval_put(r->data, "roots", roots);
}

/* The pass, and, in one go with it, the proof and the exchange of what is live. What was exchanged
 * has been proven: a kill in between is only finished. */
static int fetch(struct cut_run *r, struct err *e)
{
	struct jval *report SCOPED(jval_freep) = NULL;
	enum restore_phase phase;

	if (cut_keep(r, e) != 0 || cut_restored(r, &phase, e) != 0)
		return -1;
	if (phase == RESTORE_DONE && r->now == CUT_VERIFY)
		return 0;
	if (cut_fetch(r, false, &report, e) != 0)
		return -1;
	fault_point("cutover: fetched");
	if (phase != RESTORE_EXCHANGING && phase != RESTORE_EXCHANGED && !r->proven)
		return err_set(e, ERR_VERIFY, "the data was fetched and not proven");
	put_fetched(r, report);
	return 0;
}

/* As late as can be: from here on who comes waits until the instance has the address. */
static int take_address(void *ctx, struct err *e)
{
	struct cut_run *r = ctx;
	struct old_state st SCOPED(old_state_release) = {0};

	return old_yield(r->old, &st, e) != 0 ? cut_lost(r, e) : 0;
}

static int start(struct cut_run *r, struct err *e)
{
	struct stage_outcome out SCOPED(stage_outcome_release) = {0};
	struct stage_opts so = *r->o->so;

	so.free_address = r->s->cutover.old.interface != NULL ? take_address : NULL;
	so.ctx = r;
	if (cut_keep(r, e) != 0 || lend_first(r, e) != 0)
		return -1;
	fault_point("cutover: start");
	if (stage_start_site(r->s, &so, &out, e) != 0)
		return -1;
	fault_point("cutover: started");
	return 0;
}

static int smoke(struct cut_run *r, struct err *e)
{
	struct jval *list = NULL;
	int rc = cut_keep(r, e) != 0 ? -1 : cut_checks(r, SITE_WHEN_SMOKE, &list, e);

	r->data = jval_object();
	if (list != NULL)
		jval_put(r->data, "checks", list);
	return rc;
}

static int hold(struct cut_run *r, struct err *e)
{
	struct old_state st SCOPED(old_state_release) = {0};
	struct err why = ERR_INIT;

	if (cut_session(r, e) != 0)
		return -1;
	fault_point("cutover: hold");
	if (old_hold(r->old, &st, e) != 0)
		return cut_lost(r, e);
	fault_point("cutover: held");
	old_keeper_end(r->keeper);
	r->keeper = NULL;
	/* the old server takes it back no more but for an abort, which stops the instance first */
	if (stage_lend(r->s, r->o->so, 0, &why) != 0)
		log_warn("%s", why.msg);
	return 0;
}

static int let_in(struct cut_run *r, struct err *e)
{
	const struct site_act *dns = &r->s->cutover.dns;
	struct stage_outcome out SCOPED(stage_outcome_release) = {0};

	fault_point("cutover: open");
	if (stage_open_now(r->s, r->o->so, &out, e) != 0)
		return -1;
	fault_point("cutover: opened");
	r->data = jval_object();
	jval_put_int(r->data, "open-ms", cut_since(r->phase_ms));
	return dns->run.n == 0 ? 0 : cut_program(r, SITE_ON_CONTROL, &dns->run, dns->within_ms, e);
}

static int after(struct cut_run *r, struct err *e)
{
	const struct site_cutover *c = &r->s->cutover;
	struct stage_outcome out SCOPED(stage_outcome_release) = {0};
	struct jval *report SCOPED(jval_freep) = NULL, *list = NULL;
	enum restore_phase phase;
	int rc;

	/* the new host may have been started again since */
	if (stage_start_site(r->s, r->o->so, &out, e) != 0 || cut_restored(r, &phase, e) != 0)
		return -1;
	for (size_t i = 0; i < c->after_n; i++)
		if (cut_program(r, c->after[i].on, &c->after[i].run, c->after[i].within_ms, e) != 0)
			return err_in(e, "after: %s", c->after[i].name);
	fault_point("cutover: after");
	rc = cut_checks(r, SITE_WHEN_AFTER, &list, e);
	r->data = jval_object();
	if (list != NULL)
		jval_put(r->data, "checks", list);
	if (rc != 0)
		return -1;
	if (phase == RESTORE_DONE || phase == RESTORE_COMMITTING)
		return restore_commit(r->s, r->o->so, &report, e);
	return 0;
}

int cut_do_phase(struct cut_run *r, enum cut_phase p, struct err *e)
{
	static int (*const does[CUT_PHASES])(struct cut_run *, struct err *) = {
	    [CUT_PREFLIGHT] = cut_preflight,
	    [CUT_WARM] = cut_warm,
	    [CUT_READY] = cut_ready,
	    [CUT_ANNOUNCE] = cut_announce,
	    [CUT_FENCE] = fence,
	    [CUT_PASS] = fetch,
	    [CUT_VERIFY] = fetch,
	    [CUT_START] = start,
	    [CUT_SMOKE] = smoke,
	    [CUT_HOLD] = hold,
	    [CUT_OPEN] = let_in,
	    [CUT_AFTER] = after,
	};

	if (journal_facts(r->j)->reverse)
		return cut_do_back(r, p, e);
	return does[p] == NULL ? 0 : does[p](r, e);
}
