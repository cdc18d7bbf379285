#include "engine/parts.h"

#include "base/num.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { API_LEAST = 40, API_TODAY = 44, ANSWER_TRIES = 3, NAME_MAX_BYTES = 128 };

const char *engine_socket(void)
{
	static const char docker[] = "/run/docker.sock";

	return access(docker, F_OK) == 0 ? docker : "/run/podman/podman.sock";
}

void engine_free(struct engine *en)
{
	if (en == NULL)
		return;
	http_free(en->http);
	free(en->socket);
	free(en->about.version);
	free(en);
}

void engine_freep(struct engine **en)
{
	engine_free(*en);
	*en = NULL;
}

const struct engine_about *engine_about(const struct engine *en)
{
	return &en->about;
}

static void to_printable(char *s)
{
	for (; *s != '\0'; s++)
		if (*s < ' ' || *s > '~')
			*s = '?';
}

int engine_path(const char *name, const char *rest, char **ret, struct err *e)
{
	static const char first[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	size_t n =
	    strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");

	if (n < 2 || strchr(first, name[0]) == NULL || name[n] != '\0' || n > NAME_MAX_BYTES)
		return err_set(e, ERR_USAGE, "not the name of a container: \"%.100s\"", name);
	*ret = mem_format("/containers/%s%s", name, rest);
	return 0;
}

int engine_ask(struct engine *en, struct ask *a, struct http_request *q, struct http_reply *ret,
	       struct err *e)
{
	struct buf body SCOPED(buf_release) = BUF_INIT(1 << 20);
	char *path SCOPED(mem_freep) = STEAL(a->path);
	char *url SCOPED(mem_freep) =
	    a->plain ? mem_format("http://engine%s", path)
		     : mem_format("http://engine/v1.%u%s", en->about.api, path);
	int rc;

	q->method = a->method;
	q->url = url;
	q->unix_path = en->socket;
	q->via = en->http;
	q->as_is = true;
	q->tries = en->quiet_ms != 0 ? 1 : ANSWER_TRIES;
	q->stall_ms = en->quiet_ms != 0 && a->quiet_ms == 0 ? en->quiet_ms : a->quiet_ms;
	if (q->body_size == 0)
		q->body_fd = -1;
	if (a->body != NULL) {
		jval_write(a->body, &body);
		q->body = body.data;
		q->body_size = body.len;
		a->type = "application/json";
	}
	if (a->type != NULL)
		strv_addf(&q->headers, "Content-Type: %s", a->type);
	strv_add(&q->headers, "Expect:");
	rc = http_send(q, ret, e);
	strv_release(&q->headers);
	if (rc == 0)
		return 0;
	(void)err_in(e, "the engine at %s", en->socket);
	return err_hint(e, "is it running, and may you use its socket?");
}

int engine_refused(const struct engine *en, const struct http_reply *r, const char *what,
		   struct err *e)
{
	struct jval *v SCOPED(jval_freep) = NULL;
	struct err quiet = ERR_INIT;
	const char *said = NULL;
	char *shown SCOPED(mem_freep) = NULL;

	if (jval_parse(r->body.data, r->body.len, "answer", &v, &quiet) == 0)
		said = jval_get_str(v, "message");
	shown = mem_format("%.300s", said != NULL ? said : "no reason given");
	to_printable(shown);
	return err_set(e, ERR_REMOTE, "the engine at %s: %s: %d %s", en->socket, what, r->status,
		       shown);
}

int engine_json(const struct engine *en, const struct http_reply *r, const char *what,
		struct jval **ret, struct err *e)
{
	struct jval *v = NULL;
	struct err why = ERR_INIT;

	if (r->status != 200 && r->status != 201)
		return engine_refused(en, r, what, e);
	if (jval_parse(r->body.data, r->body.len, what, &v, &why) == 0 && jval_is_object(v)) {
		*ret = v;
		return 0;
	}
	jval_free(v);
	return err_set(e, ERR_REMOTE, "the engine at %s: %s: no answer of an engine", en->socket,
		       what);
}

/* "1.41" to 41. */
static int api_number(const char *text, unsigned *ret)
{
	uint64_t v;

	if (text == NULL || strncmp(text, "1.", 2) != 0 || num_u64(text + 2, 999, &v) != 0)
		return -1;
	*ret = (unsigned)v;
	return 0;
}

/* The answer to /_ping says it all in its headers; that to /version makes podman start programs. */
static int agree(struct engine *en, const struct http_reply *r, struct err *e)
{
	const char *libpod = http_header(r, "libpod-api-version");
	const char *server = libpod != NULL ? libpod : http_header(r, "server");
	unsigned best;

	if (r->status != 200)
		return engine_refused(en, r, "ping", e);
	if (api_number(http_header(r, "api-version"), &best) != 0)
		return err_set(e, ERR_REMOTE, "%s: who answers there is no container engine",
			       en->socket);
	en->about.version = mem_format("%.60s", server != NULL ? server : "unknown");
	to_printable(en->about.version);
	en->about.podman = libpod != NULL;
	/* engines of today do not go below 1.44 any more */
	en->about.api = best >= API_TODAY ? API_TODAY : best;
	if (best >= API_LEAST)
		return 0;
	(void)err_set(e, ERR_REMOTE, "the engine at %s speaks API 1.%u only", en->socket, best);
	return err_hint(e, "Docker 19.03, podman 4 or later are known to work");
}

int engine_open(const char *socket, struct engine **ret, struct err *e)
{
	return engine_open_within(socket, 0, ret, e);
}

int engine_open_within(const char *socket, uint64_t quiet_ms, struct engine **ret, struct err *e)
{
	struct engine *en SCOPED(engine_freep) = mem_zalloc(sizeof(*en));
	struct ask a = {.method = "GET", .path = mem_strdup("/_ping"), .plain = true};
	struct http_request q = {0};
	struct http_reply r = {0};
	int rc;

	en->socket = mem_strdup(socket);
	en->http = http_new();
	en->quiet_ms = quiet_ms;
	if (engine_ask(en, &a, &q, &r, e) != 0)
		return -1;
	rc = agree(en, &r, e);
	http_reply_release(&r);
	if (rc == 0)
		*ret = STEAL(en);
	return rc;
}
