/* cutover_check.c - what the values of a site's "cutover" say together, and it as JSON. */
#include "site/parts.h"

#include "base/num.h"
#include <string.h>

void site_old_host(const struct site_old *o, char **user, char **host, uint16_t *port)
{
	const char *at = strchr(o->host, '@'), *from = o->host + strlen("ssh://");
	const char *name = at == NULL ? from : at + 1;
	size_t n = strcspn(name, ":");
	uint64_t v = 22;

	*user = at == NULL ? mem_strdup("root") : mem_strndup(from, (size_t)(at - from));
	*host = mem_strndup(name, n);
	if (name[n] == ':' && num_u64(name + n + 1, UINT16_MAX, &v) != 0)
		v = 22;
	*port = (uint16_t)v;
}

static const struct site_data *named(const struct site_data *v, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(v[i].name, name) == 0)
			return &v[i];
	return NULL;
}

/* Each directory of the instance comes from one of the old server, and no other is fetched. */
static int check_data(const struct site *s, struct err *e)
{
	const struct site_old *o = &s->cutover.old;

	for (size_t i = 0; i < o->data_n; i++) {
		const struct site_data *d = &o->data[i];

		if (named(s->data, s->data_n, d->name) == NULL)
			return site_refuse(&d->pos, e, "Use the names of the site's \"data\".",
					   "old: there is no data \"%s\"", d->name);
		for (size_t k = 0; k < o->data_n; k++) {
			size_t n = strlen(o->data[k].at);

			if (k != i && strncmp(d->at, o->data[k].at, n) == 0 && d->at[n] == '/')
				return site_refuse(&d->pos, e, "One of the two is enough.",
						   "old: %s lies in %s", d->at, o->data[k].at);
		}
	}
	return 0;
}

static int check_check(const struct site_check *c, struct err *e)
{
	if ((c->run.n > 0) == (c->tcp != 0))
		return site_refuse(&c->pos, e, "Write one of run and tcp.",
				   "cutover: the check %s has %s", c->name,
				   c->tcp != 0 ? "both" : "neither a program nor a port");
	if (c->when == SITE_WHEN_SMOKE && c->on == SITE_ON_OLD)
		return site_refuse(&c->pos, e, "Behind the fence the old server serves nothing.",
				   "cutover: the check %s cannot be on the old server", c->name);
	if ((c->when == SITE_WHEN_RETURNED || c->when == SITE_WHEN_TRIAL) && c->on == SITE_ON_NEW)
		return site_refuse(&c->pos, e, "It has gone back to the old server then.",
				   "cutover: the check %s cannot be in the instance", c->name);
	if (c->tcp != 0 && c->on == SITE_ON_CONTROL)
		return site_refuse(&c->pos, e, "Ask with a program of its own.",
				   "cutover: the check %s needs an address", c->name);
	return 0;
}

static int check_times(const struct site_cutover *c, struct err *e)
{
	const uint64_t parts[] = {c->budget.fence, c->budget.last_pass, c->budget.verify,
				  c->budget.start, c->budget.smoke,     c->budget.hold};

	if (c->lease_ms < SITE_LEASE_MIN_MS || c->lease_ms > 3600000)
		return site_refuse(&c->pos, e, "Such as 120s.",
				   "cutover: a lease is 5 seconds to an hour");
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (parts[i] > c->budget.outage)
			return site_refuse(&c->pos, e, "Raise \"outage\".",
					   "cutover: one phase may take longer than the whole");
	return 0;
}

/* What is taken off the old server is what the instance gets; else the shop's tills find nobody. */
static int old_address(const struct site *s, struct err *e)
{
	const struct site_old *o = &s->cutover.old;

	if (o->interface == NULL)
		return 0;
	if (s->network.interface == NULL)
		return site_refuse(&o->pos, e, "Write \"network\", or leave \"address\" out.",
				   "old: \"address\" without \"network\"");
	if (o->taken.addr != s->network.address.addr)
		return site_refuse(&o->pos, e, "Use the address of \"network\".",
				   "old: the instance does not get %s", o->taken.text);
	return 0;
}

static int check_old(const struct site *s, struct err *e)
{
	const struct site_old *o = &s->cutover.old;

	if (site_secret_find(s, o->secret) == NULL)
		return site_refuse(&o->pos, e, "Add it to \"secrets\".",
				   "there is no secret \"%s\"", o->secret);
	if (o->exclude.n > SITE_EXCLUDE_MAX || o->services.n > SITE_COMMANDS_MAX)
		return site_refuse(&o->pos, e, "Shorten it.", "old: a list is too long");
	if (o->stop_n == 0 && o->services.n == 0)
		return site_refuse(&o->pos, e, "Write \"stop\", \"services\" or both.",
				   "old: nothing says how its application is stopped");
	if (o->stop_n > 0 && o->start_n == 0 && o->services.n == 0)
		return site_refuse(&o->pos, e, "Write \"start\".",
				   "old: nothing says how its application is started again");
	if (old_address(s, e) != 0)
		return -1;
	return check_data(s, e);
}

int site_cutover_check(const struct site *s, struct err *e)
{
	const struct site_cutover *c = &s->cutover;

	if (c->old.host == NULL)
		return 0;
	if (check_old(s, e) != 0)
		return -1;
	for (size_t i = 0; i < c->checks_n; i++)
		if (check_check(&c->checks[i], e) != 0)
			return -1;
	if (c->alone.text != NULL && s->network.interface == NULL)
		return site_refuse(&c->pos, e, "It goes with a network of the site's own.",
				   "cutover: \"private\" without \"network\"");
	if (c->alone.text != NULL && c->alone.addr == s->network.address.addr)
		return site_refuse(&c->pos, e, "The old server has that one until it is fenced.",
				   "cutover: \"private\" is the site's own address");
	return check_times(c, e);
}

static void put_ms(struct jval *o, const char *key, uint64_t ms)
{
	char *text SCOPED(mem_freep) = mem_format("%llums", (unsigned long long)ms);

	if (ms != 0)
		jval_put_text(o, key, text);
}

static void put_commands(struct jval *o, const char *key, const struct site_command *v, size_t n)
{
	struct jval *a = jval_array();

	for (size_t i = 0; i < n; i++) {
		struct jval *one = jval_object();

		site_put_list(one, "run", &v[i].run);
		if (v[i].undo.n > 0)
			site_put_list(one, "undo", &v[i].undo);
		put_ms(one, "within", v[i].within_ms);
		if (v[i].may_fail)
			jval_put(one, "may_fail", jval_bool(true));
		if (v[i].on != SITE_ON_OLD)
			jval_put_text(one, "on", site_on_word(v[i].on));
		jval_push(a, one);
	}
	jval_put(o, key, a);
}

static struct jval *old_json(const struct site_old *old)
{
	struct jval *o = jval_object(), *ports = jval_array(), *address;

	jval_put_text(o, "host", old->host);
	jval_put_text(o, "known_hosts", old->known_hosts);
	jval_put_text(o, "secret", old->secret);
	jval_put(o, "data", site_data_json(old->data, old->data_n));
	site_put_list(o, "exclude", &old->exclude);
	site_put_list(o, "services", &old->services);
	put_commands(o, "stop", old->stop, old->stop_n);
	put_commands(o, "start", old->start, old->start_n);
	for (size_t i = 0; i < old->ports_n; i++)
		jval_push(ports, jval_int(old->ports[i]));
	jval_put(o, "ports", ports);
	jval_put_text(o, "holders", old->holders == SITE_HOLDERS_KILL ? "kill" : "report");
	jval_put_text(o, "cron", old->cron == SITE_CRON_REQUIRED ? "required" : "optional");
	if (old->trial != SITE_TRIAL_REQUIRED)
		jval_put_text(o, "trial", "none");
	if (old->interface != NULL) {
		address = jval_object();
		jval_put_text(address, "interface", old->interface);
		jval_put_text(address, "address", old->taken.text);
		jval_put(o, "address", address);
	}
	return o;
}

static struct jval *checks_json(const struct site_cutover *c)
{
	struct jval *a = jval_array();

	for (size_t i = 0; i < c->checks_n; i++) {
		const struct site_check *k = &c->checks[i];
		struct jval *o = jval_object();

		jval_put_text(o, "name", k->name);
		jval_put_text(o, "on", site_on_word(k->on));
		jval_put_text(o, "phase", site_when_word(k->when));
		site_put_list(o, "run", &k->run);
		if (k->tcp != 0)
			jval_put_int(o, "tcp", k->tcp);
		put_ms(o, "within", k->within_ms);
		jval_push(a, o);
	}
	return a;
}

static struct jval *act_json(const struct site_act *a)
{
	struct jval *o = jval_object();

	site_put_list(o, "run", &a->run);
	site_put_list(o, "undo", &a->undo);
	put_ms(o, "within", a->within_ms);
	return o;
}

static struct jval *budget_json(const struct site_budget *b)
{
	struct jval *o = jval_object();

	put_ms(o, "outage", b->outage);
	put_ms(o, "fence", b->fence);
	put_ms(o, "last-pass", b->last_pass);
	put_ms(o, "verify", b->verify);
	put_ms(o, "start", b->start);
	put_ms(o, "smoke", b->smoke);
	put_ms(o, "hold", b->hold);
	return o;
}

struct jval *site_cutover_json(const struct site_cutover *c)
{
	struct jval *o = jval_object(), *after = jval_array(), *one;
	char *times SCOPED(mem_freep) =
	    mem_format("%llu.%llux", (unsigned long long)(c->free_percent / 100),
		       (unsigned long long)(c->free_percent % 100 / 10));

	jval_put(o, "old", old_json(&c->old));
	if (c->alone.text != NULL)
		jval_put_text(o, "private", c->alone.text);
	put_ms(o, "lease", c->lease_ms);
	put_ms(o, "clock-skew", c->skew_ms);
	jval_put(o, "require-rehearsal", jval_bool(c->rehearsal == SITE_REHEARSAL_REQUIRED));
	jval_put_text(o, "printers",
		      c->printers == SITE_PRINTERS_REQUIRED ? "required" : "optional");
	jval_put_text(o, "free", times);
	jval_put(o, "budget", budget_json(&c->budget));
	put_commands(o, "announce", c->announce, c->announce_n);
	jval_put(o, "checks", checks_json(c));
	if (c->dns.run.n > 0)
		jval_put(o, "dns", act_json(&c->dns));
	for (size_t i = 0; i < c->after_n; i++) {
		one = act_json(&c->after[i]);
		jval_put_text(one, "name", c->after[i].name);
		jval_put_text(one, "on", site_on_word(c->after[i].on));
		jval_push(after, one);
	}
	jval_put(o, "after", after);
	return o;
}
