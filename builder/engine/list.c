/* list.c - all containers in one answer. */
#include "engine/parts.h"

#include "base/log.h"
#include <stdlib.h>
#include <string.h>

enum { ENTRIES_MAX = 10000 };

void engine_entries_release(struct engine_entries *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].name);
		jval_free(l->v[i].labels);
	}
	free(l->v);
	*l = (struct engine_entries){0};
}

static int by_name(const void *a, const void *b)
{
	const struct engine_entry *x = a, *y = b;

	return strcmp(x->name, y->name);
}

const struct engine_entry *engine_entry_find(const struct engine_entries *l, const char *name)
{
	const struct engine_entry key = {.name = (char *)(uintptr_t)name};

	return l->n > 0 ? bsearch(&key, l->v, l->n, sizeof(*l->v), by_name) : NULL;
}

/* {"Names":["/pos-123-dev-..."],"State":"running","Labels":{...}} */
static int read_entry(const struct jval *v, struct engine_entry *ret)
{
	const char *name = jval_str(jval_at(jval_get(v, "Names"), 0));
	const char *state = jval_get_str(v, "State");
	struct jval *labels = jval_get(v, "Labels");
	char *path SCOPED(mem_freep) = NULL;
	struct err quiet = ERR_INIT;

	if (name == NULL || state == NULL)
		return -1;
	name += name[0] == '/';
	if (engine_path(name, "", &path, &quiet) != 0)
		return -1;
	*ret = (struct engine_entry){.name = mem_strdup(name),
				     .running = strcmp(state, "running") == 0,
				     .restarting = strcmp(state, "restarting") == 0,
				     .paused = strcmp(state, "paused") == 0,
				     .labels = labels != NULL ? jval_ref(labels) : NULL};
	return 0;
}

int engine_read_list(const struct jval *v, struct engine_entries *ret, struct err *e)
{
	struct engine_entries l SCOPED(engine_entries_release) = {0};
	size_t n = jval_len(v);

	if (!jval_is_array(v) || n > ENTRIES_MAX)
		return err_set(e, ERR_REMOTE, "the engine does not say which containers it has");
	l.v = mem_zalloc((n + 1) * sizeof(*l.v));
	for (size_t i = 0; i < n; i++) {
		if (read_entry(jval_at(v, i), &l.v[l.n]) == 0)
			l.n++;
		else
			log_warn("the engine does not say what container %zu of its list is",
				 i + 1);
	}
	qsort(l.v, l.n, sizeof(*l.v), by_name);
	*ret = l;
	l = (struct engine_entries){0};
	return 0;
}

static int read_reply(const struct engine *en, const struct http_reply *r,
		      struct engine_entries *ret, struct err *e)
{
	struct jval *v SCOPED(jval_freep) = NULL;
	struct err why = ERR_INIT;

	if (r->status != 200)
		return engine_refused(en, r, "list containers", e);
	if (jval_parse(r->body.data, r->body.len, "list", &v, &why) != 0)
		return err_set(e, ERR_REMOTE,
			       "the engine at %s: list containers: no answer of an "
			       "engine",
			       en->socket);
	return engine_read_list(v, ret, e);
}

int engine_list(struct engine *en, const char *label, struct engine_entries *ret, struct err *e)
{
	struct jval *filters SCOPED(jval_freep) = jval_object(), *labels = jval_array();
	struct buf text SCOPED(buf_release) = BUF_INIT(4096);
	char *escaped SCOPED(mem_freep) = NULL;
	struct ask a = {.method = "GET"};
	struct http_request q = {0};
	struct http_reply r = {0};
	int rc;

	if (label != NULL)
		jval_push(labels, jval_text(label));
	jval_put(filters, "label", labels);
	jval_write(filters, &text);
	escaped = http_escape(text.data);
	/* podman's own list says the same in a third of the time */
	a.plain = en->about.podman;
	a.path = mem_format("%s/containers/json?all=true&filters=%s",
			    a.plain ? "/v4.0.0/libpod" : "", escaped);
	if (engine_ask(en, &a, &q, &r, e) != 0)
		return -1;
	rc = read_reply(en, &r, ret, e);
	http_reply_release(&r);
	return rc;
}
