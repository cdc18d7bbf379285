/* life.c - start and stop of what was staged. */
#include "stage/life.h"

#include "stage/held.h"
#include "stage/parts.h"

#include "base/fault.h"
#include <errno.h>
#include <unistd.h>

int stage_check_stopped(const struct stage *st, struct err *e)
{
	if (!st->r.stopped)
		return 0;
	(void)err_set(e, ERR_BUSY, "shop %s in %s was stopped on purpose", st->s->shop,
		      site_env_word(st->s->env));
	return err_hint(e, "posmedia start %.200s starts it", st->s->file);
}

int stage_open_staged(const struct site *s, const struct stage_opts *o, struct stage *ret,
		      struct err *e)
{
	char *own SCOPED(mem_freep) =
	    mem_format("%s/%s/%s/.posmedia", o->state, s->shop, site_env_word(s->env));

	if (stage_check_mounted(s, o, e) != 0)
		return -1;
	if (access(own, F_OK) == 0)
		return stage_open(s, o, ret, e);
	if (errno != ENOENT)
		return err_sys(e, "look at %s", own);
	(void)err_set(e, ERR_BUSY, "shop %s in %s: nothing was staged below %s", s->shop,
		      site_env_word(s->env), o->state);
	return err_hint(e, "posmedia stage %.200s", s->file);
}

/* Two that have the same data must not run at once. */
static int check_alone(struct stage *st, struct err *e)
{
	const struct stage_one *const all[] = {&st->r.pending, &st->r.previous};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct engine_state s SCOPED(engine_state_release) = {0};

		if (all[i]->container == NULL || stage_same(all[i], &st->r.current))
			continue;
		if (engine_state(st->en, all[i]->container, &s, e) != 0)
			return -1;
		if (!s.running && !s.restarting)
			continue;
		(void)err_set(e, ERR_BUSY, "%s runs, which has the same data", all[i]->container);
		return err_hint(e, "posmedia stop %.100s stops both", st->s->file);
	}
	return 0;
}

/* What runs already is asked whether it is well, by the site of then. */
static int look_whether_well(struct stage *st, struct err *e)
{
	const struct site *now = st->s;
	struct site *then SCOPED(site_freep) = NULL;
	int rc;

	if (stage_site_of(st, &st->r.current, &then, e) != 0)
		return -1;
	st->s = then;
	rc = stage_net_give(st, &st->r.current, e);
	if (rc == 0 && then->health_n > 0)
		rc = stage_wait_well(st, st->r.current.container, e);
	st->s = now;
	return rc;
}

/* One that a snapshot left standing still goes on. */
static int check_moves(struct stage *st, const struct engine_state *now, struct err *e)
{
	bool let_go = false;

	if (!now->paused)
		return 0;
	if (stage_let_go_left(st, &let_go, e) != 0)
		return -1;
	if (let_go)
		return 0;
	(void)err_set(e, ERR_BUSY, "%s is paused", st->r.current.container);
	return err_hint(e, "who paused it in the engine lets it go on there");
}

int stage_start_current(struct stage *st, bool *ret_started, struct err *e)
{
	const struct stage_one *one = &st->r.current;
	struct engine_state now SCOPED(engine_state_release) = {0};

	*ret_started = false;
	if (stage_check_restored(st, e) != 0)
		return -1;
	if (one->container == NULL)
		return err_set(e, ERR_BUSY, "shop %s in %s: no staging came to its end",
			       st->s->shop, site_env_word(st->s->env));
	if (stage_look(st, one, &now, e) != 0 || check_alone(st, e) != 0)
		return -1;
	/* or it is being made anew, and was not furnished */
	if (!now.there || stage_same(&st->r.pending, one)) {
		(void)err_set(e, ERR_BUSY, "%s is gone from the engine", one->container);
		return err_hint(e, "posmedia stage %.100s makes it anew, with its data",
				st->s->file);
	}
	if (check_moves(st, &now, e) != 0)
		return -1;
	if (st->o->dry_run) {
		if (!now.running)
			stage_did(st, "started %s", one->container);
		return 0;
	}
	if (st->r.stopped) {
		/* before the start: who dies in between leaves one to be started */
		st->r.stopped = false;
		if (stage_record_write(st->ownfd, &st->r, e) != 0)
			return -1;
		fault_point("start: allowed");
	}
	if (now.running)
		return look_whether_well(st, e);
	*ret_started = true;
	return stage_start_former(st, one, e);
}

int stage_start_site(const struct site *s, const struct stage_opts *o, struct stage_outcome *ret,
		     struct err *e)
{
	struct stage st SCOPED(stage_release) = {.ownfd = -1, .lock = -1};
	bool started;

	if (stage_open_staged(s, o, &st, e) != 0 || stage_come_back(&st, e) != 0 ||
	    stage_start_current(&st, &started, e) != 0)
		return -1;
	stage_conclude(&st, &st.r.current, ret);
	return 0;
}

static int stop(struct stage *st, struct err *e)
{
	const struct stage_one none = {0};

	if (!st->r.stopped) {
		/* before the stop: who starts what ended asks this first */
		stage_did(st, "stays stopped until it is started by hand");
		st->r.stopped = true;
		if (!st->o->dry_run && stage_record_write(st->ownfd, &st->r, e) != 0)
			return -1;
	}
	fault_point("stop: noted");
	return st->o->dry_run ? 0 : stage_stop_others(st, &none, e);
}

int stage_stop_site(const struct site *s, const struct stage_opts *o, struct stage_outcome *ret,
		    struct err *e)
{
	struct stage st SCOPED(stage_release) = {.ownfd = -1, .lock = -1};

	if (stage_open_staged(s, o, &st, e) != 0)
		return -1;
	if (st.r.current.container == NULL && st.r.pending.container == NULL)
		return err_set(e, ERR_BUSY, "shop %s in %s: no staging came to its end", s->shop,
			       site_env_word(s->env));
	if (stop(&st, e) != 0)
		return -1;
	stage_conclude(&st, st.r.current.container != NULL ? &st.r.current : &st.r.pending, ret);
	return 0;
}
