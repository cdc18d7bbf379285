#include "cutover/run.h"

#include "base/log.h"
#include "restore/restore.h"
#include "site/secret.h"
#include "stage/closed.h"
#include "stage/leave.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *cut_dir(const struct cutover_opts *o)
{
	return mem_format("%s/%s/%s/.posmedia/cutover", o->so->state, o->s->shop,
			  site_env_word(o->s->env));
}

int64_t cut_number(const struct jval *v, const char *key)
{
	int64_t n = 0;

	return jval_get_int(v, key, &n) == 0 ? n : 0;
}

int64_t cut_since(uint64_t mono_ms)
{
	return (int64_t)(clock_mono_ms() - mono_ms);
}

int cut_run_open(const struct cutover_opts *o, struct cut_run *r, struct err *e)
{
	*r = (struct cut_run){.o = o, .s = o->s, .door = -1, .why = ERR_INIT};
	if (o->s->cutover.old.host == NULL) {
		(void)err_set(e, ERR_USAGE, "%s has no \"cutover\"", o->s->file);
		return err_hint(e, "posmedia-cutover(5) says what it has to have.");
	}
	r->dir = cut_dir(o);
	r->own = fs_dirname(r->dir);
	r->work =
	    mem_format("%s/cutover-%s-%s", o->so->runtime, o->s->shop, site_env_word(o->s->env));
	restore_excludes(o->s->env, &o->s->cutover.old.exclude, &r->exclude);
	if (access(r->own, F_OK) != 0) {
		(void)err_set(e, ERR_BUSY, "shop %s in %s: nothing was staged below %s", o->s->shop,
			      site_env_word(o->s->env), o->so->state);
		return err_hint(e, "posmedia stage --closed private %.150s", o->s->file);
	}
	/* only behind the lock is it ours; what a killed run left there has keys in it */
	if (journal_open(r->dir, &r->j, e) != 0 || fs_rmtree(AT_FDCWD, r->work, e) != 0)
		return -1;
	return fs_mkdirs(AT_FDCWD, r->work, 0700, e);
}

void cut_run_close(struct cut_run *r)
{
	struct err quiet = ERR_INIT;

	old_ahead_end(r->ahead);
	cut_near_free(r->near);
	old_keeper_end(r->keeper);
	old_close(r->old);
	fd_closep(&r->door);
	jval_free(r->data);
	strv_release(&r->exclude);
	if (r->j != NULL)
		(void)!fs_rmtree(AT_FDCWD, r->work, &quiet);
	journal_close(r->j);
	free(r->dir);
	free(r->own);
	free(r->work);
	*r = (struct cut_run){.door = -1};
}

int cut_session(struct cut_run *r, struct err *e)
{
	const struct site_secret *secret = site_secret_find(r->s, r->s->cutover.old.secret);

	if (r->old != NULL)
		return 0;
	r->oo = (struct old_opts){.plan = &r->s->cutover.old,
				  .secret = secret == NULL ? NULL : &secret->from,
				  .work = r->work,
				  .shop = r->s->shop,
				  .epoch = journal_facts(r->j)->epoch,
				  .run = journal_run(r->j),
				  .plain = journal_facts(r->j)->reverse,
				  .installed = r->installed};
	if (old_open(&r->oo, &r->old, e) != 0)
		return -1;
	r->installed = true;
	return 0;
}

int cut_lost(struct cut_run *r, const struct err *e)
{
	if (e->kind == ERR_REMOTE) {
		old_close(r->old);
		r->old = NULL;
	}
	return -1;
}

/* An epoch that it knows and is free of was fenced once, or released. */
static enum cut_old of_state(const struct cut_run *r, const struct old_state *s)
{
	bool ours = s->epoch == journal_facts(r->j)->epoch && s->run != NULL &&
		    strcmp(s->run, journal_run(r->j)) == 0;

	if (s->state == OLD_FREE)
		return ours ? CUT_OLD_FELL : CUT_OLD_FREE;
	if (!ours)
		return CUT_OLD_OTHER;
	if (s->state == OLD_HELD)
		return CUT_OLD_HELD;
	return s->undoing || s->left_ms == 0 ? CUT_OLD_FELL : CUT_OLD_LEASED;
}

enum cut_old cut_ask_old(struct cut_run *r)
{
	struct old_status st SCOPED(old_status_release) = {0};

	for (int i = 0; i < 2; i++) {
		struct err e = ERR_INIT;

		if (cut_session(r, &e) == 0 && old_status(r->old, &st, &e) == 0)
			return of_state(r, &st.now);
		(void)cut_lost(r, &e);
		log_warn("the old server does not answer: %s", e.msg);
	}
	return CUT_OLD_UNKNOWN;
}

/* In a reverse the instance is, and its own host's mark says how. */
static enum cut_old ask_instance(const struct cut_run *r)
{
	static const enum cut_old as[] = {[STAGE_LEAVING] = CUT_OLD_LEASED,
					  [STAGE_LAPSED] = CUT_OLD_FELL,
					  [STAGE_LEFT] = CUT_OLD_HELD};
	struct stage_mark mark SCOPED(stage_mark_release) = {0};
	struct err e = ERR_INIT;
	enum stage_here is;

	if (stage_is_here(r->s, r->o->so, &is, &e) != 0 ||
	    (is == STAGE_HERE && stage_marked(r->s, r->o->so, &mark, &e) != 0)) {
		log_warn("%s", e.msg);
		return CUT_OLD_UNKNOWN;
	}
	if (is != STAGE_HERE)
		return as[is];
	return mark.how == STAGE_OPEN ? CUT_OLD_FREE : CUT_OLD_OTHER;
}

enum cut_old cut_ask_source(struct cut_run *r)
{
	return journal_facts(r->j)->reverse ? ask_instance(r) : cut_ask_old(r);
}

/* Between them nobody may guess which of the two was decided. */
static bool must_witness(const struct cut_run *r, enum cut_phase p)
{
	const struct cut_facts *f = journal_facts(r->j);

	return p == CUT_HOLD && !cut_aborted(f);
}

int cut_note(struct cut_run *r, enum cut_phase p, enum cut_event v, struct jval *data,
	     struct err *e)
{
	struct err quiet = ERR_INIT;

	if (journal_append(r->j, p, v, data, e) != 0)
		return -1;
	if (must_witness(r, p))
		return cut_session(r, e) != 0 || old_witness(r->old, journal_last(r->j), e) != 0
			   ? cut_lost(r, e)
			   : 0;
	if (r->old != NULL && old_witness(r->old, journal_last(r->j), &quiet) != 0) {
		(void)cut_lost(r, &quiet);
		log_debug("no copy of a record on the old server: %s", quiet.msg);
	}
	return 0;
}

void cut_fail(struct cut_run *r, const struct err *e)
{
	struct jval *data = jval_object();
	struct err quiet = ERR_INIT;

	if (!r->failed)
		r->why = *e;
	r->failed = true;
	r->want = CUT_BACK;
	jval_put_text(data, "error", e->msg);
	if (cut_note(r, r->now, CUT_FAIL, data, &quiet) != 0)
		log_warn("%s", quiet.msg);
}

int cut_restored(const struct cut_run *r, enum restore_phase *ret, struct err *e)
{
	struct restore_record rec = {0};
	int fd SCOPED(fd_closep) = -1;

	if (fs_open_dir(AT_FDCWD, r->own, &fd, e) != 0 || restore_record_read(fd, &rec, e) != 0)
		return -1;
	*ret = rec.phase;
	restore_record_release(&rec);
	return 0;
}
