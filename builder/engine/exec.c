/* exec.c - programs in a container. */
#include "engine/parts.h"

#include <stdlib.h>
#include <string.h>

int engine_frames(const char *p, size_t n, struct buf *out, struct err *e)
{
	while (n > 0) {
		const unsigned char *head = (const unsigned char *)p;
		size_t size, room;

		if (n < 8 || head[0] > 2 || head[1] != 0 || head[2] != 0 || head[3] != 0)
			return err_set(e, ERR_REMOTE, "what a program said came in broken frames");
		size =
		    (size_t)head[4] << 24 | (size_t)head[5] << 16 | (size_t)head[6] << 8 | head[7];
		if (size > n - 8)
			return err_set(e, ERR_REMOTE, "what a program said broke off");
		room = out->max - out->len;
		buf_add(out, p + 8, size < room ? size : room);
		p += 8 + size;
		n -= 8 + size;
	}
	return 0;
}

static int make(struct engine *en, const char *name, const struct strv *argv, char **ret_id,
		struct err *e)
{
	struct jval *body SCOPED(jval_freep) = jval_object(), *answer SCOPED(jval_freep) = NULL;
	struct jval *words = jval_array();
	struct ask a = {.method = "POST", .body = body};
	struct http_request q = {0};
	struct http_reply r = {0};
	const char *id;
	int rc;

	for (size_t i = 0; i < argv->n; i++)
		jval_push(words, jval_text(argv->v[i]));
	jval_put(body, "Cmd", words);
	jval_put(body, "AttachStdout", jval_bool(true));
	jval_put(body, "AttachStderr", jval_bool(true));
	if (engine_path(name, "/exec", &a.path, e) != 0 || engine_ask(en, &a, &q, &r, e) != 0)
		return -1;
	rc = engine_json(en, &r, "run a program", &answer, e);
	http_reply_release(&r);
	if (rc != 0)
		return -1;
	id = jval_get_str(answer, "Id");
	if (id == NULL || id[0] == '\0' || strlen(id) > 128 ||
	    id[strspn(id, "0123456789abcdef")] != '\0')
		return err_set(e, ERR_REMOTE, "the engine at %s: no id of a program", en->socket);
	*ret_id = mem_strdup(id);
	return 0;
}

static int follow(struct engine *en, const char *id, const struct engine_exec *x, struct err *e)
{
	struct jval *body SCOPED(jval_freep) = jval_object();
	struct ask a = {.method = "POST",
			.path = mem_format("/exec/%s/start", id),
			.body = body,
			.quiet_ms = x->quiet_ms};
	struct http_request q = {0};
	struct http_reply r = {0};
	int rc;

	jval_put(body, "Detach", jval_bool(false));
	jval_put(body, "Tty", jval_bool(false));
	if (engine_ask(en, &a, &q, &r, e) != 0)
		return -1;
	rc = r.status == 200 ? engine_frames(r.body.data, r.body.len, x->out, e)
			     : engine_refused(en, &r, "run a program", e);
	http_reply_release(&r);
	return rc;
}

int engine_run(struct engine *en, const char *name, const struct engine_exec *x, int *ret_status,
	       struct err *e)
{
	struct ask a = {.method = "GET"};
	struct http_request q = {0};
	struct http_reply r = {0};
	struct jval *v SCOPED(jval_freep) = NULL;
	char *id SCOPED(mem_freep) = NULL;
	int64_t status = -1;
	int rc;

	if (make(en, name, x->argv, &id, e) != 0 || follow(en, id, x, e) != 0)
		return -1;
	a.path = mem_format("/exec/%s/json", id);
	if (engine_ask(en, &a, &q, &r, e) != 0)
		return -1;
	rc = engine_json(en, &r, "the end of a program", &v, e);
	http_reply_release(&r);
	if (rc != 0)
		return -1;
	if (jval_get_int(v, "ExitCode", &status) != 0 || status < 0 || status > 255)
		return err_set(e, ERR_REMOTE, "the engine at %s: a program has not ended",
			       en->socket);
	*ret_status = (int)status;
	return 0;
}
