#include "menu/act.h"

#include <string.h>

#define RUNTIME "--runtime="
#define ENGINE  "--engine="

const struct act acts[] = {
    {'s', "status", "how it is", ACT_SAFE},
    {'t', "start", "start it", ACT_SAFE},
    {'p', "stop", "stop it", ACT_ASK},
    {'g', "stage", "bring its image to run", ACT_PROD},
    {'b', "rollback", "back to the one before", ACT_ASK},
    {'v', "vpn", "write its tunnels", ACT_SAFE},
    {'l', "logs", "what it has said", ACT_SAFE},
    {'u', "audit", "check its controls", ACT_SAFE},
    {'x', "destroy", "archive and remove it", ACT_TWICE},
    {0, NULL, NULL, ACT_SAFE},
};

const struct act *act_find(int key)
{
	for (const struct act *a = acts; a->key != 0; a++)
		if (a->key == key)
			return a;
	return NULL;
}

int act_confirms(const struct act *a, const struct menu_row *r)
{
	switch (a->danger) {
	case ACT_SAFE:
		return 0;
	case ACT_PROD:
		return r->prod ? 1 : 0;
	case ACT_ASK:
		return 1;
	case ACT_TWICE:
		break;
	}
	return r->prod ? 2 : 1;
}

static bool is(const struct act *a, const char *verb)
{
	return strcmp(a->verb, verb) == 0;
}

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* What is audited is the container; the engine is asked by whoever does it, for it may not answer.
 */
static int audit_argv(const struct menu_row *r, const struct menu_opts *o, struct strv *ret,
		      struct err *e)
{
	if (*r->container == '\0')
		return err_set(e, ERR_BUSY, "it has no container: there is nothing to audit");
	strv_add(ret, "audit");
	if (*r->root != '\0')
		strv_addf(ret, "--profile=%s/recipes/profiles/pa-dss-3.2.yaml", r->root);
	for (size_t i = 0; i < o->engine.n; i++)
		if (begins(o->engine.v[i], ENGINE))
			strv_add(ret, o->engine.v[i]);
	strv_addf(ret, "instance:%s", r->container);
	return 0;
}

int act_argv(const struct act *a, const struct menu_row *r, const struct menu_opts *o,
	     struct strv *ret, struct err *e)
{
	strv_add(ret, o->program);
	if (is(a, "audit"))
		return audit_argv(r, o, ret, e);
	if (*r->site == '\0')
		return err_set(e, ERR_BUSY, "the file of this site is not known: name it to menu");
	strv_add(ret, is(a, "rollback") ? "stage" : a->verb);
	if (is(a, "rollback"))
		strv_add(ret, "--rollback");
	if (is(a, "destroy"))
		strv_addf(ret, "--confirm=%s", r->shop);
	if (is(a, "destroy") && r->prod)
		strv_add(ret, "--really");
	for (size_t i = 0; i < o->engine.n && !is(a, "vpn"); i++)
		if (!is(a, "logs") || !begins(o->engine.v[i], RUNTIME))
			strv_add(ret, o->engine.v[i]);
	strv_add(ret, "--");
	strv_add(ret, r->site);
	return 0;
}
