/* resolved.c - a site as canonical JSON: the file again, with all that it extends and all defaults,
 * so that two that mean the same are the same bytes. */
#include "site/parts.h"

#include <string.h>

static void put_text(struct jval *o, const char *key, const char *s)
{
	if (s != NULL)
		jval_put_text(o, key, s);
}

static void put_number(struct jval *o, const char *key, uint64_t v)
{
	if (v != 0)
		jval_put_int(o, key, (int64_t)v);
}

void site_put_list(struct jval *o, const char *key, const struct strv *l)
{
	struct jval *a = jval_array();

	for (size_t i = 0; i < l->n; i++)
		jval_push(a, jval_text(l->v[i]));
	if (l->n > 0)
		jval_put(o, key, a);
	else
		jval_free(a);
}

static struct jval *nets_json(const struct site_net *v, size_t n)
{
	struct jval *a = jval_array();

	for (size_t i = 0; i < n; i++)
		jval_push(a, jval_text(v[i].text));
	return a;
}

static void put_source(struct jval *o, const struct site_source *s)
{
	put_text(o, "file", s->file);
	put_text(o, "credential", s->credential);
	site_put_list(o, "command", &s->command);
}

static struct jval *image_json(const struct site *s)
{
	struct jval *o = jval_object();
	size_t n = strlen(s->root);
	const char *policy = s->image.policy;

	/* it must not matter where the project lies */
	if (strncmp(policy, s->root, n) == 0 && policy[n] == '/')
		policy += n + 1;
	jval_put_text(o, "reference", s->image.reference);
	jval_put_text(o, "policy", policy);
	return o;
}

static struct jval *network_json(const struct site_network *n)
{
	struct jval *o = jval_object(), *routes = jval_array();

	jval_put_text(o, "interface", n->interface);
	jval_put_text(o, "mode", site_mode_word(n->mode));
	jval_put_text(o, "address", n->address.text);
	put_text(o, "gateway", n->gateway);
	put_text(o, "mac", n->mac);
	site_put_list(o, "dns", &n->dns);
	for (size_t i = 0; i < n->routes_n; i++) {
		struct jval *r = jval_object();

		jval_put_text(r, "to", n->routes[i].to.text);
		put_text(r, "via", n->routes[i].via);
		jval_push(routes, r);
	}
	jval_put(o, "routes", routes);
	return o;
}

struct jval *site_data_json(const struct site_data *v, size_t n)
{
	struct jval *a = jval_array();

	for (size_t i = 0; i < n; i++) {
		struct jval *o = jval_object();

		jval_put_text(o, "name", v[i].name);
		jval_put_text(o, "at", v[i].at);
		jval_push(a, o);
	}
	return a;
}

static struct jval *printers_json(const struct site *s)
{
	struct jval *a = jval_array();

	for (size_t i = 0; i < s->printers_n; i++) {
		struct jval *o = jval_object();

		jval_put_text(o, "name", s->printers[i].name);
		jval_put_text(o, "uri", s->printers[i].uri);
		put_text(o, "model", s->printers[i].model);
		jval_push(a, o);
	}
	return a;
}

static struct jval *users_json(const struct site *s)
{
	struct jval *a = jval_array();

	for (size_t i = 0; i < s->users_n; i++) {
		struct jval *o = jval_object();

		jval_put_text(o, "name", s->users[i].name);
		put_number(o, "uid", s->users[i].uid);
		site_put_list(o, "groups", &s->users[i].groups);
		site_put_list(o, "keys", &s->users[i].keys);
		jval_push(a, o);
	}
	return a;
}

static struct jval *secrets_json(const struct site *s)
{
	struct jval *a = jval_array();

	for (size_t i = 0; i < s->secrets_n; i++) {
		struct jval *o = jval_object();

		jval_put_text(o, "name", s->secrets[i].name);
		put_source(o, &s->secrets[i].from);
		jval_push(a, o);
	}
	return a;
}

static struct jval *vpn_json(const struct site_vpn *v)
{
	struct jval *o = jval_object(), *peers = jval_array();

	put_text(o, "address", v->address);
	jval_put_text(o, "id", v->id);
	jval_put(o, "networks", nets_json(v->networks, v->networks_n));
	for (size_t i = 0; i < v->peers_n; i++) {
		const struct site_peer *p = &v->peers[i];
		struct jval *one = jval_object();

		jval_put_text(one, "name", p->name);
		put_text(one, "address", p->address);
		jval_put_text(one, "id", p->id);
		jval_put(one, "networks", nets_json(p->networks, p->networks_n));
		jval_put_text(one, "secret", p->secret);
		jval_put_int(one, "ike", p->ike);
		jval_put(one, "wait", jval_bool(p->wait));
		jval_push(peers, one);
	}
	jval_put(o, "peers", peers);
	return o;
}

static struct jval *health_json(const struct site *s)
{
	struct jval *a = jval_array();

	for (size_t i = 0; i < s->health_n; i++) {
		const struct site_health *h = &s->health[i];
		struct jval *o = jval_object();
		char *within SCOPED(mem_freep) =
		    mem_format("%llums", (unsigned long long)h->within_ms);

		jval_put_text(o, "name", h->name);
		site_put_list(o, "run", &h->run);
		put_number(o, "tcp", h->tcp);
		jval_put_text(o, "within", within);
		jval_push(a, o);
	}
	return a;
}

static struct jval *limits_json(const struct site_limits *l)
{
	struct jval *o = jval_object();
	char *cpus SCOPED(mem_freep) =
	    mem_format("%llu.%llu", (unsigned long long)(l->cpu_milli / 1000),
		       (unsigned long long)(l->cpu_milli % 1000 / 100));

	put_number(o, "memory", l->memory);
	if (l->cpu_milli != 0)
		jval_put_text(o, "cpus", cpus);
	put_number(o, "processes", l->processes);
	put_number(o, "files", l->files);
	return o;
}

struct jval *site_resolved(const struct site *s)
{
	struct jval *o = jval_object(), *one;

	jval_put_int(o, "posmedia", 1);
	jval_put_text(o, "shop", s->shop);
	jval_put_text(o, "environment", site_env_word(s->env));
	jval_put(o, "image", image_json(s));
	jval_put_text(o, "hostname", s->hostname);
	if (s->network.interface != NULL)
		jval_put(o, "network", network_json(&s->network));
	jval_put(o, "data", site_data_json(s->data, s->data_n));
	jval_put(o, "printers", printers_json(s));
	jval_put(o, "users", users_json(s));
	site_put_list(o, "keep", &s->keep);
	if (s->licence.at != NULL) {
		one = jval_object();
		jval_put_text(one, "at", s->licence.at);
		put_source(one, &s->licence.from);
		jval_put(o, "licence", one);
	}
	jval_put(o, "secrets", secrets_json(s));
	if (s->vpn.id != NULL)
		jval_put(o, "vpn", vpn_json(&s->vpn));
	if (s->backup.from != NULL) {
		one = jval_object();
		jval_put_text(one, "from", s->backup.from);
		put_text(one, "secret", s->backup.secret);
		put_text(one, "known_hosts", s->backup.known_hosts);
		if (s->backup.keys.n > 0)
			site_put_list(one, "keys", &s->backup.keys);
		jval_put(o, "backup", one);
	}
	jval_put(o, "health", health_json(s));
	jval_put(o, "limits", limits_json(&s->limits));
	if (s->cutover.old.host != NULL)
		jval_put(o, "cutover", site_cutover_json(&s->cutover));
	if (s->shared)
		jval_put(o, "shared", jval_bool(true));
	return o;
}
