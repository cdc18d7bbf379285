/* back.c - the phases of a cutover that is reversed: the instance is the source, and the old
 * server, which is held, gets the data back. What it has in between is of no use to it, and until
 * COMMIT it stays held; the instance is marked as gone before its last pass. */
#include "cutover/back.h"

#include "base/fault.h"
#include "base/log.h"
#include "restore/restore.h"
#include "stage/closed.h"
#include "stage/leave.h"
#include "stage/life.h"
#include "sys/clock.h"
#include "sys/intr.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { START_TRIES = 3 };

static int look_at_source(struct cut_run *r, struct err *e)
{
	enum restore_phase restored;
	struct stage_mark mark = {0};
	enum stage_how how;

	if (stage_marked(r->s, r->o->so, &mark, e) != 0 || cut_restored(r, &restored, e) != 0)
		return -1;
	how = mark.how;
	stage_mark_release(&mark);
	if (how != STAGE_OPEN)
		return cut_refuse(e, "posmedia status says more.",
				  "the instance is closed: it is not what serves the shop");
	if (restored != RESTORE_NONE && restored != RESTORE_FILLING)
		return cut_refuse(e, "posmedia restore --commit, --rollback or --discard",
				  "the new host has data of a restore that was not ended");
	return 0;
}

static int look_at_target(struct cut_run *r, struct err *e)
{
	struct old_status st SCOPED(old_status_release) = {0};
	struct old_hello h = {0};
	int rc;

	if (cut_session(r, e) != 0 || old_hello(r->old, &h, e) != 0)
		return cut_lost(r, e);
	rc = cut_look_at_old(r, &h, e);
	old_hello_release(&h);
	if (rc != 0)
		return -1;
	if (old_status(r->old, &st, e) != 0)
		return cut_lost(r, e);
	if (st.now.state != OLD_HELD || st.now.undoing)
		return cut_refuse(e, "Its data is not what it had at the cutover any more.",
				  "the old server is not held: it may serve, or have served");
	return 0;
}

static int preflight(struct cut_run *r, struct err *e)
{
	struct jval *list = NULL;
	int rc;

	if (look_at_source(r, e) != 0 || look_at_target(r, e) != 0)
		return -1;
	rc = cut_checks(r, SITE_WHEN_REVERSE, &list, e);
	cut_put_checks(r, list);
	return rc;
}

static uint64_t biggest(const struct manifest *m)
{
	uint64_t n = 0;

	for (size_t i = 0; i < m->n; i++)
		n = m->v[i].size > n ? m->v[i].size : n;
	return n;
}

static uint64_t bytes_of(const struct manifest *m)
{
	uint64_t n = 0;

	for (size_t i = 0; i < m->n; i++)
		n += m->v[i].type == MANIFEST_FILE && m->v[i].same_as == NULL ? m->v[i].size : 0;
	return n;
}

/* What it grows by, and the copy of one file beside it. */
static int has_room(struct cut_run *r, const struct cut_ours *ours, const struct old_list *theirs,
		    struct err *e)
{
	struct old_hello h = {0};
	int rc = 0;

	if (old_hello(r->old, &h, e) != 0)
		return cut_lost(r, e);
	for (size_t i = 0; i < ours->n && i < h.disks_n && rc == 0; i++) {
		uint64_t now = theirs[i].bytes, then = bytes_of(&ours->v[i]);
		uint64_t need = biggest(&ours->v[i]) + (then > now ? then - now : 0);

		if (h.disks[i].free < need)
			rc = cut_refuse(e, "Make room there.",
					"%s of the old server has %llu MB free, and wants %llu",
					h.disks[i].at, (unsigned long long)(h.disks[i].free >> 20),
					(unsigned long long)(need >> 20));
	}
	old_hello_release(&h);
	return rc;
}

static int prehash(struct cut_run *r, struct old_list *ret, struct err *e)
{
	return old_prehash(r->old, &r->exclude, ret, e) != 0 ? cut_lost(r, e) : 0;
}

static int push(struct cut_run *r, const struct cut_ours *ours, bool content, struct err *e)
{
	const struct cut_push how = {.owners = &ours->owners, .content = content};
	uint64_t bytes = 0;

	if (cut_push_data(r, &how, &bytes, e) != 0)
		return -1;
	r->pushed += bytes;
	return 0;
}

static void put_totals(struct cut_run *r, const struct cut_ours *ours)
{
	int64_t bytes = 0, files = 0;

	for (size_t i = 0; i < ours->n; i++) {
		bytes += (int64_t)bytes_of(&ours->v[i]);
		for (size_t k = 0; k < ours->v[i].n; k++)
			files += ours->v[i].v[k].type == MANIFEST_FILE;
	}
	if (r->data == NULL)
		r->data = jval_object();
	jval_put_int(r->data, "bytes", bytes);
	jval_put_int(r->data, "files", files);
	jval_put_int(r->data, "written-bytes", (int64_t)r->pushed);
}

/* What it had is of no use to it behind its own COMMIT, so it is written in place. */
static int warm(struct cut_run *r, struct err *e)
{
	const struct site_old *old = &r->s->cutover.old;
	struct old_list *theirs SCOPED(mem_freep) = mem_zalloc((old->data_n + 1) * sizeof(*theirs));
	struct cut_ours ours SCOPED(cut_ours_release) = {0};

	if (cut_session(r, e) != 0 || cut_ours_make(r, CUT_NAMES, &ours, e) != 0 ||
	    prehash(r, theirs, e) != 0 || has_room(r, &ours, theirs, e) != 0 ||
	    push(r, &ours, false, e) != 0)
		return -1;
	put_totals(r, &ours);
	return 0;
}

/* Both sides read what will be asked for later; and what is then left says how long it takes. */
static int ready(struct cut_run *r, struct err *e)
{
	const struct site_old *old = &r->s->cutover.old;
	const struct site_budget *b = &r->s->cutover.budget;
	struct old_list *theirs SCOPED(mem_freep) = mem_zalloc((old->data_n + 1) * sizeof(*theirs));
	struct cut_ours ours SCOPED(cut_ours_release) = {0};
	uint64_t limit = b->last_pass != 0 ? b->last_pass : b->outage, begun;

	if (cut_session(r, e) != 0 || prehash(r, theirs, e) != 0 ||
	    cut_ours_make(r, CUT_LIVING, &ours, e) != 0)
		return -1;
	begun = clock_mono_ms();
	if (push(r, &ours, false, e) != 0)
		return -1;
	put_totals(r, &ours);
	r->pass_ms = cut_since(begun);
	jval_put_int(r->data, "pass-ms", r->pass_ms);
	if (!r->o->over_budget && (uint64_t)r->pass_ms > limit)
		return cut_refuse(e,
				  "Try when less is sold, raise the budget, or --over-budget=go.",
				  "what changes takes %lld ms to copy, more than the budget has",
				  (long long)r->pass_ms);
	return 0;
}

/* Whoever starts it finds that it is gone; and who stays at its door brings it back when nobody
 * renews its lease. */
static int fence(struct cut_run *r, struct err *e)
{
	r->fenced_ms = r->phase_ms;
	fault_point("cutover: fence");
	if (cut_door_open(r, e) != 0)
		return -1;
	fault_point("cutover: at the door");
	if (stage_leave(r->s, r->o->so, clock_mono_ms() + r->s->cutover.lease_ms, e) != 0)
		return -1;
	fault_point("cutover: new stopped");
	if (cut_keep(r, e) != 0)
		return -1;
	fault_point("cutover: fenced");
	return 0;
}

static int shut(struct cut_run *r, struct err *e)
{
	return old_shut(r->old, e) != 0 ? cut_lost(r, e) : 0;
}

static int pass(struct cut_run *r, struct err *e)
{
	struct cut_ours ours SCOPED(cut_ours_release) = {0};

	if (cut_keep(r, e) != 0 || cut_ours_make(r, CUT_NAMES, &ours, e) != 0 ||
	    push(r, &ours, false, e) != 0)
		return -1;
	fault_point("cutover: fetched");
	return shut(r, e);
}

/* What the old server has now, of which nobody writes any more, and what we have. */
static int same(struct cut_run *r, bool *ret, struct err *e)
{
	const struct site_old *old = &r->s->cutover.old;
	struct old_list *theirs SCOPED(mem_freep) = mem_zalloc((old->data_n + 1) * sizeof(*theirs));
	struct cut_ours ours SCOPED(cut_ours_release) = {0};
	struct jval *roots;

	if (cut_session(r, e) != 0 || shut(r, e) != 0 ||
	    cut_ours_make(r, CUT_AT_REST, &ours, e) != 0)
		return -1;
	if (old_list(r->old, &r->exclude, theirs, e) != 0)
		return cut_lost(r, e);
	put_totals(r, &ours);
	*ret = true;
	roots = jval_object();
	for (size_t i = 0; i < ours.n; i++) {
		struct old_list l;

		if (listing_of(&ours.v[i], &l, e) != 0) {
			jval_free(roots);
			return -1;
		}
		*ret = *ret && digest_equal(&l.root, &theirs[i].root);
		jval_put_text(roots, old->data[i].at, digest_text(&l.root).s);
	}
	jval_put(r->data, "roots", roots);
	return 0;
}

static int verify(struct cut_run *r, struct err *e)
{
	struct cut_ours ours SCOPED(cut_ours_release) = {0};
	bool is = false;

	fault_point("cutover: proving");
	if (cut_keep(r, e) != 0 || same(r, &is, e) != 0)
		return -1;
	if (!is) {
		log_warn("the old server does not have what was sent: all of it is read again");
		if (cut_ours_make(r, CUT_NAMES, &ours, e) != 0 || push(r, &ours, true, e) != 0 ||
		    same(r, &is, e) != 0)
			return -1;
	}
	if (!is)
		return err_set(e, ERR_VERIFY,
			       "the old server does not have what was sent, though all was read");
	fault_point("cutover: proven");
	return 0;
}

/* It has to answer now: behind COMMIT nobody serves until it does. The instance is gone for good,
 * unless its lease was over. */
static int hold(struct cut_run *r, struct err *e)
{
	struct old_status st SCOPED(old_status_release) = {0};

	fault_point("cutover: hold");
	if (cut_session(r, e) != 0 || old_status(r->old, &st, e) != 0)
		return cut_lost(r, e);
	if (st.now.state != OLD_HELD || st.now.undoing ||
	    st.now.epoch != journal_facts(r->j)->epoch ||
	    strcmp(st.now.run, journal_run(r->j)) != 0)
		return err_set(e, ERR_VERIFY, "the old server is not held for this run any more");
	old_keeper_end(r->keeper);
	r->keeper = NULL;
	if (stage_leave_for_good(r->s, r->o->so, e) != 0)
		return -1;
	fault_point("cutover: held");
	return 0;
}

struct committed {
	uint64_t epoch;
	char *line;
};

static int find_commit(void *ctx, const struct cut_record *rec, struct err *e)
{
	struct committed *c = ctx;
	struct buf text SCOPED(buf_release) = BUF_INIT(CUT_RECORD_MAX * 2);

	(void)e;
	if (rec->epoch != c->epoch || rec->phase != CUT_COMMIT || rec->event != CUT_OK)
		return 0;
	jval_write(rec->line, &text);
	free(c->line);
	c->line = buf_take(&text);
	return 0;
}

/* The agent takes nobody's word for it. */
static int show_commit(struct cut_run *r, struct err *e)
{
	struct committed c = {.epoch = journal_facts(r->j)->epoch};
	int rc = journal_each(r->j, find_commit, &c, e);

	if (rc == 0 && c.line == NULL)
		rc = err_set(e, ERR_FAIL, "there is no commit");
	if (rc == 0 && old_witness(r->old, c.line, e) != 0)
		rc = cut_lost(r, e);
	free(c.line);
	return rc;
}

static int open_old(struct cut_run *r, struct err *e)
{
	const struct site_act *dns = &r->s->cutover.dns;
	struct old_state st SCOPED(old_state_release) = {0};

	fault_point("cutover: open");
	if (cut_session(r, e) != 0 || show_commit(r, e) != 0 || cut_door_shut(r, e) != 0)
		return -1;
	if (old_release(r->old, true, &st, e) != 0)
		return cut_lost(r, e);
	if (st.trouble != NULL && st.trouble[0] != '\0')
		log_warn("the old server is free, and not all of it started: %s", st.trouble);
	fault_point("cutover: opened");
	if (cut_ports_open(r, e) != 0)
		return -1;
	r->data = jval_object();
	jval_put_int(r->data, "open-ms", cut_since(r->phase_ms));
	return dns->undo.n == 0 ? 0
				: cut_program(r, SITE_ON_CONTROL, &dns->undo, dns->within_ms, e);
}

/* What was done behind the cutover is undone, the last first. */
static int after(struct cut_run *r, struct err *e)
{
	const struct site_cutover *c = &r->s->cutover;
	struct jval *list = NULL;
	int rc;

	for (size_t i = c->after_n; i-- > 0;) {
		const struct site_act *a = &c->after[i];

		if (a->undo.n == 0 || a->on == SITE_ON_NEW)
			continue;
		if (cut_program(r, a->on, &a->undo, a->within_ms, e) != 0)
			return err_in(e, "undo %s", a->name);
	}
	fault_point("cutover: after");
	rc = cut_checks(r, SITE_WHEN_RETURNED, &list, e);
	cut_put_checks(r, list);
	return rc;
}

int cut_try_back(struct cut_run *r, struct err *e)
{
	struct jval *data, *estimates;
	struct err quiet = ERR_INIT;
	uint64_t begun = clock_mono_ms();
	bool is;

	/* of what is in use nothing can be proven: only how long it takes is of interest */
	if (same(r, &is, &quiet) != 0 && quiet.kind != ERR_BUSY && quiet.kind != ERR_VERIFY) {
		*e = quiet;
		return -1;
	}
	data = jval_object();
	estimates = jval_object();
	jval_put_int(estimates, "last-pass", r->pass_ms);
	jval_put_int(estimates, "verify", cut_since(begun));
	jval_put(data, "reverse-estimates", estimates);
	return cut_note(r, CUT_SMOKE, CUT_NOTE, data, e);
}

/* What nobody could end over there ends with its lease, which is over before the instance's is. */
static int outlast_trial(struct cut_run *r, struct err *e)
{
	enum stage_here is;

	log_info("waits until a trial on the old server is over, or it answers");
	for (;;) {
		struct err quiet = ERR_INIT;

		if (stage_is_here(r->s, r->o->so, &is, e) != 0)
			return -1;
		if (is != STAGE_LEAVING)
			return 0;
		if (intr_pending())
			return intr_err(e);
		if (cut_session(r, &quiet) == 0 && old_shut(r->old, &quiet) == 0)
			return 0;
		(void)cut_lost(r, &quiet);
		(void)sleep(1);
	}
}

/* It is held as before, with what it has; what still writes there is ended when it can be. */
int cut_stop_back(struct cut_run *r, struct err *e)
{
	struct err quiet = ERR_INIT;
	bool tried = journal_facts(r->j)->begun[CUT_START] && cut_tries_old(&r->s->cutover);

	/* from here on nobody makes the lease longer */
	old_keeper_end(r->keeper);
	r->keeper = NULL;
	if (cut_session(r, &quiet) != 0 || old_shut(r->old, &quiet) != 0) {
		(void)cut_lost(r, &quiet);
		log_warn("the old server is held, and was not told: %s", quiet.msg);
		if (tried && outlast_trial(r, e) != 0)
			return -1;
	}
	fault_point("cutover: undo: stopped");
	r->undone.stopped = true;
	return 0;
}

/* Until the instance has the address itself, who comes is told. */
static int shut_door(void *ctx, struct err *e)
{
	return cut_door_shut(ctx, e);
}

/* As it was before: it need not have been well. Who starts it meanwhile, such as its unit, goes on
 * trying. */
static void start_again(struct cut_run *r)
{
	struct stage_opts so = *r->o->so;
	struct err why = ERR_INIT;
	struct jval *data;

	so.free_address = shut_door;
	so.ctx = r;
	for (int i = 0; i < START_TRIES && !intr_pending(); i++) {
		struct stage_outcome out SCOPED(stage_outcome_release) = {0};

		if (i > 0)
			(void)sleep(1);
		why = (struct err)ERR_INIT;
		if (stage_start_site(r->s, &so, &out, &why) == 0)
			return;
	}
	log_warn("the instance is open again, and is not well: %s", why.msg);
	data = jval_object();
	jval_put_text(data, "unwell", why.msg);
	if (cut_note(r, CUT_ABORT, CUT_NOTE, data, &why) != 0)
		log_warn("%s", why.msg);
}

int cut_return(struct cut_run *r, struct err *e)
{
	struct stage_outcome open SCOPED(stage_outcome_release) = {0};
	enum stage_here is;

	fault_point("cutover: release");
	/* who stays at the door may be bringing it back just now */
	if (stage_is_here(r->s, r->o->so, &is, e) != 0 ||
	    ((is == STAGE_HERE || is == STAGE_LAPSED) && cut_door_shut(r, e) != 0))
		return -1;
	if (stage_return(r->s, r->o->so, &open, e) != 0)
		return -1;
	start_again(r);
	if (intr_pending())
		return intr_err(e);
	/* one that was running had no need of it */
	if (cut_door_shut(r, e) != 0)
		return -1;
	fault_point("cutover: released");
	r->undone.released = true;
	return 0;
}

int cut_undo_back(struct cut_run *r, struct err *e)
{
	if (journal_facts(r->j)->begun[CUT_ANNOUNCE])
		cut_unannounce_on(r, SITE_ON_NEW);
	return cut_note(r, CUT_ABORT, CUT_OK, NULL, e);
}

static int announce(struct cut_run *r, struct err *e)
{
	return cut_announce_on(r, SITE_ON_NEW, e);
}

int cut_do_back(struct cut_run *r, enum cut_phase p, struct err *e)
{
	static int (*const does[CUT_PHASES])(struct cut_run *, struct err *) = {
	    [CUT_PREFLIGHT] = preflight,   [CUT_WARM] = warm,
	    [CUT_READY] = ready,           [CUT_ANNOUNCE] = announce,
	    [CUT_FENCE] = fence,           [CUT_PASS] = pass,
	    [CUT_VERIFY] = verify,         [CUT_START] = cut_trial_start,
	    [CUT_SMOKE] = cut_trial_smoke, [CUT_HOLD] = hold,
	    [CUT_OPEN] = open_old,         [CUT_AFTER] = after,
	};

	return does[p] == NULL ? 0 : does[p](r, e);
}
