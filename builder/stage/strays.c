#include "stage/strays.h"

#include "base/fault.h"
#include <stdlib.h>
#include <string.h>

static bool is_on_record(const struct stage *st, const char *name)
{
	const struct stage_one *const all[] = {&st->r.pending, &st->r.current, &st->r.previous};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i]->container != NULL && strcmp(all[i]->container, name) == 0)
			return true;
	return false;
}

bool stray_is(const struct stage *st, const struct engine_entry *c)
{
	const char *env = site_env_word(st->s->env);
	const char *shop_of = jval_get_str(c->labels, "posmedia.shop");
	const char *env_of = jval_get_str(c->labels, "posmedia.environment");
	char *prefix SCOPED(mem_freep) = mem_format("pos-%s-%s-", st->s->shop, env);

	return shop_of != NULL && env_of != NULL && strcmp(shop_of, st->s->shop) == 0 &&
	       strcmp(env_of, env) == 0 && strncmp(c->name, prefix, strlen(prefix)) == 0 &&
	       !is_on_record(st, c->name);
}

static bool is_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

static bool uses(const struct jval *inspected, const char *dir)
{
	const struct jval *mounts = jval_get(inspected, "Mounts");

	for (size_t i = 0; i < jval_len(mounts); i++) {
		const char *from = jval_get_str(jval_at(mounts, i), "Source");
		char *real SCOPED(mem_freep) =
		    from != NULL && from[0] == '/' ? realpath(from, NULL) : NULL;

		if (from != NULL && (is_below(from, dir) || (real != NULL && is_below(real, dir))))
			return true;
	}
	return false;
}

int strays_check(struct stage *st, struct err *e)
{
	struct engine_entries list SCOPED(engine_entries_release) = {0};
	char *dir SCOPED(mem_freep) = realpath(st->dir, NULL);

	if (dir == NULL)
		return err_sys(e, "look at %s", st->dir);
	if (engine_list(st->en, NULL, &list, e) != 0)
		return -1;
	for (size_t i = 0; i < list.n; i++) {
		const struct engine_entry *c = &list.v[i];
		struct jval *v SCOPED(jval_freep) = NULL;

		if (!(c->running || c->restarting || c->paused) || is_on_record(st, c->name) ||
		    stray_is(st, c))
			continue;
		if (engine_inspect(st->en, c->name, &v, e) != 0)
			return -1;
		if (v == NULL || !uses(v, dir))
			continue;
		(void)err_set(e, ERR_BUSY, "%s runs with files of %s", c->name, st->dir);
		return err_hint(e, "stop it first: it may write to what is kept");
	}
	return 0;
}

static int each(struct stage *st, int (*fn)(struct stage *st, const char *name, struct err *e),
		struct err *e)
{
	struct engine_entries list SCOPED(engine_entries_release) = {0};
	char *label SCOPED(mem_freep) = mem_format("posmedia.shop=%s", st->s->shop);

	if (engine_list(st->en, label, &list, e) != 0)
		return -1;
	for (size_t i = 0; i < list.n; i++)
		if (stray_is(st, &list.v[i]) && fn(st, list.v[i].name, e) != 0)
			return -1;
	return 0;
}

static int end(struct stage *st, const char *name, struct err *e)
{
	char *own SCOPED(mem_freep) = mem_strdup(name);
	const struct stage_one stray = {.container = own};
	struct engine_state now SCOPED(engine_state_release) = {0};
	bool ran;

	if (engine_state(st->en, name, &now, e) != 0)
		return -1;
	ran = now.running || now.restarting;
	if (ran)
		stage_told_stopping(st, &stray);
	if (engine_stop(st->en, name, STAGE_STOP_SECONDS, e) != 0)
		return -1;
	fault_point("stray: stopped");
	if (ran)
		stage_told_stop(st, &stray);
	return 0;
}

static int stop(struct stage *st, const char *name, struct err *e)
{
	stage_did(st, "stopped %s", name);
	return end(st, name, e);
}

static int drop(struct stage *st, const char *name, struct err *e)
{
	stage_did(st, "removed %s", name);
	if (st->o->dry_run)
		return 0;
	return end(st, name, e) != 0 ? -1 : engine_remove(st->en, name, e);
}

int strays_stop(struct stage *st, struct err *e)
{
	return each(st, stop, e);
}

int strays_remove(struct stage *st, struct err *e)
{
	return each(st, drop, e);
}
