/* get.c - files out of a container, as one tar. */
#include "engine/parts.h"

#include "sys/fs.h"
#include <string.h>

struct incoming {
	int fd;
	uint64_t left;
};

static int to_file(void *ctx, const void *p, size_t n, struct err *e)
{
	struct incoming *in = ctx;

	if (n > in->left)
		return err_set(e, ERR_REMOTE, "there is more than fits");
	in->left -= n;
	return fs_write_all(in->fd, p, n, e);
}

int engine_has_path(struct engine *en, const char *name, const char *path, bool *ret, struct err *e)
{
	char *escaped SCOPED(mem_freep) = http_escape(path);
	char *rest SCOPED(mem_freep) = mem_format("/archive?path=%s", escaped);
	struct ask a = {.method = "HEAD"};
	struct http_request q = {0};
	struct http_reply r = {0};
	int rc;

	if (engine_path(name, rest, &a.path, e) != 0)
		return -1;
	if (engine_ask(en, &a, &q, &r, e) != 0)
		return err_in(e, "%s of %s", path, name);
	*ret = r.status == 200;
	rc = r.status == 200 || r.status == 404 ? 0 : engine_refused(en, &r, "look at files", e);
	http_reply_release(&r);
	return rc;
}

/* dockerd answers the same where there is no such file and where the container's mounts cannot be
 * made, because one of their sources is gone: then there is no "/" either. */
static int check_absent(struct engine *en, const char *name, struct err *e)
{
	struct jval *v SCOPED(jval_freep) = NULL;
	bool there = false;

	if (engine_has_path(en, name, "/", &there, e) != 0)
		return -1;
	if (there)
		return 0;
	if (engine_inspect(en, name, &v, e) != 0)
		return -1;
	return v == NULL ? 0
			 : err_set(e, ERR_REMOTE,
				   "%s: the engine does not show its files: something of the host "
				   "that is mounted in it is gone",
				   name);
}

int engine_get(struct engine *en, const char *name, const struct engine_files *f, bool *ret_there,
	       struct err *e)
{
	char *escaped SCOPED(mem_freep) = http_escape(f->path);
	char *rest SCOPED(mem_freep) = mem_format("/archive?path=%s", escaped);
	struct incoming in = {f->to, f->bytes_max};
	const struct sink to = {to_file, &in};
	struct ask a = {.method = "GET"};
	struct http_request q = {.to = &to};
	struct http_reply r = {0};
	bool there;
	int rc;

	if (engine_path(name, rest, &a.path, e) != 0)
		return -1;
	if (engine_ask(en, &a, &q, &r, e) != 0)
		return err_in(e, "%s of %s", f->path, name);
	there = r.status != 404;
	rc = r.status == 200 || r.status == 404 ? 0 : engine_refused(en, &r, "get files", e);
	http_reply_release(&r);
	if (rc != 0 || (!there && check_absent(en, name, e) != 0))
		return -1;
	*ret_there = there;
	return 0;
}

static int ask_libpod(struct engine *en, const char *name, const char *verb, struct http_reply *ret,
		      struct err *e)
{
	struct ask a = {.method = "POST", .plain = true};
	struct http_request q = {0};
	char *path SCOPED(mem_freep) = NULL;

	if (engine_path(name, verb, &path, e) != 0)
		return -1;
	a.path = mem_format("/v4.0.0/libpod%s", path);
	return engine_ask(en, &a, &q, ret, e);
}

int engine_mount(struct engine *en, const char *name, char **ret, struct err *e)
{
	struct http_reply r = {0};
	int rc = 0;

	if (!en->about.podman) {
		*ret = NULL;
		return 0;
	}
	if (ask_libpod(en, name, "/mount", &r, e) != 0)
		return -1;
	/* a path, bare, and a newline */
	if (r.status != 200 || r.body.data[0] != '/')
		rc = engine_refused(en, &r, "show the files of a container", e);
	else
		*ret = mem_strndup(r.body.data, strcspn(r.body.data, "\n"));
	http_reply_release(&r);
	return rc;
}

int engine_unmount(struct engine *en, const char *name, struct err *e)
{
	struct http_reply r = {0};
	int rc;

	if (!en->about.podman)
		return 0;
	if (ask_libpod(en, name, "/unmount", &r, e) != 0)
		return -1;
	rc = r.status / 100 == 2 ? 0 : engine_refused(en, &r, "unmount a container", e);
	http_reply_release(&r);
	return rc;
}
