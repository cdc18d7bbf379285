/* switch.c - what is new becomes live, and the ends of that: kept, put back, removed. */
#include "restore/ledger.h"
#include "restore/scanned.h"
#include "restore/site.h"

#include "base/fault.h"
#include "base/log.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include "sys/intr.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int busy(const struct restoring *x, const char *what, struct err *e)
{
	return err_set(e, ERR_BUSY, "shop %s in %s: %s", x->s->shop, site_env_word(x->s->env),
		       what);
}

static int stop_all(struct restoring *x, struct err *e)
{
	const struct stage_one none = {0};

	if (x->st.ownfd < 0 && stage_open_staged(x->s, x->so, &x->st, e) != 0)
		return -1;
	x->stays_stopped = x->st.r.stopped;
	if (stage_stop_others(&x->st, &none, e) != 0)
		return -1;
	fault_point("restore: stopped");
	return 0;
}

/* A site that was stopped on purpose stays so. */
static int start(struct restoring *x, struct err *e)
{
	bool started;

	if (x->stays_stopped)
		return 0;
	if (stage_start_current(&x->st, &started, e) != 0)
		return -1;
	fault_point("restore: started");
	return 0;
}

static bool is_half_or_new(const struct restoring *x)
{
	return x->r.phase == RESTORE_EXCHANGING || x->r.phase == RESTORE_EXCHANGED ||
	       x->r.phase == RESTORE_UNDOING;
}

/* The outage must end: what was live is live again, and the error stays that of the start. */
static int take_back(struct restoring *x, struct err *e)
{
	const struct stage_one none = {0};
	struct err why = ERR_INIT;

	intr_forget();
	if (stage_stop_others(&x->st, &none, &why) != 0 ||
	    (is_half_or_new(x) && exchange_undo(&x->p, &x->r, &why) != 0) || start(x, &why) != 0) {
		log_warn("%s", why.msg);
		return err_hint(e, "what was before is not back: posmedia restore --rollback");
	}
	return err_hint(e, "what was before runs again; what was restored is kept beside it");
}

static int note(struct restoring *x, enum restore_phase phase, struct err *e)
{
	x->r.phase = phase;
	return restore_record_write(x->p.ownfd, &x->r, e);
}

int restoring_exchange(struct restoring *x, struct err *e)
{
	uint64_t begun = clock_mono_ms();

	if (x->st.ownfd < 0 && stage_open_staged(x->s, x->so, &x->st, e) != 0)
		return -1;
	if (stop_all(x, e) != 0)
		return take_back(x, e);
	if (x->r.phase != RESTORE_EXCHANGED && exchange_do(&x->p, &x->r, e) != 0)
		return take_back(x, e);
	if (start(x, e) != 0)
		return take_back(x, e);
	x->outage_ms = clock_mono_ms() - begun;
	return note(x, RESTORE_DONE, e);
}

int restoring_recover(struct restoring *x, struct err *e)
{
	switch (x->r.phase) {
	case RESTORE_EXCHANGING:
	case RESTORE_EXCHANGED:
		log_info("the restore from %s goes on", x->r.source);
		return restoring_exchange(x, e);
	case RESTORE_UNDOING:
		log_info("the way back from %s goes on", x->r.source);
		return stop_all(x, e) != 0 || exchange_undo(&x->p, &x->r, e) != 0 ||
			       start(x, e) != 0
			   ? -1
			   : 0;
	case RESTORE_COMMITTING:
		if (exchange_commit(&x->p, &x->r, e) != 0)
			return -1;
		restore_record_release(&x->r);
		return 0;
	default:
		return 0;
	}
}

static struct jval *data_json(const struct restoring *x)
{
	struct jval *list = jval_array();

	for (size_t i = 0; i < x->n; i++) {
		const struct restoring_data *one = &x->v[i];
		struct jval *o = jval_object();

		jval_put_text(o, "name", one->d->name);
		jval_put_text(o, "at", one->d->at);
		restore_report_tree(o, &one->tree.view.m, &one->did);
		if (x->fixers.n > 0) {
			jval_put_int(o, "fixed", (int64_t)one->fixed);
			jval_put_text(o, "fixed-root", digest_text(&one->fixed_root).s);
		}
		jval_push(list, o);
	}
	return list;
}

static struct jval *list_json(const struct strv *l)
{
	struct jval *list = jval_array();

	for (size_t i = 0; i < l->n; i++)
		jval_push(list, jval_text(l->v[i]));
	return list;
}

static void put_excluded(const struct restoring *x, struct jval *v)
{
	struct jval *out = jval_array();
	uint64_t n = 0;

	if (x->fetch != NULL) {
		restore_filter_report(x->fetch, out);
		n = restore_filter_count(x->fetch);
	}
	for (size_t i = 0; i < x->n; i++) {
		restore_filter_report(x->v[i].filter, out);
		n += restore_filter_count(x->v[i].filter);
	}
	jval_put(v, "excluded", out);
	jval_put_int(v, "excluded-entries", (int64_t)n);
}

static void put_times(const struct restoring *x, struct jval *v)
{
	struct jval *times = jval_object();

	jval_put_int(times, "warm-ms", (int64_t)x->warm_ms);
	jval_put_int(times, "last-ms", (int64_t)x->last_ms);
	jval_put_int(times, "prove-ms", (int64_t)x->prove_ms);
	jval_put_int(times, "verify-ms", (int64_t)x->verify_ms);
	jval_put_int(times, "fix-ms", (int64_t)x->fix_ms);
	jval_put_int(times, "outage-ms", (int64_t)x->outage_ms);
	jval_put(v, "times", times);
}

static struct jval *report_of(const struct restoring *x)
{
	struct jval *v = jval_object();
	const char *source = x->src.text != NULL ? x->src.text : x->r.source;

	jval_put_text(v, "shop", x->s->shop);
	jval_put_text(v, "environment", site_env_word(x->s->env));
	if (source != NULL) {
		char *told SCOPED(mem_freep) = restore_told(source);

		jval_put_text(v, "source", told);
	}
	jval_put_text(v, "state", restore_phase_word(x->r.phase));
	jval_put(v, "data", data_json(x));
	jval_put(v, "not-in-source", list_json(&x->absent));
	jval_put(v, "fixers", list_json(&x->fixers));
	jval_put(v, "did", list_json(&x->st.out.did));
	jval_put(v, "dry-run", jval_bool(x->so->dry_run));
	jval_put(v, "verified", jval_bool(x->verify_ms > 0 || x->r.phase == RESTORE_DONE));
	jval_put_int(v, "differences", 0);
	put_excluded(x, v);
	survey_report(&x->survey, v);
	put_times(x, v);
	return v;
}

/* The report, and the same in the ledger. */
static int conclude(struct restoring *x, const char *what, struct jval **ret, struct err *e)
{
	struct jval *v SCOPED(jval_freep) = report_of(x);

	if (!x->so->dry_run && ledger_append(x->p.ownfd, what, v, e) != 0)
		return -1;
	fault_point("restore: reported");
	*ret = STEAL(v);
	return 0;
}

int restore_site(const struct site *s, const struct stage_opts *so, const struct restore_opts *o,
		 struct jval **ret, struct err *e)
{
	struct restoring x SCOPED(restoring_release) = RESTORING_INIT(s, so, o);
	bool finished;

	if (restoring_open(&x, e) != 0)
		return -1;
	finished = x.r.phase == RESTORE_EXCHANGING || x.r.phase == RESTORE_EXCHANGED;
	if (!so->dry_run && restoring_recover(&x, e) != 0)
		return -1;
	if (finished)
		return conclude(&x, "restore", ret, e);
	if (x.r.phase != RESTORE_NONE && x.r.phase != RESTORE_FILLING) {
		(void)busy(&x, "its data was restored, and the data of before is still kept", e);
		return err_hint(e, "posmedia restore --commit or --rollback %.150s", s->file);
	}
	if (restoring_fill(&x, e) != 0)
		return -1;
	if (!o->warm && !so->dry_run && restoring_switch(&x, e) != 0)
		return -1;
	return conclude(&x, o->warm ? "warm" : "restore", ret, e);
}

int restore_commit(const struct site *s, const struct stage_opts *so, struct jval **ret,
		   struct err *e)
{
	static const struct restore_opts none = {0};
	struct restoring x SCOPED(restoring_release) = RESTORING_INIT(s, so, &none);

	if (restoring_open(&x, e) != 0)
		return -1;
	if (x.r.phase != RESTORE_DONE && x.r.phase != RESTORE_COMMITTING)
		return busy(&x, "there is no finished restore to commit", e);
	if (!so->dry_run && exchange_commit(&x.p, &x.r, e) != 0)
		return -1;
	return conclude(&x, "commit", ret, e);
}

int restore_rollback(const struct site *s, const struct stage_opts *so, struct jval **ret,
		     struct err *e)
{
	static const struct restore_opts none = {0};
	struct restoring x SCOPED(restoring_release) = RESTORING_INIT(s, so, &none);

	if (restoring_open(&x, e) != 0)
		return -1;
	if (x.r.phase == RESTORE_NONE || x.r.phase == RESTORE_FILLING)
		return busy(&x, "nothing was restored", e);
	if (x.r.phase == RESTORE_COMMITTING)
		return busy(&x, "it was committed: what was before is being removed", e);
	if (so->dry_run)
		return conclude(&x, "rollback", ret, e);
	if (stop_all(&x, e) != 0 || exchange_undo(&x.p, &x.r, e) != 0 || start(&x, e) != 0)
		return -1;
	return conclude(&x, "rollback", ret, e);
}

int restore_discard(const struct site *s, const struct stage_opts *so, struct jval **ret,
		    struct err *e)
{
	static const struct restore_opts none = {0};
	struct restoring x SCOPED(restoring_release) = RESTORING_INIT(s, so, &none);

	if (restoring_open(&x, e) != 0)
		return -1;
	if (x.r.phase == RESTORE_NONE)
		return busy(&x, "there is no restore", e);
	if (x.r.phase != RESTORE_FILLING)
		return busy(&x, "its data was restored: --commit or --rollback comes first", e);
	if (!so->dry_run &&
	    (fs_rmtree(x.p.ownfd, "restore", e) != 0 || restore_record_remove(x.p.ownfd, e) != 0))
		return -1;
	return conclude(&x, "discard", ret, e);
}
