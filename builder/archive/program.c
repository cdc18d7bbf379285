#include "archive/program.h"

#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int hear(void *ctx, const void *p, size_t n, struct err *e)
{
	struct buf *b = ctx;

	(void)e;
	if (b->len + n <= PROGRAM_SAID_MAX)
		buf_add(b, p, n);
	return 0;
}

/* Without what separates lines. */
static void one_line(struct buf *b)
{
	for (size_t i = 0; i < b->len; i++)
		if ((unsigned char)b->data[i] <= ' ')
			b->data[i] = ' ';
}

static int run(const struct program *p, const char *root, const char *medium, struct buf *said,
	       struct sandbox_result *r, struct err *e)
{
	static const char *const env[] = {"PATH=/usr/bin", "LC_ALL=C.UTF-8", "TZ=UTC", "HOME=/tmp",
					  NULL};
	const struct sandbox_bind binds[] = {
	    {"/usr", "/usr", false}, {medium, "/medium", false}, {p->dest, "/to", true}};
	const struct sink out = {hear, said};
	const struct sandbox_spec spec = {.root = root,
					  .binds = binds,
					  .binds_n = sizeof(binds) / sizeof(binds[0]),
					  .argv = p->argv,
					  .env = env,
					  .timeout_ms = p->timeout_ms,
					  .file_max = p->file_max,
					  .watch = p->watch,
					  .out = &out};

	if (sandbox_run(&spec, r, e) != 0)
		return -1;
	return r->timed_out ? err_set(e, ERR_RECIPE, "reading it does not end") : 0;
}

int program_run(const struct program *p, struct buf *said, int *ret_status, struct err *e)
{
	char *root SCOPED(mem_freep) = mem_format("%s.root", p->dest);
	char *link SCOPED(mem_freep) = mem_format("/proc/self/fd/%d", p->fd);
	char *medium SCOPED(mem_freep) = realpath(link, NULL);
	struct sandbox_result r = {0};
	struct err late = ERR_INIT;
	int rc;

	if (access(p->path, X_OK) != 0) {
		(void)err_set(e, ERR_FAIL, "it is %s", p->medium);
		return err_hint(e, "install the package %s, which reads it", p->package);
	}
	if (medium == NULL)
		return err_sys(e, "find the medium");
	rc = sandbox_machine_root(root, e) != 0 ? -1 : run(p, root, medium, said, &r, e);
	if (fs_rmtree(AT_FDCWD, root, &late) != 0 && rc == 0) {
		*e = late;
		rc = -1;
	}
	one_line(said);
	*ret_status = r.status;
	return rc;
}
