/* tunnels.c - which tunnels are up: charon knows, and only it. */
#include "stage/look.h"

#include "site/vpn.h"
#include "sys/proc.h"
#include <stdlib.h>
#include <string.h>

enum { SAID_MAX = 4 << 20, ASK_MS = 3000 };

static bool begins(const char *p, const char *with)
{
	return strncmp(p, with, strlen(with)) == 0;
}

/* While keys are changed, what is there still works. */
static bool any_state(const char *text, const char *const *states)
{
	for (; *states != NULL; states++) {
		char *word SCOPED(mem_freep) = mem_format(" state=%s ", *states);

		if (strstr(text, word) != NULL)
			return true;
	}
	return false;
}

/* "list-sa event {NAME {uniqueid=1 version=2 state=ESTABLISHED ... child-sas {net-1 {...
 * state=INSTALLED ...}}}}". The name and the first state come before anything that the other end
 * chooses; what is ESTABLISHED has proven who it is, and has the identity of the configuration. */
static void read_sa(const char *line, struct strv *ret)
{
	static const char head[] = "list-sa event {";
	static const char *const up[] = {"INSTALLED", "UPDATING", "REKEYING", NULL};
	const char *name = line + sizeof(head) - 1, *end, *state, *children;

	if (!begins(line, head))
		return;
	end = strstr(name, " {");
	state = end != NULL ? strstr(end, " state=") : NULL;
	if (state == NULL ||
	    (!begins(state, " state=ESTABLISHED ") && !begins(state, " state=REKEYING ")))
		return;
	children = strstr(state, "child-sas {");
	if (children != NULL && any_state(children, up))
		strv_take(ret, mem_strndup(name, (size_t)(end - name)));
}

void look_read_sas(const char *text, struct strv *ret)
{
	char *copy SCOPED(mem_freep) = mem_strdup(text), *rest = copy, *line;

	while ((line = strsep(&rest, "\n")) != NULL)
		read_sa(line, ret);
}

static void ask(struct look *l)
{
	struct buf said SCOPED(buf_release) = BUF_INIT(SAID_MAX);
	struct strv argv SCOPED(strv_release) = {0};
	struct proc_result r = {0};
	struct err quiet = ERR_INIT;

	l->sas_asked = true;
	strv_add(&argv, "swanctl");
	strv_add(&argv, "--list-sas");
	strv_add(&argv, "--raw");
	if (l->o->vici != NULL) {
		strv_add(&argv, "--uri");
		strv_add(&argv, l->o->vici);
	}
	const struct proc_spec spec = {
	    .argv = (const char *const *)argv.v, .out = &said, .timeout_ms = ASK_MS};

	if (proc_run(&spec, &r, &quiet) != 0 || r.timed_out || r.status != 0 || buf_over(&said))
		return;
	l->sas_known = true;
	look_read_sas(said.data, &l->sas);
}

void look_tunnels(struct look *l, const struct site *s, struct jval *v)
{
	struct jval *list;

	if (s->vpn.peers_n == 0)
		return;
	if (!l->sas_asked)
		ask(l);
	list = jval_array();
	for (size_t i = 0; i < s->vpn.peers_n; i++) {
		char *name SCOPED(mem_freep) = vpn_name(s, &s->vpn.peers[i]);
		struct jval *one = jval_object();
		bool up = strv_has(&l->sas, name);

		jval_put_text(one, "peer", s->vpn.peers[i].name);
		jval_put(one, "up", l->sas_known ? jval_bool(up) : jval_null());
		jval_push(list, one);
		if (l->sas_known && !up)
			look_trouble(l, v, "the tunnel to %s is down", s->vpn.peers[i].name);
	}
	if (!l->sas_known)
		look_trouble(l, v, "its tunnels are not known: charon does not answer");
	jval_put(v, "tunnels", list);
}
