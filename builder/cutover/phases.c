/* phases.c - what is done while the old server still works, and how it is taken back. */
#include "cutover/run.h"

#include "base/fault.h"
#include "base/log.h"
#include "restore/restore.h"
#include "stage/closed.h"
#include "stage/life.h"
#include "stage/status.h"
#include "sys/clock.h"
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

int cut_refuse(struct err *e, const char *hint, const char *fmt, ...)
{
	char *what SCOPED(mem_freep) = NULL;
	va_list ap;

	va_start(ap, fmt);
	what = mem_vformat(fmt, ap);
	va_end(ap);
	(void)err_set(e, ERR_BUSY, "%s", what);
	return err_hint(e, "%s", hint);
}

/* It runs, is well, and lets nobody in. */
static int look_at_new(struct cut_run *r, struct err *e)
{
	const struct status_opts so = {.where = r->o->so, .ask = true};
	struct stage_mark mark = {0};
	struct jval *v SCOPED(jval_freep) = NULL;
	const struct jval *trouble;
	enum restore_phase restored;
	bool well = false;
	enum stage_how how;

	if (stage_marked(r->s, r->o->so, &mark, e) != 0 || cut_restored(r, &restored, e) != 0)
		return -1;
	how = mark.how;
	stage_mark_release(&mark);
	if (how == STAGE_OPEN)
		return cut_refuse(e, "posmedia stage --closed private",
				  "the new instance is open: it would serve beside the old server");
	if (restored != RESTORE_NONE && restored != RESTORE_FILLING)
		return cut_refuse(e, "posmedia restore --commit, --rollback or --discard",
				  "the new host has data of a restore that was not ended");
	if (stage_status(&so, &r->s, 1, &v, &well, e) != 0)
		return -1;
	trouble = jval_get(jval_at(v, 0), "trouble");
	if (!well)
		return cut_refuse(
		    e, "posmedia status says more.", "the new instance is not well: %s",
		    jval_len(trouble) > 0 ? jval_str(jval_at(trouble, 0)) : "see status");
	return 0;
}

int cut_look_at_old(struct cut_run *r, const struct old_hello *h, struct err *e)
{
	const struct site_cutover *c = &r->s->cutover;
	uint64_t skew = (uint64_t)llabs((long long)h->skew_ms);

	if (h->uid != 0)
		return cut_refuse(e, "Use root, or a key whose command is root's.",
				  "the old server is not entered as root");
	if (skew > c->skew_ms + h->took_ms)
		return cut_refuse(e, "Set the clock, or clock-skew.",
				  "the clock of the old server is off by %lld ms",
				  (long long)h->skew_ms);
	if (h->rsync[0] == '\0')
		return cut_refuse(e, "It fetches the data.", "the old server has no rsync");
	if (!h->cron && c->old.cron == SITE_CRON_REQUIRED)
		return cut_refuse(e, "Start it, or write \"cron: optional\".",
				  "no cron runs on the old server: only the agent itself would "
				  "give it back to the shop");
	for (size_t i = 0; i < h->services_n; i++)
		if (strcmp(h->services[i].kind, "none") == 0)
			return cut_refuse(e, "Take it out of \"services\".",
					  "the old server has no service %s", h->services[i].name);
	return 0;
}

void cut_put_checks(struct cut_run *r, struct jval *list)
{
	r->data = jval_object();
	if (list != NULL)
		jval_put(r->data, "checks", list);
}

/* A rehearsal of this very site: the start on what was copied, and the way back. */
static int was_rehearsed(struct cut_run *r, struct err *e)
{
	struct jval *estimates SCOPED(jval_freep) = NULL;
	const char *of;

	if (journal_facts(r->j)->rehearsal)
		return 0;
	if (cut_estimates(r->j, false, &estimates, e) != 0)
		return -1;
	of = jval_get_str(estimates, "site");
	if (of != NULL && strcmp(of, digest_text(&r->s->digest).s) == 0)
		return 0;
	if (r->s->cutover.rehearsal == SITE_REHEARSAL_REQUIRED)
		return cut_refuse(e, "posmedia cutover rehearse, or \"require-rehearsal: false\"",
				  estimates == NULL ? "this cutover was never rehearsed"
						    : "the site is another since its rehearsal");
	log_warn(estimates == NULL
		     ? "this cutover was never rehearsed: nobody knows how long it takes"
		     : "the site is another since its rehearsal");
	return 0;
}

int cut_preflight(struct cut_run *r, struct err *e)
{
	struct old_hello h = {0};
	struct jval *list = NULL;
	enum cut_old old;
	int rc;

	if (look_at_new(r, e) != 0 || was_rehearsed(r, e) != 0)
		return -1;
	if (cut_session(r, e) != 0 || old_hello(r->old, &h, e) != 0)
		return cut_lost(r, e);
	rc = cut_look_at_old(r, &h, e);
	old_hello_release(&h);
	if (rc != 0)
		return -1;
	old = cut_ask_old(r);
	if (old != CUT_OLD_FREE)
		return cut_refuse(e, "posmedia cutover rollback",
				  "the old server is not free: it is fenced, or does not answer");
	rc = cut_checks(r, SITE_WHEN_PREFLIGHT, &list, e);
	if (rc != 0) {
		cut_put_checks(r, list);
		return -1;
	}
	rc = cut_reach_all(r, list, e);
	cut_put_checks(r, list);
	return rc;
}

/* The listing that is read here is what must fit, so many times. */
static int has_room(struct cut_run *r, uint64_t bytes, struct err *e)
{
	const struct site_cutover *c = &r->s->cutover;
	struct statvfs v;

	if (statvfs(r->own, &v) != 0)
		return err_sys(e, "look at %s", r->own);
	if ((uint64_t)v.f_bavail * v.f_frsize >= bytes / 100 * c->free_percent)
		return 0;
	return cut_refuse(e, "Make room, or change \"free\".",
			  "%s has %llu MB free, and the data is %llu MB", r->o->so->state,
			  (unsigned long long)((uint64_t)v.f_bavail * v.f_frsize >> 20),
			  (unsigned long long)(bytes >> 20));
}

static void put_totals(struct jval *to, const struct jval *report)
{
	const struct jval *data = jval_get(report, "data");
	int64_t bytes = 0, files = 0, written = 0;

	for (size_t i = 0; i < jval_len(data); i++) {
		bytes += cut_number(jval_at(data, i), "bytes");
		files += cut_number(jval_at(data, i), "files");
		written += cut_number(jval_at(data, i), "written-bytes");
	}
	jval_put_int(to, "bytes", bytes);
	jval_put_int(to, "files", files);
	jval_put_int(to, "written-bytes", written);
}

int cut_warm(struct cut_run *r, struct err *e)
{
	const struct site_old *old = &r->s->cutover.old;
	struct old_list *lists SCOPED(mem_freep) = mem_zalloc((old->data_n + 1) * sizeof(*lists));
	struct jval *report SCOPED(jval_freep) = NULL;
	uint64_t bytes = 0;

	if (cut_session(r, e) != 0 || old_prehash(r->old, &r->exclude, lists, e) != 0)
		return cut_lost(r, e);
	for (size_t i = 0; i < old->data_n; i++)
		bytes += lists[i].bytes;
	if (has_room(r, bytes, e) != 0 || cut_fill(r, &report, e) != 0)
		return -1;
	r->data = jval_object();
	put_totals(r->data, report);
	return 0;
}

/* What the next pass will have to do is what changed meanwhile: a second one says how long that
 * takes, and leaves less of it. */
int cut_ready(struct cut_run *r, struct err *e)
{
	const struct site_budget *b = &r->s->cutover.budget;
	struct jval *report SCOPED(jval_freep) = NULL;
	uint64_t limit = b->last_pass != 0 ? b->last_pass : b->outage, took;

	if (cut_fill(r, &report, e) != 0)
		return -1;
	r->data = jval_object();
	put_totals(r->data, report);
	took = (uint64_t)cut_since(r->phase_ms);
	jval_put_int(r->data, "pass-ms", (int64_t)took);
	if (!r->o->over_budget && took > limit)
		return cut_refuse(e,
				  "Try when less is sold, raise the budget, or --over-budget=go.",
				  "what changes takes %llu ms to copy, more than the budget has",
				  (unsigned long long)took);
	cut_near_tell(r);
	return 0;
}

/* The instance gives its private address up while that still costs nothing. */
static int to_real(struct cut_run *r, struct err *e)
{
	const struct stage_mark real = {.how = STAGE_REAL};
	struct stage_outcome out SCOPED(stage_outcome_release) = {0};

	if (stage_stop_site(r->s, r->o->so, &out, e) != 0)
		return -1;
	fault_point("cutover: new stopped");
	return stage_close(r->s, r->o->so, &real, e);
}

int cut_announce_on(struct cut_run *r, int on, struct err *e)
{
	const struct site_cutover *c = &r->s->cutover;

	for (size_t i = 0; i < c->announce_n; i++) {
		const struct site_command *k = &c->announce[i];
		struct err why = ERR_INIT;

		if ((k->on != on && k->on != SITE_ON_CONTROL) ||
		    cut_program(r, k->on, &k->run, k->within_ms, &why) == 0)
			continue;
		if (!k->may_fail || why.kind == ERR_REMOTE) {
			*e = why;
			return err_in(e, "announce");
		}
		log_warn("announce: %s", why.msg);
	}
	fault_point("cutover: announced");
	return 0;
}

int cut_announce(struct cut_run *r, struct err *e)
{
	return cut_announce_on(r, SITE_ON_OLD, e) != 0 ? -1 : to_real(r, e);
}

void cut_unannounce_on(struct cut_run *r, int on)
{
	const struct site_cutover *c = &r->s->cutover;

	for (size_t i = c->announce_n; i-- > 0;) {
		const struct site_command *k = &c->announce[i];
		struct err why = ERR_INIT;

		if (k->undo.n > 0 && (k->on == on || k->on == SITE_ON_CONTROL) &&
		    cut_program(r, k->on, &k->undo, k->within_ms, &why) != 0)
			log_warn("announce: %s", why.msg);
	}
}

static struct jval *estimate_of(const struct cut_run *r, const struct jval *report,
				int64_t smoke_ms)
{
	const struct jval *t = jval_get(report, "times");
	struct jval *o = jval_object();

	jval_put_int(o, "last-pass", cut_number(t, "last-ms") - cut_number(t, "prove-ms"));
	jval_put_int(o, "verify",
		     cut_number(t, "prove-ms") + cut_number(t, "verify-ms") +
			 cut_number(t, "fix-ms"));
	jval_put_int(o, "start", cut_number(t, "outage-ms"));
	jval_put_int(o, "smoke", smoke_ms);
	jval_put_text(o, "site", digest_text(&r->s->digest).s);
	return o;
}

/* The data of before is put back whatever comes of it, by the abort that every rehearsal ends with.
 */
int cut_try(struct cut_run *r, struct err *e)
{
	struct jval *report SCOPED(jval_freep) = NULL, *list = NULL, *data;
	uint64_t begun;
	int rc;

	if (cut_fetch(r, true, &report, e) != 0)
		return -1;
	fault_point("cutover: tried");
	begun = clock_mono_ms();
	rc = cut_checks(r, SITE_WHEN_SMOKE, &list, e);
	data = jval_object();
	if (list != NULL)
		jval_put(data, "checks", list);
	put_totals(data, report);
	if (rc == 0)
		jval_put(data, "estimates", estimate_of(r, report, cut_since(begun)));
	if (rc != 0) {
		jval_free(data);
		return -1;
	}
	return cut_note(r, CUT_SMOKE, CUT_NOTE, data, e);
}

/* Before the old server has its address back. */
int cut_stop_new(struct cut_run *r, struct err *e)
{
	const struct cut_facts *f = journal_facts(r->j);
	struct stage_outcome out SCOPED(stage_outcome_release) = {0};

	old_keeper_end(r->keeper);
	r->keeper = NULL;
	if (f->begun[CUT_ANNOUNCE] && stage_stop_site(r->s, r->o->so, &out, e) != 0)
		return -1;
	fault_point("cutover: undo: stopped");
	r->undone.stopped = true;
	return 0;
}

/* Private again, and running, so that the next run finds it as this one did. */
static void as_before(struct cut_run *r)
{
	struct stage_mark mark = {.how = STAGE_PRIVATE, .address = r->s->cutover.alone};
	struct stage_outcome out SCOPED(stage_outcome_release) = {0};
	struct err why = ERR_INIT;

	if (stage_close(r->s, r->o->so, &mark, &why) != 0 ||
	    stage_start_site(r->s, r->o->so, &out, &why) != 0)
		log_warn("the new instance is closed, and was not started again: %s", why.msg);
}

int cut_undo_new(struct cut_run *r, struct err *e)
{
	const struct cut_facts *f = journal_facts(r->j);
	struct jval *report SCOPED(jval_freep) = NULL;
	enum restore_phase phase;

	if (cut_restored(r, &phase, e) != 0)
		return -1;
	/* preflight began with none */
	if (f->ok[CUT_PREFLIGHT] && phase != RESTORE_NONE && phase != RESTORE_FILLING &&
	    phase != RESTORE_UNDONE && restore_undo(r->s, r->o->so, &report, e) != 0)
		return -1;
	fault_point("cutover: undo: data");
	if (f->begun[CUT_ANNOUNCE]) {
		cut_unannounce_on(r, SITE_ON_OLD);
		as_before(r);
	}
	return cut_note(r, CUT_ABORT, CUT_OK, NULL, e);
}
