/* drive.c - the loop: what the machine says is done, recorded before and behind. */
#include "cutover/back.h"

#include "base/fault.h"
#include "base/log.h"
#include "sys/clock.h"
#include "sys/intr.h"
#include "sys/self.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_MAX_MS = 20000, WAIT_S = 2, STEPS_MAX = 200 };

/* How long a phase may take at most: its own budget, and what is left of the whole. 0 = as long as
 * it likes. What a process before this one used counts too. */
static uint64_t budget_of(const struct cut_run *r, enum cut_phase p)
{
	const struct site_budget *b = &r->s->cutover.budget;
	const uint64_t own[CUT_PHASES] = {
	    [CUT_FENCE] = b->fence, [CUT_PASS] = b->last_pass, [CUT_VERIFY] = b->verify,
	    [CUT_START] = b->start, [CUT_SMOKE] = b->smoke,    [CUT_HOLD] = b->hold};
	uint64_t used = r->fenced_ms == 0 ? 0 : (uint64_t)cut_since(r->fenced_ms);
	uint64_t left = used < b->outage ? b->outage - used : 1;

	if (p < CUT_FENCE || p > CUT_HOLD || r->o->over_budget)
		return 0;
	return own[p] != 0 && own[p] < left ? own[p] : left;
}

/* What hangs is interrupted, as an operator would: whatever waits sees it. */
static int arm(timer_t *t, uint64_t ms, struct err *e)
{
	struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGTERM};
	struct itimerspec at = {.it_value = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000}};

	if (timer_create(CLOCK_MONOTONIC, &ev, t) != 0)
		return err_sys(e, "timer_create");
	return timer_settime(*t, 0, &at, NULL) == 0 ? 0 : err_sys(e, "timer_settime");
}

static int within_budget(struct cut_run *r, enum cut_phase p, struct err *e)
{
	uint64_t ms = budget_of(r, p), begun = clock_mono_ms();
	timer_t t;
	int rc;

	if (ms == 0)
		return cut_do_phase(r, p, e);
	if (arm(&t, ms, e) != 0)
		return -1;
	rc = cut_do_phase(r, p, e);
	(void)timer_delete(t);
	if ((uint64_t)cut_since(begun) < ms)
		return rc;
	intr_forget();
	(void)err_set(e, ERR_FAIL, "%s took more than the %llu ms that it has", cut_phase_word(p),
		      (unsigned long long)ms);
	return err_hint(e, "--over-budget=go lets it.");
}

static struct jval *ended(struct cut_run *r)
{
	struct jval *data = r->data != NULL ? STEAL(r->data) : jval_object();

	jval_put_int(data, "ms", cut_since(r->phase_ms));
	return data;
}

static int commit(struct cut_run *r, struct err *e)
{
	fault_point("cutover: commit");
	if (cut_note(r, CUT_COMMIT, CUT_OK, NULL, e) != 0)
		return -1;
	fault_point("cutover: committed");
	log_info("commit: the %s is right",
		 journal_facts(r->j)->reverse ? "old server" : "new instance");
	return 0;
}

/* A phase may end in the one behind it: the last pass goes over into its proof. */
static int phase(struct cut_run *r, enum cut_phase p, struct err *e)
{
	jval_free(r->data);
	r->data = NULL;
	r->now = p;
	r->phase_ms = clock_mono_ms();
	if (p == CUT_COMMIT)
		return commit(r, e);
	log_info("%s", cut_phase_word(p));
	if (cut_note(r, p, CUT_BEGIN, NULL, e) != 0 || within_budget(r, p, e) != 0)
		return -1;
	if (intr_pending() && !cut_committed(journal_facts(r->j)))
		return err_set(e, ERR_FAIL, "interrupted");
	return cut_note(r, r->now, CUT_OK, ended(r), e);
}

static int abort_it(struct cut_run *r, struct err *e)
{
	struct jval *data = jval_object();

	jval_put_text(data, "why", r->failed ? r->why.msg : "as it was told to");
	if (!journal_facts(r->j)->rehearsal)
		log_info("undoing");
	r->now = CUT_ABORT;
	return cut_note(r, CUT_ABORT, CUT_BEGIN, data, e);
}

static int release(struct cut_run *r, struct err *e)
{
	struct old_state st SCOPED(old_state_release) = {0};

	if (cut_session(r, e) != 0)
		return -1;
	fault_point("cutover: release");
	if (old_release(r->old, false, &st, e) != 0)
		return cut_lost(r, e);
	fault_point("cutover: released");
	r->undone.released = true;
	if (st.trouble != NULL && st.trouble[0] != '\0')
		log_warn("the old server is free, and not all of it started: %s", st.trouble);
	return 0;
}

static int do_step(struct cut_run *r, struct cut_step s, struct err *e)
{
	bool back = journal_facts(r->j)->reverse;

	switch (s.act) {
	case CUT_DO_PHASE:
		return phase(r, s.phase, e);
	case CUT_DO_ABORT:
		return abort_it(r, e);
	case CUT_DO_STOP:
		return back ? cut_stop_back(r, e) : cut_stop_new(r, e);
	case CUT_DO_RELEASE:
		return back ? cut_return(r, e) : release(r, e);
	case CUT_DO_UNDO:
		return back ? cut_undo_back(r, e) : cut_undo_new(r, e);
	default:
		return 0;
	}
}

/* Only from the fence to HOLD, and on the way back, does it matter what the source is. */
static enum cut_old look(struct cut_run *r)
{
	const struct cut_facts *f = journal_facts(r->j);

	if (cut_over(f) || cut_committed(f))
		return CUT_OLD_FREE;
	if (cut_aborted(f))
		return f->begun[CUT_FENCE] && !r->undone.released ? cut_ask_source(r)
								  : CUT_OLD_FREE;
	return f->ok[CUT_ANNOUNCE] && !f->ok[CUT_HOLD] ? cut_ask_source(r) : CUT_OLD_FREE;
}

/* The rehearsal has no fence: where a run would announce it tries, and ends. */
static bool tries(const struct cut_run *r, struct cut_step s)
{
	return journal_facts(r->j)->rehearsal && s.act == CUT_DO_PHASE && s.phase >= CUT_ANNOUNCE;
}

static int try_it(struct cut_run *r, struct err *e)
{
	return journal_facts(r->j)->reverse ? cut_try_back(r, e) : cut_try(r, e);
}

static int lost_old(struct cut_run *r, struct err *e)
{
	const struct cut_facts *f = journal_facts(r->j);

	(void)err_set(e, ERR_REMOTE, "the old server does not answer");
	return err_hint(e, f->begun[CUT_HOLD]
			       ? "It is held, perhaps: \"cutover rollback\" when it is "
				 "back gives it to the shop."
			       : "It gives itself back to the shop when the lease is "
				 "over; then \"cutover rollback\".");
}

/* One that does not answer is waited for a while, by the clock, since who asks may have waited long
 * already; and then the new side is undone alone. */
static int wait_old(struct cut_run *r, uint64_t *since_ms, struct err *e)
{
	struct err why = ERR_INIT;

	if (*since_ms == 0)
		*since_ms = clock_mono_ms();
	if (cut_since(*since_ms) < WAIT_MAX_MS && !intr_pending()) {
		(void)sleep(WAIT_S);
		return 0;
	}
	(void)lost_old(r, &why);
	if (r->want == CUT_GO) {
		*since_ms = 0;
		cut_fail(r, &why);
		return 0;
	}
	*e = why;
	return -1;
}

/* What fails before COMMIT turns the run back; what fails on the way back, or behind COMMIT, is
 * left for the next call. So is a COMMIT that could not be written: it may be on the disk. */
static int failed(struct cut_run *r, const struct err *why, struct err *e)
{
	const struct cut_facts *f = journal_facts(r->j);

	if (cut_committed(f) || cut_aborted(f)) {
		*e = *why;
		return err_hint(e, "\"cutover resume\" goes on from here.");
	}
	if (r->now == CUT_COMMIT) {
		*e = *why;
		return err_hint(e, "Whether it is committed the journal says when it is read "
				   "again: \"cutover resume\".");
	}
	intr_forget();
	cut_fail(r, why);
	return 0;
}

static int drive(struct cut_run *r, struct err *e)
{
	uint64_t silent_ms = 0; /* when the old server was first asked in vain */

	for (int i = 0; i < STEPS_MAX; i++) {
		struct cut_step s = cut_next(journal_facts(r->j), look(r), r->undone, r->want);
		struct err why = ERR_INIT;
		int rc;

		if (s.act == CUT_DO_NOTHING)
			return 0;
		if (s.act == CUT_DO_REFUSE)
			return err_set(e, ERR_BUSY, "it is committed: there is no way back");
		if (s.act == CUT_DO_WAIT) {
			if (wait_old(r, &silent_ms, e) != 0)
				return -1;
			continue;
		}
		silent_ms = 0;
		rc = tries(r, s) ? try_it(r, &why) : do_step(r, s, &why);
		if (rc != 0 && failed(r, &why, e) != 0)
			return -1;
		if (tries(r, s))
			r->want = CUT_BACK;
	}
	return err_set(e, ERR_FAIL, "the cutover does not come to an end");
}

/* Whatever came of it is told. */
static int conclude(struct cut_run *r, struct jval **ret, struct err *e)
{
	struct jval *report SCOPED(jval_freep) = NULL;
	struct err why = ERR_INIT;
	int rc = drive(r, e);

	if (rc == 0 && r->failed) {
		*e = r->why;
		rc = -1;
	}
	if (cut_report(r->o, r->j, &report, &why) != 0 || cut_publish(r, report, &why) != 0)
		log_warn("no report: %s", why.msg);
	*ret = STEAL(report);
	return rc;
}

/* A shop goes from where it is. */
static int is_there(const struct cut_run *r, struct err *e)
{
	if (cut_moved(journal_facts(r->j)) == r->o->reverse)
		return 0;
	if (r->o->reverse)
		return err_set(e, ERR_BUSY, "the old server serves: there is nothing to reverse");
	(void)err_set(e, ERR_BUSY, "this site was cut over: the new instance serves");
	return err_hint(e, "posmedia cutover --reverse takes it back to the old server.");
}

static int begin(const struct cutover_opts *o, bool rehearsal, struct jval **ret, struct err *e)
{
	struct cut_run r SCOPED(cut_run_close) = {0};
	struct jval *data;

	if (cut_run_open(o, &r, e) != 0)
		return -1;
	if (!cut_over(journal_facts(r.j))) {
		(void)err_set(e, ERR_BUSY, "a cutover of this site was begun, and is not over");
		return err_hint(e, "posmedia cutover resume, or rollback");
	}
	if (is_there(&r, e) != 0)
		return -1;
	data = jval_object();
	jval_put(data, "rehearsal", jval_bool(rehearsal));
	jval_put_text(data, "site", digest_text(&o->s->digest).s);
	jval_put_text(data, "old", o->s->cutover.old.host);
	if (journal_begin(r.j, data, e) != 0)
		return -1;
	return conclude(&r, ret, e);
}

int cutover_run(const struct cutover_opts *o, struct jval **ret, struct err *e)
{
	return begin(o, false, ret, e);
}

int cutover_rehearse(const struct cutover_opts *o, struct jval **ret, struct err *e)
{
	return begin(o, true, ret, e);
}

/* How long ago a record was written: by the clock that nobody sets when it is of this boot, and
 * else by that of the wall. */
static uint64_t age_ms(const struct cut_record *rec)
{
	char *now SCOPED(mem_freep) = self_boot_id();
	const char *boot = jval_get_str(rec->line, "boot");
	int64_t mono = 0, then = 0, age;

	if (boot != NULL && strcmp(boot, now) == 0 && jval_get_int(rec->line, "mono", &mono) == 0)
		age = (int64_t)clock_mono_ms() - mono;
	else if (clock_parse(rec->time, &then) == 0)
		age = clock_wall_ms() - then * 1000;
	else
		age = 0;
	return age > 0 ? (uint64_t)age : 0;
}

/* When the fence of a process before went up: what is left of the budget counts from there. That
 * may be before this boot, and cut_since takes a difference. */
static int fence_time(void *ctx, const struct cut_record *rec, struct err *e)
{
	struct cut_run *r = ctx;

	(void)e;
	if (rec->epoch == journal_facts(r->j)->epoch && rec->phase == CUT_FENCE &&
	    rec->event == CUT_BEGIN)
		r->fenced_ms = clock_mono_ms() - age_ms(rec);
	return 0;
}

static int go_on(const struct cutover_opts *o, enum cut_want want, struct jval **ret, struct err *e)
{
	struct cut_run r SCOPED(cut_run_close) = {0};
	const struct cut_facts *f;

	if (cut_run_open(o, &r, e) != 0)
		return -1;
	f = journal_facts(r.j);
	if (want == CUT_BACK && cut_committed(f))
		return err_set(e, ERR_BUSY, "it is committed: there is no way back");
	if (cut_over(f))
		return err_set(e, ERR_BUSY, "no cutover of this site was interrupted");
	r.want = f->rehearsal ? CUT_BACK : want;
	if (journal_each(r.j, fence_time, &r, e) != 0)
		return -1;
	return conclude(&r, ret, e);
}

int cutover_resume(const struct cutover_opts *o, struct jval **ret, struct err *e)
{
	return go_on(o, CUT_GO, ret, e);
}

int cutover_rollback(const struct cutover_opts *o, struct jval **ret, struct err *e)
{
	return go_on(o, CUT_BACK, ret, e);
}
