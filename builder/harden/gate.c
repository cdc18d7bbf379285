/* gate.c - the throw-away copy of a tree, and a run of one of its programs there. */
#include "harden/gate.h"

#include "base/log.h"
#include "form/unescape.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SAID_MAX = 1 << 16, TIMEOUT_MS = 60000, PROCESSES = 200 };

static const uint64_t memory_max = UINT64_C(1) << 30, file_max = UINT64_C(64) << 20;

void gate_copy_drop(struct gate_copy *c)
{
	struct err e = ERR_INIT;

	if (c->mounted && sandbox_unmount(c->root, &e) != 0)
		log_warn("leaves %s mounted: %s", c->root, e.msg);
	else if (c->dir != NULL && fs_rmtree(AT_FDCWD, c->dir, &e) != 0)
		log_warn("leaves %s behind: %s", c->dir, e.msg);
	free(c->dir);
	free(c->root);
	*c = (struct gate_copy){.g = c->g};
}

static int make_dir(const struct gate_copy *c, const char *name, char **ret, struct err *e)
{
	char *path SCOPED(mem_freep) = fs_join(c->dir, name);

	if (mkdir(path, 0755) != 0 || chmod(path, 0755) != 0)
		return err_sys(e, "make directory %s", path);
	*ret = STEAL(path);
	return 0;
}

static int open_copy(struct gate_copy *c, struct err *e)
{
	char *upper SCOPED(mem_freep) = NULL, *work SCOPED(mem_freep) = NULL;

	if (c->mounted)
		return 0;
	gate_copy_drop(c);
	c->dir = mem_format("%s/gate.%ld", c->g->scratch, (long)getpid());
	if (mkdir(c->dir, 0700) != 0)
		return err_sys(e, "make directory %s", c->dir);
	if (make_dir(c, "root", &c->root, e) != 0 || make_dir(c, "upper", &upper, e) != 0 ||
	    make_dir(c, "work", &work, e) != 0 ||
	    sandbox_overlay(c->g->lower, c->g->lower_n, upper, work, c->root, e) != 0)
		return -1;
	c->mounted = true;
	return 0;
}

static int clear(const struct gate_copy *c, const char *name, struct err *e)
{
	char *path SCOPED(mem_freep) = fs_join(c->dir, name);

	return fs_rmtree(AT_FDCWD, path, e);
}

/* Directories outside of the tree, which a program wants on a file system that is the run's own. */
struct binds {
	struct sandbox_bind *v;
	size_t n;
	struct strv from, to;
};

static void binds_release(struct binds *b)
{
	free(b->v);
	strv_release(&b->from);
	strv_release(&b->to);
}

static int make_binds(const struct gate *g, const struct gate_copy *c, struct binds *ret,
		      struct err *e)
{
	ret->v = mem_zalloc((g->directories.n + 1) * sizeof(*ret->v));
	for (; ret->n < g->directories.n; ret->n++) {
		char *name SCOPED(mem_freep) = mem_format("dir.%zu", ret->n);
		char *path = NULL;

		/* of an earlier run on the same copy */
		if (clear(c, name, e) != 0 || make_dir(c, name, &path, e) != 0)
			return -1;
		strv_take(&ret->from, path);
		strv_addf(&ret->to, "/%s", g->directories.v[ret->n]);
		ret->v[ret->n] =
		    (struct sandbox_bind){ret->from.v[ret->n], ret->to.v[ret->n], true};
	}
	return 0;
}

struct hearing {
	struct unescape state;
	struct buf *to;
	size_t taken;
	bool cut;
};

/* What is beyond the limit is not kept: nobody would read it. That there was more is. */
static int hear(void *ctx, const void *p, size_t n, struct err *e)
{
	struct hearing *h = ctx;

	(void)e;
	h->cut = h->cut || n > SAID_MAX - h->taken;
	n = n < SAID_MAX - h->taken ? n : SAID_MAX - h->taken;
	h->taken += n;
	unescape_add(&h->state, p, n, h->to);
	return 0;
}

int gate_run(const struct gate *g, const char *const *argv, struct gate_copy *c,
	     struct gate_outcome *ret, struct err *e)
{
	static const char *const env[] = {
	    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	    "HOME=/root",
	    "LC_ALL=C",
	    "TZ=UTC",
	    "TERM=dumb",
	    NULL};
	struct binds binds SCOPED(binds_release) = {0};
	struct hearing hearing = {.to = &ret->said};
	const struct sink out = {hear, &hearing};
	struct sandbox_spec spec = {.argv = argv,
				    .env = env,
				    .timeout_ms = TIMEOUT_MS,
				    .processes_max = PROCESSES,
				    .no_sync = true,
				    .input = g->input,
				    .net_admin = g->network,
				    .out = &out};

	ret->said = (struct buf)BUF_INIT(2 * SAID_MAX);
	if (open_copy(c, e) != 0 || make_binds(g, c, &binds, e) != 0)
		return -1;
	spec.root = c->root;
	spec.binds = binds.v;
	spec.binds_n = binds.n;
	spec.memory_max = memory_max;
	spec.file_max = spec.tmp_max = file_max;
	spec.input_len = g->input != NULL ? strlen(g->input) : 0;
	if (sandbox_run(&spec, &ret->end, e) != 0)
		return -1;
	ret->cut = hearing.cut;
	return 0;
}

void gate_outcome_release(struct gate_outcome *o)
{
	buf_release(&o->said);
}
