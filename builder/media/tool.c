#include "media/tool.h"

#include "base/buf.h"
#include "base/strv.h"
#include "sandbox/sandbox.h"
#include "sys/fs.h"
#include "sys/proc.h"
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of what a tool says; the end of it is told. */
enum { SAID_MAX = 64 << 10, TOLD_MAX = 400 };

static int hear(void *ctx, const void *p, size_t n, struct err *e)
{
	struct buf *b = ctx;

	(void)e;
	if (b->len + n > SAID_MAX)
		buf_cut(b, 0);
	if (n <= SAID_MAX)
		buf_add(b, p, n);
	return 0;
}

static int make_root(const char *root, struct err *e)
{
	char *tree SCOPED(mem_freep) = fs_join(root, "tree");

	if (sandbox_machine_root(root, e) != 0)
		return -1;
	return mkdir(tree, 0755) != 0 ? err_sys(e, "make %s", tree) : 0;
}

/* What it said last, on one line without control characters. */
static char *told(const struct buf *said)
{
	size_t from = said->len > TOLD_MAX ? said->len - TOLD_MAX : 0;
	char *text = mem_strndup(said->data + from, said->len - from);
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text[i] <= ' ' || text[i] == 0x7f)
			text[i] = ' ';
	while (n > 0 && text[n - 1] == ' ')
		text[--n] = '\0';
	return text;
}

static int run(const struct tool *t, const char *root, struct buf *said, struct sandbox_result *r,
	       struct err *e)
{
	struct strv env SCOPED(strv_release) = {0};
	const struct sandbox_bind theirs[] = {{t->dest, "/run/to", true}};
	const struct sandbox_bind binds[] = {
	    {"/usr", "/usr", false}, {t->dest, "/to", true}, {t->tree, "/tree", false}};
	const struct sink out = {hear, said};
	struct sandbox_spec spec = {.root = root,
				    .read_only = t->root != NULL,
				    .binds = t->root != NULL ? theirs : binds,
				    .binds_n = t->root != NULL   ? 1
					       : t->tree != NULL ? 3
								 : 2,
				    .argv = t->argv,
				    .input = t->input,
				    .input_len = t->input != NULL ? strlen(t->input) : 0,
				    .no_sync = true,
				    .out = &out};

	strv_add(&env, "PATH=/usr/sbin:/usr/bin");
	strv_add(&env, "LC_ALL=C.UTF-8");
	strv_add(&env, "TZ=UTC");
	strv_add(&env, "HOME=/tmp");
	strv_addf(&env, "SOURCE_DATE_EPOCH=%lld", (long long)t->epoch);
	strv_addf(&env, "E2FSPROGS_FAKE_TIME=%lld", (long long)t->epoch);
	spec.env = (const char *const *)env.v;
	return sandbox_run(&spec, r, e);
}

static int judge(const struct tool *t, const struct sandbox_result *r, const struct buf *said,
		 struct err *e)
{
	char *text SCOPED(mem_freep) = told(said);

	if (r->status == 0)
		return 0;
	if (r->status < 0)
		return err_set(e, ERR_FAIL, "%s: killed by signal %d: %s", t->argv[0], r->signal,
			       text);
	return err_set(e, ERR_FAIL, "%s: exit %d: %s", t->argv[0], r->status, text);
}

static int run_theirs(const struct tool *t, struct err *e)
{
	struct buf said SCOPED(buf_release) = BUF_INIT(2 * SAID_MAX);
	struct sandbox_result r = {0};

	return run(t, t->root, &said, &r, e) != 0 ? -1 : judge(t, &r, &said, e);
}

int tool_run(const struct tool *t, struct err *e)
{
	char *root SCOPED(mem_freep) = mem_format("%s.root", t->dest);
	struct buf said SCOPED(buf_release) = BUF_INIT(2 * SAID_MAX);
	struct sandbox_result r = {0};
	struct err late = ERR_INIT;
	int rc;

	if (t->root != NULL)
		return run_theirs(t, e);
	if (!proc_has(t->argv[0])) {
		(void)err_set(e, ERR_FAIL, "there is no program %s", t->argv[0]);
		return err_hint(e, "Install the package %s.", t->package);
	}
	rc = make_root(root, e) != 0 ? -1 : run(t, root, &said, &r, e);
	if (fs_rmtree(AT_FDCWD, root, &late) != 0 && rc == 0) {
		*e = late;
		rc = -1;
	}
	return rc != 0 ? -1 : judge(t, &r, &said, e);
}
