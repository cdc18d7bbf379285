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

/* What was fetched is of no use to what is exchanged, and may be what nobody should keep; but who
 * will perhaps undo it and try again does not want to carry all of it over the link again. */
static void drop_fetched(const struct restoring *x, bool again)
{
	static const char *const names[] = {SOURCE_FETCHED, SOURCE_UNPACKED, "open.tar",
					    "nothing",      "gnupg",         "key"};
	struct err why = ERR_INIT;

	for (size_t i = again ? 1 : 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (fs_rmtree(x->p.workfd, names[i], &why) != 0)
			log_warn("%s", why.msg);
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
	if (note(x, RESTORE_DONE, e) != 0)
		return -1;
	drop_fetched(x, x->o->prove != NULL);
	return 0;
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

static void put_site(const struct restoring *x, struct jval *v)
{
	const char *source = x->src.text != NULL ? x->src.text : x->r.source;

	jval_put_text(v, "shop", x->s->shop);
	jval_put_text(v, "environment", site_env_word(x->s->env));
	if (source != NULL) {
		char *told SCOPED(mem_freep) = restore_told(source);

		jval_put_text(v, "source", told);
	}
	jval_put_text(v, "state", restore_phase_word(x->r.phase));
}

static struct jval *report_of(const struct restoring *x)
{
	struct jval *v = jval_object();

	put_site(x, v);
	jval_put(v, "data", data_json(x));
	jval_put(v, "not-in-source", restore_report_list(&x->absent));
	jval_put(v, "by-number", restore_report_list(&x->src.by_number));
	jval_put(v, "fixers", restore_report_list(&x->fixers));
	jval_put(v, "did", restore_report_list(&x->st.out.did));
	jval_put(v, "dry-run", jval_bool(x->so->dry_run));
	jval_put(v, "verified", jval_bool(x->verified));
	if (x->verified)
		jval_put_int(v, "differences", (int64_t)x->differences);
	/* of a run that was killed: what it had verified */
	if (x->r.roots != NULL)
		jval_put_text(v, "roots", x->r.roots);
	put_excluded(x, v);
	survey_report(&x->survey, v);
	put_times(x, v);
	return v;
}

/* Adds what is at a place to *o, as "NAME": nothing is there, or so many entries. */
static int measure(int dirfd, const char *name, struct jval *o, struct err *e)
{
	static const struct manifest_opts how = {.names_only = true};
	struct manifest m SCOPED(manifest_release) = {0};
	int fd SCOPED(fd_closep) = -1;

	if (dirfd >= 0 && faccessat(dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0 &&
	    (fs_open_dir(dirfd, name, &fd, e) != 0 || manifest_make(fd, &how, &m, e) != 0))
		return -1;
	jval_put_int(o, "entries", (int64_t)m.n);
	jval_put_int(o, "files", (int64_t)m.files);
	jval_put_int(o, "bytes", (int64_t)m.bytes);
	return 0;
}

/* What an end left behind: of each directory what is live, and what was removed or is kept. */
static int ended(struct restoring *x, const char *what, struct jval *aside, struct err *e)
{
	struct jval *v = x->ended = jval_object(), *live = jval_array();

	put_site(x, v);
	jval_put(v, "live", live);
	jval_put(v, what, aside);
	jval_put(v, "did", restore_report_list(&x->st.out.did));
	jval_put(v, "dry-run", jval_bool(x->so->dry_run));
	for (size_t i = 0; i < x->r.n; i++) {
		struct jval *o = jval_object();

		jval_push(live, o);
		jval_put_text(o, "name", x->r.v[i].name);
		if (measure(x->p.dirfd, x->r.v[i].name, o, e) != 0)
			return -1;
	}
	return 0;
}

/* The report, and the same in the ledger. */
static int conclude(struct restoring *x, const char *what, struct jval **ret, struct err *e)
{
	struct jval *v SCOPED(jval_freep) = x->ended != NULL ? STEAL(x->ended) : report_of(x);

	if (!x->so->dry_run && restore_ledger_append(x->p.ownfd, what, v, e) != 0)
		return -1;
	fault_point("restore: reported");
	*ret = STEAL(v);
	return 0;
}

/* What a warm copy may not do, since it stops the instance or decides what is live; and what no
 * restore may fill over. */
static int check_state(const struct restoring *x, struct err *e)
{
	if (x->o->warm && x->r.phase != RESTORE_NONE && x->r.phase != RESTORE_FILLING &&
	    x->r.phase != RESTORE_UNDONE && x->r.phase != RESTORE_DONE) {
		(void)busy(x, "a restore was interrupted, and --warm does not finish it", e);
		return err_hint(e, "posmedia restore %.150s goes on; or --rollback, --commit",
				x->s->file);
	}
	if (x->r.phase != RESTORE_UNDONE)
		return 0;
	(void)busy(x, "its restore was undone, and what was restored is still kept", e);
	return err_hint(e, "posmedia restore --discard %.150s removes it", x->s->file);
}

int restore_site(const struct site *s, const struct stage_opts *so, const struct restore_opts *o,
		 struct jval **ret, struct err *e)
{
	struct restoring x SCOPED(restoring_release) = RESTORING_INIT(s, so, o);
	bool finished;

	if (restoring_open(&x, e) != 0)
		return -1;
	if (check_state(&x, e) != 0)
		return -1;
	finished = x.r.phase == RESTORE_EXCHANGING || x.r.phase == RESTORE_EXCHANGED;
	if (!so->dry_run && restoring_recover(&x, e) != 0)
		return -1;
	/* the way back may have been what was interrupted */
	if (check_state(&x, e) != 0)
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
	struct jval *removed SCOPED(jval_freep) = jval_object();

	if (restoring_open(&x, e) != 0)
		return -1;
	if (x.r.phase != RESTORE_DONE && x.r.phase != RESTORE_COMMITTING)
		return busy(&x, "there is no finished restore to commit", e);
	if (measure(x.p.ownfd, "restore", removed, e) != 0)
		return -1;
	if (!so->dry_run) {
		if (exchange_commit(&x.p, &x.r, e) != 0)
			return -1;
		x.r.phase = RESTORE_NONE;
	}
	return ended(&x, "removed", STEAL(removed), e) != 0 ? -1 : conclude(&x, "commit", ret, e);
}

static int undo(const struct site *s, const struct stage_opts *so, bool by_hand, struct jval **ret,
		struct err *e)
{
	static const struct restore_opts none = {0};
	struct restoring x SCOPED(restoring_release) = RESTORING_INIT(s, so, &none);
	struct jval *kept SCOPED(jval_freep) = jval_object();

	if (restoring_open(&x, e) != 0)
		return -1;
	if (x.r.phase == RESTORE_NONE || x.r.phase == RESTORE_FILLING)
		return busy(&x, "nothing was restored", e);
	if (x.r.phase == RESTORE_UNDONE)
		return busy(&x, "it is undone already: nothing was restored since", e);
	if (x.r.phase == RESTORE_COMMITTING)
		return busy(&x, "it was committed: what was before is being removed", e);
	x.r.by_hand = by_hand;
	if (!so->dry_run) {
		if (stop_all(&x, e) != 0 || exchange_undo(&x.p, &x.r, e) != 0 || start(&x, e) != 0)
			return -1;
		drop_fetched(&x, !by_hand);
	}
	if (measure(x.p.workfd, so->dry_run ? "previous" : "new", kept, e) != 0)
		return -1;
	return ended(&x, so->dry_run ? "previous" : "kept", STEAL(kept), e) != 0
		   ? -1
		   : conclude(&x, "rollback", ret, e);
}

int restore_rollback(const struct site *s, const struct stage_opts *so, struct jval **ret,
		     struct err *e)
{
	return undo(s, so, true, ret, e);
}

int restore_undo(const struct site *s, const struct stage_opts *so, struct jval **ret,
		 struct err *e)
{
	return undo(s, so, false, ret, e);
}

int restore_discard(const struct site *s, const struct stage_opts *so, struct jval **ret,
		    struct err *e)
{
	static const struct restore_opts none = {0};
	struct restoring x SCOPED(restoring_release) = RESTORING_INIT(s, so, &none);
	struct jval *removed SCOPED(jval_freep) = jval_object();

	if (restoring_open(&x, e) != 0)
		return -1;
	if (x.r.phase == RESTORE_NONE)
		return busy(&x, "there is no restore", e);
	if (x.r.phase != RESTORE_FILLING && x.r.phase != RESTORE_UNDONE)
		return busy(&x, "its data was restored: --commit or --rollback comes first", e);
	if (measure(x.p.ownfd, "restore", removed, e) != 0)
		return -1;
	if (!so->dry_run) {
		if (fs_rmtree(x.p.ownfd, "restore", e) != 0 ||
		    restore_record_remove(x.p.ownfd, e) != 0)
			return -1;
		x.r.phase = RESTORE_NONE;
	}
	return ended(&x, "removed", STEAL(removed), e) != 0 ? -1 : conclude(&x, "discard", ret, e);
}
