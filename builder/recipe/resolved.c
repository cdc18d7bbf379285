#include "recipe/sections.h"

#include <string.h>

char *recipe_path(const struct recipe *r, const char *path)
{
	size_t n = strcmp(r->root, "/") == 0 ? 0 : strlen(r->root);
	const char *name = strrchr(path, '/');
	struct digest d;

	if (strncmp(path, r->root, n) == 0 && path[n] == '/' && path[n + 1] != '\0')
		return mem_strdup(path + n + 1);
	d = digest_of(path, strlen(path));
	return mem_format("outside/%.16s-%s", digest_hex(&d).s, name == NULL ? path : name + 1);
}

struct jval *recipe_path_json(const struct recipe *r, const char *path)
{
	char *name SCOPED(mem_freep) = recipe_path(r, path);

	return jval_text(name);
}

/* What a recipe may leave out but not leave empty. */
static void put_text(struct jval *o, const char *key, const char *s)
{
	if (s[0] != '\0')
		jval_put_text(o, key, s);
}

struct jval *recipe_list_json(const struct strv *l)
{
	struct jval *a = jval_array();

	for (size_t i = 0; i < l->n; i++)
		jval_push(a, jval_text(l->v[i]));
	return a;
}

static void put_list(struct jval *o, const char *key, const struct strv *l)
{
	if (l->n > 0)
		jval_put(o, key, recipe_list_json(l));
}

static void put_duration(struct jval *o, const char *key, uint64_t ms)
{
	char *text SCOPED(mem_freep) = mem_format("%llums", (unsigned long long)ms);

	jval_put_text(o, key, text);
}

static struct jval *packages_json(const struct recipe *r)
{
	struct jval *o = jval_object();

	jval_put(o, "install", recipe_list_json(&r->install));
	jval_put(o, "exclude", recipe_list_json(&r->exclude));
	jval_put(o, "remove", recipe_list_json(&r->remove));
	jval_put(o, "langs", recipe_list_json(&r->langs));
	jval_put(o, "docs", jval_bool(r->docs));
	jval_put(o, "recommends", jval_bool(r->recommends));
	return o;
}

static struct jval *overlays_json(const struct recipe *r)
{
	struct jval *a = jval_array();

	for (size_t i = 0; i < r->overlays_n; i++) {
		const struct recipe_overlay *ov = &r->overlays[i];
		char *owner SCOPED(mem_freep) = mem_format("%u:%u", ov->uid, ov->gid);
		struct jval *o = jval_object();

		jval_put(o, "from", recipe_path_json(r, ov->from));
		jval_put_text(o, "to", ov->to);
		jval_put_text(o, "owner", owner);
		jval_push(a, o);
	}
	return a;
}

static struct jval *groups_json(const struct recipe *r)
{
	struct jval *a = jval_array();

	for (size_t i = 0; i < r->groups_n; i++) {
		struct jval *o = jval_object();

		jval_put_text(o, "name", r->groups[i].name);
		jval_put_int(o, "gid", r->groups[i].gid);
		jval_push(a, o);
	}
	return a;
}

static struct jval *users_json(const struct recipe *r)
{
	struct jval *a = jval_array();

	for (size_t i = 0; i < r->users_n; i++) {
		const struct recipe_user *u = &r->users[i];
		struct jval *o = jval_object();

		jval_put_text(o, "name", u->name);
		jval_put_int(o, "uid", u->uid);
		jval_put(o, "groups", recipe_list_json(&u->groups));
		jval_put_text(o, "shell", u->shell);
		jval_put_text(o, "home", u->home);
		put_text(o, "gecos", u->gecos);
		jval_put_text(o, "password", "locked");
		jval_push(a, o);
	}
	return a;
}

static struct jval *services_json(const struct recipe *r)
{
	struct jval *o = jval_object();

	jval_put(o, "enable", recipe_list_json(&r->enable));
	jval_put(o, "disable", recipe_list_json(&r->disable));
	jval_put(o, "mask", recipe_list_json(&r->mask));
	return o;
}

static struct jval *ports_json(const struct recipe *r)
{
	struct jval *a = jval_array();

	for (size_t i = 0; i < r->ports_n; i++) {
		const struct recipe_port *p = &r->ports[i];
		const char *proto = p->udp ? "udp" : "tcp";
		char *text SCOPED(mem_freep) =
		    p->first == p->last ? mem_format("%u/%s", p->first, proto)
					: mem_format("%u-%u/%s", p->first, p->last, proto);

		jval_push(a, jval_text(text));
	}
	return a;
}

static void put_size(struct jval *o, const char *key, uint64_t n)
{
	if (n != 0)
		jval_put_int(o, key, (int64_t)n);
}

/* What a medium need not have. The name of a file outside the project is not what is left of its
 * path. */
static void medium_extras(const struct recipe_media *m, struct jval *o)
{
	const char *url = jval_get_str(o, "url"), *slash = strrchr(url, '/');
	const char *last = slash != NULL ? slash + 1 : url;
	struct jval *limits = jval_object();

	put_size(limits, "size", m->bytes_max);
	put_size(limits, "files", m->files_max);
	if (jval_len(limits) > 0)
		jval_put(o, "limits", jval_ref(limits));
	jval_free(limits);
	if (m->as_file)
		jval_put_text(o, "as", "file");
	if (m->inside.n > 0)
		jval_put(o, "inside", recipe_list_json(&m->inside));
	else if (strcmp(last, m->file) != 0)
		jval_put_text(o, "file", m->file);
}

static struct jval *media_json(const struct recipe *r)
{
	struct jval *all = jval_object();

	for (size_t i = 0; i < r->media_n; i++) {
		const struct recipe_media *m = &r->media[i];
		struct jval *o;

		if (m->is_base)
			continue;
		o = jval_object();
		jval_put(o, "url", m->is_file ? recipe_path_json(r, m->url) : jval_text(m->url));
		jval_put_text(o, "sha256", digest_hex(&m->digest).s);
		if (m->size != 0)
			jval_put_int(o, "size", (int64_t)m->size);
		medium_extras(m, o);
		jval_put(all, m->name, o);
	}
	return all;
}

static struct jval *network_json(const struct recipe_step *s)
{
	struct jval *o;

	if (!s->network)
		return jval_text("none");
	o = jval_object();
	jval_put_text(o, "proxy", "record");
	jval_put(o, "allow", recipe_list_json(&s->allow));
	return o;
}

/* What a step need not have: absent members leave the digests of recipes without them alone. */
static void step_extras(const struct recipe *r, const struct recipe_step *s, struct jval *o)
{
	struct jval *limits = jval_object(), *expects = recipe_expects_json(&s->expects);

	if (jval_len(expects) > 0)
		jval_put(o, "expects", jval_ref(expects));
	jval_free(expects);
	put_size(limits, "memory", s->limits.memory);
	put_size(limits, "processes", s->limits.processes);
	put_size(limits, "disk", s->limits.disk);
	put_size(limits, "file", s->limits.file);
	put_size(limits, "output", s->limits.output);
	if (jval_len(limits) > 0)
		jval_put(o, "limits", jval_ref(limits));
	jval_free(limits);
	if (s->secrets.n > 0)
		jval_put(o, "secrets", recipe_list_json(&s->secrets));
	if (s->answers != NULL)
		jval_put(o, "answers", recipe_path_json(r, s->answers));
}

static struct jval *steps_json(const struct recipe *r)
{
	struct jval *a = jval_array();

	for (size_t i = 0; i < r->steps_n; i++) {
		const struct recipe_step *s = &r->steps[i];
		struct jval *o = jval_object(), *mount = jval_object();

		for (size_t k = 0; k < s->mounts_n; k++)
			jval_put_text(mount, s->mounts[k].media, s->mounts[k].at);
		jval_put_text(o, "name", s->name);
		jval_put(o, "mount", mount);
		jval_put(o, "run", recipe_list_json(&s->run));
		jval_put(o, "network", network_json(s));
		jval_put(o, "writes", recipe_list_json(&s->writes));
		put_duration(o, "timeout", s->timeout_ms);
		jval_put(o, "capture", jval_bool(s->capture));
		step_extras(r, s, o);
		jval_push(a, o);
	}
	return a;
}

static struct jval *profiles_json(const struct recipe *r)
{
	struct jval *a = jval_array();

	for (size_t i = 0; i < r->profiles.n; i++) {
		const char *name = strrchr(r->profiles.v[i], '/') + 1;

		jval_push(a, jval_textn(name, strlen(name) - strlen(".yaml")));
	}
	return a;
}

static struct jval *allow_json(const struct recipe *r)
{
	struct jval *list = jval_array();

	for (size_t i = 0; i < r->allow_n; i++) {
		struct jval *one = jval_object();

		jval_put_text(one, "sha256", digest_hex(&r->allow[i].sha256).s);
		jval_put_text(one, "class", r->allow[i].cls);
		jval_put_text(one, "reason", r->allow[i].reason);
		if (r->allow[i].until != NULL)
			jval_put_text(one, "until", r->allow[i].until);
		jval_push(list, one);
	}
	return list;
}

static struct jval *hardening_json(const struct recipe *r)
{
	struct jval *o = jval_object(), *waivers = jval_array();

	for (size_t i = 0; i < r->waivers_n; i++) {
		const struct recipe_waiver *w = &r->waivers[i];
		struct jval *one = jval_object();

		jval_put_text(one, "control", w->control);
		jval_put_text(one, "reason", w->reason);
		jval_put_text(one, "by", w->by);
		jval_put_text(one, "until", w->until);
		jval_push(waivers, one);
	}
	/* what is not said is left out, or locks of before were stale */
	if (strcmp(r->target, "container") != 0)
		jval_put_text(o, "target", r->target);
	put_list(o, "units", &r->units);
	put_list(o, "data", &r->data);
	jval_put(o, "profiles", profiles_json(r));
	jval_put_text(o, "fail-on", r->fail_on);
	jval_put(o, "waivers", waivers);
	if (r->allow_n > 0)
		jval_put(o, "allow", allow_json(r));
	return o;
}

static struct jval *layers_json(const struct recipe *r)
{
	struct jval *o = jval_object(), *pins = jval_array();

	for (size_t i = 0; i < r->pins_n; i++) {
		struct jval *one = jval_object();

		jval_put_text(one, "name", r->pins[i].name);
		jval_put(one, "match", recipe_list_json(&r->pins[i].match));
		jval_push(pins, one);
	}
	jval_put_text(o, "plan", r->layer_plan);
	if (r->layer_budget != RECIPE_LAYER_BUDGET)
		jval_put_int(o, "budget", r->layer_budget); /* or locks of before were stale */
	jval_put(o, "pin", pins);
	jval_put_text(o, "compression", r->compression);
	return o;
}

static struct jval *tests_json(const struct recipe *r)
{
	struct jval *a = jval_array();

	for (size_t i = 0; i < r->tests_n; i++) {
		struct jval *o = jval_object();

		jval_put_text(o, "name", r->tests[i].name);
		jval_put(o, "run", recipe_list_json(&r->tests[i].run));
		if (r->tests[i].reads.n > 0)
			jval_put(o, "reads", recipe_list_json(&r->tests[i].reads));
		put_duration(o, "timeout", r->tests[i].timeout_ms);
		jval_push(a, o);
	}
	return a;
}

static struct jval *fixers_json(const struct recipe *r)
{
	struct jval *a = jval_array();

	for (size_t i = 0; i < r->fixers_n; i++) {
		struct jval *o = jval_object();

		jval_put_text(o, "name", r->fixers[i].name);
		jval_put(o, "run", recipe_list_json(&r->fixers[i].run));
		jval_push(a, o);
	}
	return a;
}

static struct jval *run_json(const struct recipe *r)
{
	struct jval *o = jval_object(), *env = jval_object();

	for (size_t i = 0; i < r->env.n; i++) {
		const char *equals = strchr(r->env.v[i], '=');
		char *name SCOPED(mem_freep) =
		    mem_strndup(r->env.v[i], (size_t)(equals - r->env.v[i]));

		jval_put_text(env, name, equals + 1);
	}
	put_list(o, "entrypoint", &r->entrypoint);
	put_list(o, "cmd", &r->cmd);
	jval_put(o, "env", env);
	jval_put(o, "volumes", recipe_list_json(&r->volumes));
	put_text(o, "user", r->user);
	put_text(o, "workdir", r->workdir);
	put_text(o, "stop-signal", r->stop_signal);
	if (r->read_only)
		jval_put(o, "read-only", jval_bool(true));
	return o;
}

struct jval *recipe_resolved(const struct recipe *r)
{
	struct jval *o = jval_object();

	jval_put_int(o, "posmedia", 1);
	jval_put_text(o, "name", r->name);
	jval_put_text(o, "version", r->version);
	jval_put(o, "base", recipe_base_json(r));
	jval_put(o, "packages", packages_json(r));
	jval_put(o, "overlays", overlays_json(r));
	jval_put(o, "groups", groups_json(r));
	jval_put(o, "users", users_json(r));
	jval_put(o, "services", services_json(r));
	jval_put(o, "start-order", recipe_list_json(&r->start_order));
	jval_put(o, "ports", ports_json(r));
	jval_put(o, "media", media_json(r));
	jval_put(o, "steps", steps_json(r));
	jval_put(o, "hardening", hardening_json(r));
	jval_put(o, "layers", layers_json(r));
	jval_put(o, "tests", tests_json(r));
	if (r->fixers_n > 0) { /* or locks of before were stale */
		struct jval *restore = jval_object();

		jval_put(restore, "fixers", fixers_json(r));
		jval_put(o, "restore", restore);
	}
	jval_put(o, "run", run_json(r));
	return o;
}
