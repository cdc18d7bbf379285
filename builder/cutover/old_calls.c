/* old_calls.c - what the agent can be asked. */
#include "cutover/parts.h"

#include "base/log.h"
#include "form/hex.h"
#include "sys/aside.h"
#include "sys/clock.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Milliseconds. Reading all data takes hours. */
enum { ANSWER_MS = 30000, READ_MS = 12 * 3600 * 1000, SERVICE_MS = 60000, START_TRIES = 3 };

/* An answer that is nonsense ends the session too. */
static int read_as_state(struct old *o, const struct old_asking *q, struct old_state *ret,
			 struct err *e)
{
	struct jval *a SCOPED(jval_freep) = NULL;

	if (old_ask(o, q, &a, e) != 0)
		return -1;
	return old_read_state(a, ret, e) == 0 ? 0 : old_lost(o, e);
}

int old_hello(struct old *o, struct old_hello *ret, struct err *e)
{
	struct old_asking q = {.verb = "hello", .q = jval_object(), .within_ms = ANSWER_MS};
	struct jval *a SCOPED(jval_freep) = NULL;
	uint64_t from = clock_mono_ms(), took;
	const char *agent, *text;
	struct digest ours;
	size_t n;
	int64_t theirs, wall;

	jval_put(q.q, "plan", old_plan_json(old_opts(o)->plan));
	if (old_ask(o, &q, &a, e) != 0)
		return -1;
	wall = clock_wall_ms();
	took = clock_mono_ms() - from;
	text = agent_text(&n);
	ours = digest_of(text, n);
	agent = jval_get_str(a, "agent");
	if (agent == NULL || strcmp(agent, digest_hex(&ours).s) != 0) {
		(void)err_set(e, ERR_REMOTE, "another agent is installed there");
		return old_lost(o, e);
	}
	if (jval_get_int(a, "time_ms", &theirs) != 0) {
		(void)err_set(e, ERR_REMOTE, "the agent's answer has no time");
		return old_lost(o, e);
	}
	if (old_read_hello(a, ret, e) != 0)
		return old_lost(o, e);
	ret->took_ms = took;
	ret->skew_ms = theirs - (wall - (int64_t)(took / 2));
	return 0;
}

int old_run(struct old *o, const struct strv *argv, uint64_t within_ms, char **ret_said,
	    struct err *e)
{
	struct old_asking q = {
	    .verb = "run", .q = jval_object(), .within_ms = within_ms + ANSWER_MS};
	struct jval *list = jval_array(), *a SCOPED(jval_freep) = NULL;

	for (size_t i = 0; i < argv->n; i++)
		jval_push(list, jval_text(argv->v[i]));
	jval_put(q.q, "argv", list);
	jval_put_int(q.q, "within", (int64_t)((within_ms + 999) / 1000));
	if (old_ask(o, &q, &a, e) != 0)
		return -1;
	if (old_read_ran(a, ret_said, e) == 0)
		return 0;
	return e->kind == ERR_REMOTE ? old_lost(o, e) : err_in(e, "%s", argv->v[0]);
}

static uint64_t commands_ms(const struct site_command *v, size_t n)
{
	uint64_t ms = 0;

	for (size_t i = 0; i < n; i++)
		ms += v[i].within_ms + 5000;
	return ms;
}

/* A fence takes what its stops may take, and when it fails what its starts may. */
static uint64_t fence_ms(const struct site_old *p)
{
	return ANSWER_MS + commands_ms(p->stop, p->stop_n) +
	       START_TRIES * commands_ms(p->start, p->start_n) +
	       2 * START_TRIES * SERVICE_MS * p->services.n;
}

int old_fence(struct old *o, uint64_t lease_ms, struct old_state *ret, struct err *e)
{
	const struct site_old *p = old_opts(o)->plan;
	struct old_asking q = {.verb = "fence", .q = jval_object(), .within_ms = fence_ms(p)};

	jval_put(q.q, "plan", old_plan_json(p));
	jval_put_int(q.q, "lease", (int64_t)((lease_ms + 999) / 1000));
	return read_as_state(o, &q, ret, e);
}

int old_renew(struct old *o, struct old_state *ret, struct err *e)
{
	struct old_asking q = {.verb = "renew", .within_ms = ANSWER_MS};

	return read_as_state(o, &q, ret, e);
}

/* Of its clock: what lies between hearing and asking is lost, and not won. */
static struct jval *moment(const struct old_state *then, uint64_t until_ms)
{
	uint64_t more = until_ms > then->heard_ms ? until_ms - then->heard_ms : 0;
	struct jval *o = jval_object();

	jval_put_text(o, "boot", then->boot);
	jval_put_int(o, "uptime_ms", (int64_t)(then->uptime_ms + more));
	return o;
}

int old_renew_trial(struct old *o, const struct old_state *then, uint64_t until_ms,
		    struct old_state *ret, struct err *e)
{
	struct old_asking q = {.verb = "renew", .q = jval_object(), .within_ms = ANSWER_MS};

	jval_put(q.q, "trial", moment(then, until_ms));
	return read_as_state(o, &q, ret, e);
}

int old_prove(struct old *o, struct old_state *ret, struct err *e)
{
	struct old_asking q = {.verb = "prove", .within_ms = ANSWER_MS};

	return read_as_state(o, &q, ret, e);
}

int old_yield(struct old *o, struct old_state *ret, struct err *e)
{
	struct old_asking q = {.verb = "yield", .within_ms = ANSWER_MS};

	return read_as_state(o, &q, ret, e);
}

int old_hold(struct old *o, struct old_state *ret, struct err *e)
{
	struct old_asking q = {.verb = "hold", .within_ms = ANSWER_MS};

	return read_as_state(o, &q, ret, e);
}

int old_release(struct old *o, bool reversed, struct old_state *ret, struct err *e)
{
	uint64_t ms = fence_ms(old_opts(o)->plan);
	struct old_asking q = {.verb = "release", .q = jval_object(), .within_ms = 2 * ms};

	/* a fence whose control was interrupted goes on there, and has the lock until it ends */
	jval_put_int(q.q, "patience", (int64_t)(ms / 1000));
	jval_put(q.q, "reversed", jval_bool(reversed));
	return read_as_state(o, &q, ret, e);
}

static int read_data(struct old *o, const char *verb, const struct strv *exclude,
		     struct old_list *ret, struct err *e)
{
	const struct site_old *p = old_opts(o)->plan;
	struct old_asking q = {.verb = verb, .q = jval_object(), .within_ms = READ_MS};
	struct jval *a SCOPED(jval_freep) = NULL;

	jval_put(q.q, "data", old_data_json(p, exclude));
	jval_put(q.q, "plain", jval_bool(old_opts(o)->plain));
	if (old_ask(o, &q, &a, e) != 0)
		return -1;
	if (old_read_lists(a, p, strcmp(verb, "list") == 0, ret, e) != 0)
		return old_lost(o, e);
	return 0;
}

int old_list(struct old *o, const struct strv *exclude, struct old_list *ret, struct err *e)
{
	return read_data(o, "list", exclude, ret, e);
}

int old_prehash(struct old *o, const struct strv *exclude, struct old_list *ret, struct err *e)
{
	return read_data(o, "prehash", exclude, ret, e);
}

static int put_piece(void *ctx, const struct jval *a, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 20);

	if (base64_decode(jval_get_str(a, "chunk"), &b) != 0)
		return err_set(e, ERR_REMOTE, "the agent's text is damaged");
	return sink_write(ctx, b.data, b.len, e);
}

int old_listing(struct old *o, size_t which, const struct sink *out, struct err *e)
{
	struct sink to = *out;
	struct old_asking q = {.verb = "listing",
			       .q = jval_object(),
			       .within_ms = READ_MS,
			       .piece = put_piece,
			       .ctx = &to};
	struct jval *a SCOPED(jval_freep) = NULL;

	jval_put_int(q.q, "index", (int64_t)which);
	return old_ask(o, &q, &a, e);
}

static struct jval *texts(const struct strv *l)
{
	struct jval *a = jval_array();

	for (size_t i = 0; i < l->n; i++)
		jval_push(a, jval_text(l->v[i]));
	return a;
}

/* It may read all programs of root there, once. */
int old_receive(struct old *o, const struct old_receiving *what, char **ret_to,
		struct strv *ret_devices, struct err *e)
{
	struct old_asking q = {.verb = "receive", .q = jval_object(), .within_ms = READ_MS};
	struct jval *a SCOPED(jval_freep) = NULL;

	jval_put(q.q, "data", old_data_json(old_opts(o)->plan, NULL));
	jval_put(q.q, "users", texts(what->users));
	jval_put(q.q, "groups", texts(what->groups));
	if (old_ask(o, &q, &a, e) != 0)
		return -1;
	if (old_read_receive(a, ret_to, ret_devices, e) != 0)
		return e->kind == ERR_STEP ? -1 : old_lost(o, e);
	return 0;
}

int old_try(struct old *o, const struct old_state *then, uint64_t until_ms, struct old_state *ret,
	    struct err *e)
{
	struct old_asking q = {
	    .verb = "try", .q = jval_object(), .within_ms = fence_ms(old_opts(o)->plan)};

	jval_put(q.q, "until", moment(then, until_ms));
	return read_as_state(o, &q, ret, e);
}

/* A trial ends as an application is stopped. */
int old_shut(struct old *o, struct err *e)
{
	struct old_asking q = {.verb = "shut", .within_ms = fence_ms(old_opts(o)->plan)};
	struct jval *a SCOPED(jval_freep) = NULL;

	return old_ask(o, &q, &a, e);
}

int old_witness(struct old *o, const char *line, struct err *e)
{
	struct old_asking q = {.verb = "witness", .q = jval_object(), .within_ms = ANSWER_MS};
	struct jval *a SCOPED(jval_freep) = NULL;

	jval_put_text(q.q, "line", line);
	return old_ask(o, &q, &a, e);
}

int old_status(struct old *o, struct old_status *ret, struct err *e)
{
	struct old_asking q = {.verb = "status", .within_ms = ANSWER_MS};
	struct jval *a SCOPED(jval_freep) = NULL;

	if (old_ask(o, &q, &a, e) != 0)
		return -1;
	return old_read_status(a, ret, e) == 0 ? 0 : old_lost(o, e);
}

int old_forget(struct old *o, struct err *e)
{
	struct old_asking q = {.verb = "forget", .within_ms = ANSWER_MS};
	struct jval *a SCOPED(jval_freep) = NULL;

	return old_ask(o, &q, &a, e);
}

struct old_keeper {
	struct old_opts opts;
	struct old_keeping how;
	struct aside child;
};

enum { BUSY_US = 200000 };

static int renew_both(const struct old_keeper *k, struct old *o, uint64_t sure_ms,
		      struct old_state *s, struct err *e)
{
	struct old_state now SCOPED(old_state_release) = {0};

	if (old_renew_trial(o, s, sure_ms - k->how.let_go_ms, &now, e) != 0)
		return -1;
	old_state_release(s);
	*s = now;
	now = (struct old_state){0};
	return 0;
}

static int keep(void *arg, struct err *e)
{
	struct old_keeper *k = arg;
	struct old *o SCOPED(old_closep) = NULL;
	struct old_state s SCOPED(old_state_release) = {0};
	uint64_t sure = 0; /* what was renewed before */

	if (old_open(&k->opts, &o, e) != 0)
		return -1;
	for (;;) {
		/* the lease is counted there from some moment after this one */
		uint64_t until = clock_mono_ms() + k->how.lease_ms;
		struct err why = ERR_INIT;

		if ((k->how.let_go_ms == 0 || sure == 0 ? old_renew(o, &s, e)
							: renew_both(k, o, sure, &s, e)) != 0) {
			/* a trial that starts over there keeps others waiting */
			if (k->how.let_go_ms == 0 || e->kind != ERR_BUSY || clock_mono_ms() >= sure)
				return -1;
			*e = (struct err)ERR_INIT;
			(void)usleep(BUSY_US);
			continue;
		}
		if (k->how.renewed != NULL && k->how.renewed(k->how.ctx, until, &why) != 0)
			log_warn("%s", why.msg);
		else
			sure = until;
		(void)usleep((useconds_t)(k->how.lease_ms / 4 * 1000));
	}
}

int old_keep(const struct old_opts *opts, const struct old_keeping *how, struct old_keeper **ret,
	     struct err *e)
{
	struct old_keeper *k = mem_zalloc(sizeof(*k));

	k->opts = *opts;
	k->opts.installed = true;
	k->how = *how;
	if (aside_start(keep, k, &k->child, e) != 0) {
		free(k);
		return -1;
	}
	*ret = k;
	return 0;
}

bool old_keeps(const struct old_keeper *k)
{
	siginfo_t info = {0};

	return k->child.pid > 0 &&
	       waitid(P_PID, (id_t)k->child.pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       info.si_pid == 0;
}

void old_keeper_end(struct old_keeper *k)
{
	if (k == NULL)
		return;
	aside_stop(&k->child);
	free(k);
}
