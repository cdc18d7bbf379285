/* plan.c - what a run would do, phase by phase: nothing is asked, and nothing done. */
#include "cutover/run.h"

#include <stdlib.h>
#include <string.h>

static void step(struct jval *list, const char *phase, const char *fmt, ...) PRINTF(3, 4);

static void step(struct jval *list, const char *phase, const char *fmt, ...)
{
	struct jval *o = jval_object();
	char *text SCOPED(mem_freep) = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = mem_vformat(fmt, ap);
	va_end(ap);
	jval_put_text(o, "phase", phase);
	jval_put_text(o, "does", text);
	jval_push(list, o);
}

static char *joined(const struct strv *argv)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 16);

	for (size_t i = 0; i < argv->n; i++)
		buf_addf(&b, "%s%s", i == 0 ? "" : " ", argv->v[i]);
	return buf_take(&b);
}

static void program(struct jval *list, const char *phase, const char *on, const struct strv *argv)
{
	char *text SCOPED(mem_freep) = joined(argv);

	step(list, phase, "on %s: %s", on, text);
}

static void commands(struct jval *list, const char *phase, const struct site_command *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		program(list, phase, "old", &v[i].run);
}

/* Of a side, or on the control. */
static void announces(struct jval *list, const struct site_cutover *c, int on)
{
	for (size_t i = 0; i < c->announce_n; i++) {
		const struct site_command *k = &c->announce[i];

		if (k->on == on || k->on == SITE_ON_CONTROL)
			program(list, "announce", site_on_word(k->on), &k->run);
	}
}

static void checks(struct jval *list, const struct site_cutover *c, int when)
{
	const char *phase = when == SITE_WHEN_TRIAL ? "smoke" : site_when_word(when);

	for (size_t i = 0; i < c->checks_n; i++) {
		const struct site_check *k = &c->checks[i];
		char *argv SCOPED(mem_freep) = joined(&k->run);

		if (k->when != when)
			continue;
		if (k->tcp != 0)
			step(list, phase, "check %s on %s: port %u", k->name, site_on_word(k->on),
			     k->tcp);
		else
			step(list, phase, "check %s on %s: %s", k->name, site_on_word(k->on), argv);
	}
}

static void fence(struct jval *list, const struct site_old *o)
{
	commands(list, "fence", o->stop, o->stop_n);
	for (size_t i = o->services.n; i-- > 0;)
		step(list, "fence", "on old: stop and mask %s", o->services.v[i]);
	for (size_t i = 0; i < o->data_n; i++)
		step(list, "fence", "on old: read only %s", o->data[i].at);
	if (o->interface != NULL)
		step(list, "fence", "on old: take %s off %s", o->taken.text, o->interface);
	for (size_t i = 0; i < o->ports_n; i++)
		step(list, "fence", "on old: nobody listens on port %u", o->ports[i]);
}

static void before(struct jval *list, const struct site_cutover *c)
{
	step(list, "preflight", "both ends, clocks, and that the instance is well and closed");
	if (c->rehearsal == SITE_REHEARSAL_REQUIRED)
		step(list, "preflight", "that this very site was rehearsed");
	checks(list, c, SITE_WHEN_PREFLIGHT);
	for (size_t i = 0; i < c->old.data_n; i++)
		step(list, "warm", "copy %s to %s", c->old.data[i].at, c->old.data[i].name);
	step(list, "ready", "copy what changed meanwhile, and see how long that takes");
	announces(list, c, SITE_ON_OLD);
	step(list, "announce", "stop the instance, and give it the site's address, closed");
}

static void behind(struct jval *list, const struct site_cutover *c)
{
	step(list, "last-pass", "copy what changed since");
	step(list, "verify", "both ends list their data: the same, or all is undone");
	step(list, "start", "start the instance, closed");
	checks(list, c, SITE_WHEN_SMOKE);
	step(list, "hold", "the old server stays fenced, whatever happens");
	step(list, "commit", "one record: from here on the new instance is right");
	step(list, "open", "let people in");
	if (c->dns.run.n > 0)
		program(list, "open", "control", &c->dns.run);
	for (size_t i = 0; i < c->after_n; i++)
		program(list, "after", site_on_word(c->after[i].on), &c->after[i].run);
	checks(list, c, SITE_WHEN_AFTER);
}

/* The same the other way. */
static void back(struct jval *list, const struct site_cutover *c)
{
	const struct site_old *o = &c->old;

	step(list, "preflight", "that the instance serves, and that the old server is held");
	checks(list, c, SITE_WHEN_REVERSE);
	for (size_t i = 0; i < o->data_n; i++)
		step(list, "warm", "copy %s to %s of old, which stays held", o->data[i].name,
		     o->data[i].at);
	step(list, "ready", "copy what changed meanwhile, and see how long that takes");
	announces(list, c, SITE_ON_NEW);
	step(list, "fence", "stop the instance, which is gone for as long as its lease is renewed");
	step(list, "last-pass", "copy what changed since");
	step(list, "verify", "both ends list their data: the same, or all is undone");
	if (cut_tries_old(c)) {
		step(list, "start", "on old: start the application, which nobody can reach");
		checks(list, c, SITE_WHEN_TRIAL);
	}
	step(list, "hold", "the old server is held still, and the instance gone for good");
	step(list, "commit", "one record: from here on the old server is right");
	step(list, "open", "on old: give back its data and its address");
	for (size_t i = 0; i < o->services.n; i++)
		step(list, "open", "on old: unmask and start %s", o->services.v[i]);
	commands(list, "open", o->start, o->start_n);
	for (size_t i = 0; i < o->ports_n; i++)
		step(list, "open", "on old: port %u answers", o->ports[i]);
	if (c->dns.undo.n > 0)
		program(list, "open", "control", &c->dns.undo);
	for (size_t i = c->after_n; i-- > 0;)
		if (c->after[i].undo.n > 0 && c->after[i].on != SITE_ON_NEW)
			program(list, "after", site_on_word(c->after[i].on), &c->after[i].undo);
	checks(list, c, SITE_WHEN_RETURNED);
}

int cutover_plan(const struct cutover_opts *o, struct jval **ret, struct err *e)
{
	const struct site_cutover *c = &o->s->cutover;
	char *dir SCOPED(mem_freep) = cut_dir(o);
	struct journal *j SCOPED(journal_closep) = NULL;
	struct jval *v, *list, *estimates = NULL;

	if (c->old.host == NULL)
		return err_set(e, ERR_USAGE, "%s has no \"cutover\"", o->s->file);
	if (journal_look(dir, &j, e) != 0 || cut_estimates(j, o->reverse, &estimates, e) != 0)
		return -1;
	v = jval_object();
	list = jval_array();
	if (o->reverse) {
		back(list, c);
	} else {
		before(list, c);
		fence(list, &c->old);
		behind(list, c);
	}
	jval_put_text(v, "shop", o->s->shop);
	jval_put_text(v, "environment", site_env_word(o->s->env));
	jval_put_text(v, "old", c->old.host);
	jval_put_int(v, "lease-ms", (int64_t)c->lease_ms);
	jval_put_int(v, "outage-budget-ms", (int64_t)c->budget.outage);
	jval_put(v, "steps", list);
	if (estimates != NULL)
		jval_put(v, "estimates", estimates);
	*ret = v;
	return 0;
}
