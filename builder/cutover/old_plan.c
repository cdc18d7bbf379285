/* old_plan.c - a plan as the agent reads it. */
#include "cutover/parts.h"

#include <string.h>

static struct jval *texts(const struct strv *l)
{
	struct jval *a = jval_array();

	for (size_t i = 0; i < l->n; i++)
		jval_push(a, jval_text(l->v[i]));
	return a;
}

static struct jval *commands(const struct site_command *v, size_t n)
{
	struct jval *a = jval_array();

	for (size_t i = 0; i < n; i++) {
		struct jval *o = jval_object();

		jval_put(o, "run", texts(&v[i].run));
		jval_put_int(o, "within", (int64_t)((v[i].within_ms + 999) / 1000));
		jval_put(o, "may_fail", jval_bool(v[i].may_fail));
		jval_push(a, o);
	}
	return a;
}

struct jval *old_plan_json(const struct site_old *p)
{
	struct jval *o = jval_object(), *data = jval_array(), *ports = jval_array();

	for (size_t i = 0; i < p->data_n; i++)
		jval_push(data, jval_text(p->data[i].at));
	for (size_t i = 0; i < p->ports_n; i++)
		jval_push(ports, jval_int(p->ports[i]));
	jval_put(o, "data", data);
	jval_put(o, "ports", ports);
	jval_put(o, "services", texts(&p->services));
	jval_put(o, "stop", commands(p->stop, p->stop_n));
	jval_put(o, "start", commands(p->start, p->start_n));
	jval_put_text(o, "holders", p->holders == SITE_HOLDERS_KILL ? "kill" : "report");
	if (p->interface != NULL) {
		struct jval *a = jval_object();

		jval_put_text(a, "interface", p->interface);
		jval_put(a, "address", jval_textn(p->taken.text, strcspn(p->taken.text, "/")));
		jval_put(o, "address", a);
	}
	return o;
}

struct jval *old_data_json(const struct site_old *p, const struct strv *exclude)
{
	struct jval *list = jval_array();

	for (size_t i = 0; i < p->data_n; i++) {
		struct jval *o = jval_object();

		jval_put_text(o, "at", p->data[i].at);
		if (exclude != NULL)
			jval_put(o, "exclude", texts(exclude));
		jval_push(list, o);
	}
	return list;
}
