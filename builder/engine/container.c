/* container.c - containers: made, started, stopped, looked at. */
#include "engine/parts.h"

#include "sys/clock.h"
#include <stdlib.h>
#include <string.h>

void engine_state_release(struct engine_state *s)
{
	jval_free(s->labels);
	free(s->id);
	free(s->started);
	*s = (struct engine_state){0};
}

/* Asks about a container; the answer's status must be 2xx, 304 (as it is already), or `fine`. */
static int act(struct engine *en, const char *name, struct ask *a, int fine, struct err *e)
{
	struct http_request q = {0};
	struct http_reply r = {0};
	char *what SCOPED(mem_freep) = mem_format("%s %s", a->method, name);
	int rc;

	if (engine_ask(en, a, &q, &r, e) != 0)
		return -1;
	rc = r.status / 100 == 2 || r.status == 304 || r.status == fine
		 ? 0
		 : engine_refused(en, &r, what, e);
	http_reply_release(&r);
	return rc;
}

int engine_create(struct engine *en, const char *name, const struct jval *spec, struct err *e)
{
	struct ask a = {.method = "POST", .body = spec};
	struct http_request q = {0};
	struct http_reply r = {0};
	struct jval *v SCOPED(jval_freep) = NULL;
	char *path SCOPED(mem_freep) = NULL;
	int rc;

	if (engine_path(name, "", &path, e) != 0)
		return -1;
	a.path = mem_format("/containers/create?name=%s", name);
	if (engine_ask(en, &a, &q, &r, e) != 0)
		return -1;
	rc = engine_json(en, &r, "make a container", &v, e);
	/* podman says 500, and so in words only */
	if (rc != 0 && (r.status == 409 || strstr(e->msg, "already in use") != NULL))
		e->kind = ERR_BUSY;
	http_reply_release(&r);
	return rc;
}

static int plain(struct engine *en, const char *name, const char *what, struct err *e)
{
	struct ask a = {.method = "POST"};

	if (engine_path(name, what, &a.path, e) != 0)
		return -1;
	return act(en, name, &a, 0, e);
}

int engine_start(struct engine *en, const char *name, struct err *e)
{
	return plain(en, name, "/start", e);
}

int engine_stop(struct engine *en, const char *name, unsigned seconds, struct err *e)
{
	char *rest SCOPED(mem_freep) = mem_format("/stop?t=%u", seconds);
	struct ask a = {.method = "POST", .quiet_ms = (seconds + 30) * UINT64_C(1000)};

	if (engine_path(name, rest, &a.path, e) != 0)
		return -1;
	return act(en, name, &a, 404, e);
}

int engine_pause(struct engine *en, const char *name, struct err *e)
{
	return plain(en, name, "/pause", e);
}

int engine_go_on(struct engine *en, const char *name, struct err *e)
{
	return plain(en, name, "/unpause", e);
}

int engine_end_lost(struct engine *en, const char *name, struct err *e)
{
	struct ask a = {.method = "DELETE"};

	if (!en->about.podman)
		return engine_stop(en, name, 0, e);
	/* without a monitor nobody notes its end, and neither stop nor kill nor start is possible
	 */
	if (engine_path(name, "?v=true&force=true", &a.path, e) != 0)
		return -1;
	return act(en, name, &a, 404, e);
}

int engine_remove(struct engine *en, const char *name, struct err *e)
{
	struct ask a = {.method = "DELETE"};

	if (engine_path(name, "?v=true&force=false", &a.path, e) != 0)
		return -1;
	return act(en, name, &a, 404, e);
}

int engine_rename(struct engine *en, const char *from, const char *to, struct err *e)
{
	char *path SCOPED(mem_freep) = NULL, *rest SCOPED(mem_freep) = NULL;
	struct ask a = {.method = "POST"};

	if (engine_path(to, "", &path, e) != 0)
		return -1;
	rest = mem_format("/rename?name=%s", to);
	if (engine_path(from, rest, &a.path, e) != 0)
		return -1;
	return act(en, from, &a, 0, e);
}

static int number(const struct jval *v, const char *key, int64_t max, int *ret)
{
	int64_t n = 0;

	if (jval_get(v, key) != NULL && (jval_get_int(v, key, &n) != 0 || n < 0 || n > max))
		return -1;
	*ret = (int)n;
	return 0;
}

static enum engine_health health_of(const struct jval *state)
{
	const char *word = jval_get_str(jval_get(state, "Health"), "Status");

	if (word == NULL || word[0] == '\0' || strcmp(word, "none") == 0)
		return ENGINE_NO_CHECK;
	if (strcmp(word, "healthy") == 0)
		return ENGINE_HEALTHY;
	return strcmp(word, "starting") == 0 ? ENGINE_STARTING : ENGINE_UNHEALTHY;
}

/* Both engines write the year 1 for never. */
static int64_t time_of(const struct jval *state, const char *key)
{
	const char *text = jval_get_str(state, key);
	int64_t t = 0;

	return text != NULL && clock_parse(text, &t) == 0 && t > 0 ? t : 0;
}

int engine_read_state(const struct jval *v, struct engine_state *ret, struct err *e)
{
	const struct jval *state = jval_get(v, "State");
	const char *image = jval_get_str(v, "Image"), *id = jval_get_str(v, "Id");
	struct digest is;
	/* dockerd says Running of both */
	bool waits = jval_get_bool(state, "Restarting");
	struct engine_state s = {.there = true,
				 .running = !waits && jval_get_bool(state, "Running"),
				 .restarting = waits,
				 .paused = jval_get_bool(state, "Paused"),
				 .read_only =
				     jval_get_bool(jval_get(v, "HostConfig"), "ReadonlyRootfs")};

	if (state == NULL || image == NULL ||
	    (digest_parse(image, &s.image) != 0 && digest_parse_hex(image, &s.image) != 0) ||
	    number(state, "Pid", INT32_MAX, &s.pid) != 0 ||
	    number(state, "ExitCode", 255, &s.exit) != 0)
		return err_set(e, ERR_REMOTE, "the engine does not say what a container is");
	s.health = health_of(state);
	s.started_s = time_of(state, "StartedAt");
	s.finished_s = time_of(state, "FinishedAt");
	if (s.started_s != 0)
		s.started = mem_strdup(jval_get_str(state, "StartedAt"));
	if (id != NULL && digest_parse_hex(id, &is) == 0)
		s.id = mem_strdup(id);
	s.labels = jval_get(jval_get(v, "Config"), "Labels");
	if (s.labels != NULL)
		(void)jval_ref(s.labels);
	*ret = s;
	return 0;
}

int engine_inspect(struct engine *en, const char *name, struct jval **ret, struct err *e)
{
	struct ask a = {.method = "GET"};
	struct http_request q = {0};
	struct http_reply r = {0};
	int rc = 0;

	if (engine_path(name, "/json", &a.path, e) != 0 || engine_ask(en, &a, &q, &r, e) != 0)
		return -1;
	if (r.status == 404)
		*ret = NULL;
	else
		rc = engine_json(en, &r, "look at a container", ret, e);
	http_reply_release(&r);
	return rc;
}

int engine_state(struct engine *en, const char *name, struct engine_state *ret, struct err *e)
{
	struct jval *v SCOPED(jval_freep) = NULL;

	if (engine_inspect(en, name, &v, e) != 0)
		return -1;
	if (v != NULL)
		return engine_read_state(v, ret, e);
	*ret = (struct engine_state){0};
	return 0;
}

/* podman has its checks run by timers of the host's systemd; without one nobody runs them. */
static int run_check(struct engine *en, const char *name, struct err *e)
{
	struct ask a = {.method = "GET", .plain = true, .quiet_ms = 120000};
	char *path SCOPED(mem_freep) = NULL;

	if (engine_path(name, "/healthcheck", &path, e) != 0)
		return -1;
	a.path = mem_format("/v4.0.0/libpod%s", path);
	return act(en, name, &a, 409, e);
}

int engine_health(struct engine *en, const char *name, enum engine_health *ret, struct err *e)
{
	struct engine_state s SCOPED(engine_state_release) = {0};

	if (engine_state(en, name, &s, e) != 0)
		return -1;
	if (!s.there || !s.running)
		return err_set(e, ERR_BUSY, "%s is not running", name);
	*ret = s.health;
	if (!en->about.podman || s.health == ENGINE_NO_CHECK)
		return 0;
	engine_state_release(&s);
	if (run_check(en, name, e) != 0 || engine_state(en, name, &s, e) != 0)
		return -1;
	*ret = s.health;
	return 0;
}

int engine_put(struct engine *en, const char *name, const char *dir, const struct buf *tar,
	       struct err *e)
{
	char *escaped SCOPED(mem_freep) = http_escape(dir);
	char *rest SCOPED(mem_freep) = mem_format("/archive?path=%s", escaped);
	struct ask a = {.method = "PUT", .type = "application/x-tar"};
	struct http_request q = {.body_fd = -1, .body = tar->data, .body_size = tar->len};
	struct http_reply r = {0};
	int rc;

	if (engine_path(name, rest, &a.path, e) != 0 || engine_ask(en, &a, &q, &r, e) != 0)
		return -1;
	rc = r.status == 200 ? 0 : engine_refused(en, &r, "put files", e);
	http_reply_release(&r);
	return rc;
}
