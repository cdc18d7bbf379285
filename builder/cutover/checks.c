/* checks.c - programs and ports of a plan: on the old server, in the new instance and here. */
#include "cutover/run.h"

#include "stage/parts.h"
#include "sys/clock.h"
#include "sys/intr.h"
#include "sys/proc.h"
#include <string.h>
#include <unistd.h>

enum { SAID_MAX = 4096, POLL_US = 100000 };

static int run_here(const struct strv *argv, uint64_t within_ms, struct err *e)
{
	const char **v SCOPED(mem_freep) = mem_zalloc((argv->n + 1) * sizeof(*v));
	struct buf said SCOPED(buf_release) = BUF_INIT(SAID_MAX);

	for (size_t i = 0; i < argv->n; i++)
		v[i] = argv->v[i];
	return proc_ok(
	    &(struct proc_spec){.argv = v, .out = &said, .err = &said, .timeout_ms = within_ms},
	    ERR_STEP, e);
}

/* Once, in the instance that runs. */
static int ask_new(struct cut_run *r, const struct site_health *h, bool *ret, struct err *e)
{
	struct stage st SCOPED(stage_release) = {.ownfd = -1, .lock = -1};
	struct engine_state now SCOPED(engine_state_release) = {0};

	if (stage_open_staged(r->s, r->o->so, &st, e) != 0)
		return -1;
	if (st.r.current.container == NULL)
		return err_set(e, ERR_BUSY, "no staging came to its end");
	if (stage_look(&st, &st.r.current, &now, e) != 0)
		return -1;
	if (!now.running)
		return err_set(e, ERR_FAIL, "%s does not run", st.r.current.container);
	st.ask_until = clock_mono_ms() + h->within_ms;
	return stage_passes(&st, st.r.current.container, h, now.pid, ret, e);
}

static int run_new(struct cut_run *r, const struct site_health *h, struct err *e)
{
	uint64_t end = clock_mono_ms() + h->within_ms;

	for (;;) {
		bool well = false;

		if (ask_new(r, h, &well, e) != 0)
			return -1;
		if (well)
			return 0;
		/* a port opens late; a program says what it says, and a sale is not tried twice */
		if (h->tcp == 0)
			return err_set(e, ERR_STEP, "it does not end with 0");
		if (clock_mono_ms() >= end)
			return err_set(e, ERR_STEP, "nobody listens on port %u", h->tcp);
		if (intr_pending())
			return intr_err(e);
		(void)usleep(POLL_US);
	}
}

/* A port of the old server, as that server sees it itself. */
static int run_old(struct cut_run *r, const struct strv *argv, uint64_t within_ms, struct err *e)
{
	char *said SCOPED(mem_freep) = NULL;

	if (cut_session(r, e) != 0 || old_run(r->old, argv, within_ms, &said, e) != 0)
		return cut_lost(r, e);
	return 0;
}

static int port_of_old(struct cut_run *r, const struct site_check *c, struct err *e)
{
	struct strv argv SCOPED(strv_release) = {0};

	strv_add(&argv, "perl");
	strv_add(&argv, "-MIO::Socket::INET");
	strv_add(&argv, "-e");
	strv_addf(&argv,
		  "exit !IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => %u, Timeout "
		  "=> 5)",
		  c->tcp);
	return run_old(r, &argv, c->within_ms, e);
}

int cut_program(struct cut_run *r, int on, const struct strv *argv, uint64_t within_ms,
		struct err *e)
{
	struct site_health h = {.run = *argv, .within_ms = within_ms};

	if (on == SITE_ON_OLD)
		return run_old(r, argv, within_ms, e);
	return on == SITE_ON_NEW ? run_new(r, &h, e) : run_here(argv, within_ms, e);
}

int cut_one_check(struct cut_run *r, const struct site_check *c, struct err *e)
{
	struct site_health h = {.tcp = c->tcp, .within_ms = c->within_ms};

	if (c->tcp == 0)
		return cut_program(r, c->on, &c->run, c->within_ms, e);
	return c->on == SITE_ON_NEW ? run_new(r, &h, e) : port_of_old(r, c, e);
}

int cut_checks(struct cut_run *r, int when, struct jval **ret, struct err *e)
{
	struct jval *list SCOPED(jval_freep) = jval_array();
	bool bad = false;

	for (size_t i = 0; i < r->s->cutover.checks_n; i++) {
		const struct site_check *c = &r->s->cutover.checks[i];
		uint64_t begun = clock_mono_ms();
		struct jval *o;
		struct err why = ERR_INIT;
		bool ok;

		if (c->when != when)
			continue;
		ok = cut_one_check(r, c, &why) == 0;
		o = jval_object();
		jval_put_text(o, "name", c->name);
		jval_put_text(o, "on", site_on_word(c->on));
		jval_put(o, "passed", jval_bool(ok));
		jval_put_int(o, "ms", cut_since(begun));
		if (!ok)
			jval_put_text(o, "why", why.msg);
		jval_push(list, o);
		if (!ok && !bad) {
			*e = why;
			(void)err_in(e, "the check \"%s\"", c->name);
		}
		bad |= !ok;
	}
	*ret = STEAL(list);
	return bad ? -1 : 0;
}
