/* instance.c - one generation's container: what it does, its start, its stop, its end. */
#include "stage/parts.h"

#include "base/log.h"
#include "sys/intr.h"
#include <string.h>

/* A network is nothing to give to a process that is another's. */
static int look_whether_lost(struct stage *st, struct engine_state *s, struct err *e)
{
	if (!s->running || st->s->network.interface == NULL)
		return 0;
	if (stage_process_is(s, &s->running, e) != 0)
		return -1;
	if (!s->running && engine_about(st->en)->podman)
		s->there = false;
	return 0;
}

int stage_end_lost(struct stage *st, const struct stage_one *one, struct err *e)
{
	struct engine_state now SCOPED(engine_state_release) = {0};
	struct err why = ERR_INIT;
	bool is = true, changed;

	if (st->s->network.interface == NULL)
		return 0;
	if (engine_state(st->en, one->container, &now, e) != 0 ||
	    (now.running && stage_process_is(&now, &is, e) != 0))
		return -1;
	if (is)
		return 0;
	log_warn("%s has ended, and its engine has not noticed", one->container);
	if (stage_keep(st, one, &changed, &why) != 0)
		log_warn("%s", why.msg);
	return engine_end_lost(st->en, one->container, e);
}

int stage_look(struct stage *st, const struct stage_one *one, struct engine_state *ret,
	       struct err *e)
{
	const char *label;

	if (engine_state(st->en, one->container, ret, e) != 0)
		return -1;
	if (!ret->there)
		return 0;
	label = jval_get_str(ret->labels, "posmedia.generation");
	if (label != NULL && strcmp(label, digest_text(&one->generation).s) == 0 &&
	    digest_equal(&ret->image, &one->config))
		return look_whether_lost(st, ret, e);
	engine_state_release(ret);
	return err_set(e, ERR_VERIFY, "%s is not what the record says that it is", one->container);
}

int stage_not_done(const struct stage_one *one, struct err *e)
{
	if (intr_pending())
		(void)err_set(e, ERR_FAIL, "interrupted before %s was well", one->container);
	return -1;
}

int stage_start(struct stage *st, const struct stage_one *one, struct err *e)
{
	struct aside a SCOPED(stage_net_announced) = {0};

	stage_did(st, "started %s", one->container);
	if (stage_put_secrets(st, one, e) != 0 || stage_net_ready(st, one, e) != 0 ||
	    stage_net_start(st, one, e) != 0)
		return stage_not_done(one, e);
	stage_note_run(st, one);
	stage_net_announce(st, one, &a);
	if (stage_wait_well(st, one->container, e) == 0)
		return 0;
	aside_stop(&a);
	return stage_not_done(one, e);
}

static int end(struct stage *st, const struct stage_one *one, struct err *e)
{
	struct engine_state s SCOPED(engine_state_release) = {0};

	if (engine_state(st->en, one->container, &s, e) != 0)
		return -1;
	if (s.there && (s.running || s.restarting)) {
		stage_did(st, "stopped %s", one->container);
		if (stage_net_stop(st, one, e) != 0)
			return -1;
	}
	return 0;
}

int stage_stop(struct stage *st, const struct stage_one *one, struct err *e)
{
	if (one->container == NULL)
		return 0;
	return end(st, one, e) != 0 ? -1 : stage_net_back(st, one, e);
}

int stage_stop_wholly(struct stage *st, const struct stage_one *one, struct err *e)
{
	struct engine_state s SCOPED(engine_state_release) = {0};

	if (engine_state(st->en, one->container, &s, e) != 0)
		return -1;
	if (!s.there)
		return 0;
	if (s.running || s.restarting)
		return stage_net_stop(st, one, e);
	if (engine_stop(st->en, one->container, STAGE_STOP_SECONDS, e) != 0)
		return -1;
	stage_settle_one(st, one);
	return 0;
}

int stage_drop(struct stage *st, struct stage_one *one, struct err *e)
{
	if (one->container == NULL)
		return 0;
	if (stage_stop(st, one, e) != 0 || engine_remove(st->en, one->container, e) != 0)
		return -1;
	stage_did(st, "removed %s", one->container);
	if (stage_drop_files(st, one, e) != 0)
		return -1;
	stage_one_release(one);
	return 0;
}

bool stage_same(const struct stage_one *a, const struct stage_one *b)
{
	return a->container != NULL && b->container != NULL &&
	       digest_equal(&a->generation, &b->generation);
}

int stage_stop_others(struct stage *st, const struct stage_one *but, struct err *e)
{
	const struct stage_one *const all[] = {&st->r.pending, &st->r.current, &st->r.previous};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct err why = ERR_INIT;

		if (all[i]->container == NULL || stage_same(all[i], but))
			continue;
		if (end(st, all[i], e) != 0)
			return -1;
		if (stage_net_back(st, all[i], &why) == 0)
			continue;
		if (but->container == NULL)
			return err_set(e, why.kind, "%s", why.msg);
		/* it stays held; that is no reason for nobody to run */
		log_warn("%s", why.msg);
	}
	return 0;
}

int stage_start_former(struct stage *st, const struct stage_one *one, struct err *e)
{
	const struct site *now = st->s;
	struct site *then SCOPED(site_freep) = NULL;
	int rc;

	if (stage_site_of(st, one, &then, e) != 0)
		return -1;
	st->s = then;
	rc = stage_start(st, one, e);
	st->s = now;
	return rc;
}
