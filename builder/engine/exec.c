/* exec.c - programs in a container. */
#include "engine/parts.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* What the engine says of a program in a container. */
static int look(struct engine *en, const char *id, struct jval **ret, struct err *e)
{
	struct ask a = {.method = "GET", .path = mem_format("/exec/%s/json", id)};
	struct http_request q = {0};
	struct http_reply r = {0};
	int rc;

	if (engine_ask(en, &a, &q, &r, e) != 0)
		return -1;
	rc = engine_json(en, &r, "the end of a program", ret, e);
	http_reply_release(&r);
	return rc;
}

static bool same_namespace(int pid, int other)
{
	char *one SCOPED(mem_freep) = mem_format("/proc/%d/ns/pid", pid);
	char *two SCOPED(mem_freep) = mem_format("/proc/%d/ns/pid", other);
	struct stat a, b, c;

	return stat(one, &a) == 0 && stat(two, &b) == 0 && stat("/proc/self/ns/pid", &c) == 0 &&
	       a.st_ino == b.st_ino && a.st_dev == b.st_dev && a.st_ino != c.st_ino;
}

/* Ends a program that hangs, with what it started in its group. The number is the engine's word:
 * it is held, and must be of the container's processes, and not their first. */
static void end(struct engine *en, const char *name, const char *id)
{
	struct engine_state s SCOPED(engine_state_release) = {0};
	struct jval *v SCOPED(jval_freep) = NULL;
	struct err quiet = ERR_INIT;
	int fd SCOPED(fd_closep) = -1;
	int64_t pid = 0;

	if (look(en, id, &v, &quiet) != 0 || jval_get_int(v, "Pid", &pid) != 0 || pid <= 1 ||
	    pid > INT32_MAX || !jval_get_bool(v, "Running"))
		return;
	fd = pidfd_open((pid_t)pid, 0);
	if (fd < 0 || engine_state(en, name, &s, &quiet) != 0 || s.pid <= 0 || s.pid == pid ||
	    !same_namespace((int)pid, s.pid))
		return;
	/* while it is held unreaped, its group's number is no other's */
	if (getpgid((pid_t)pid) == pid && pidfd_send_signal(fd, 0, NULL, 0) == 0)
		(void)kill(-(pid_t)pid, SIGKILL);
	(void)pidfd_send_signal(fd, SIGKILL, NULL, 0);
}

int engine_run(struct engine *en, const char *name, const struct engine_exec *x, int *ret_status,
	       struct err *e)
{
	struct jval *v SCOPED(jval_freep) = NULL;
	char *id SCOPED(mem_freep) = NULL;
	int64_t status = -1;

	if (make(en, name, x->argv, &id, e) != 0)
		return -1;
	if (follow(en, id, x, e) != 0) {
		end(en, name, id);
		return -1;
	}
	if (look(en, id, &v, e) != 0)
		return -1;
	if (jval_get_int(v, "ExitCode", &status) != 0 || status < 0 || status > 255)
		return err_set(e, ERR_REMOTE, "the engine at %s: a program has not ended",
			       en->socket);
	*ret_status = (int)status;
	return 0;
}
