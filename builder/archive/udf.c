#include "archive/udf.h"

#include "archive/extract.h"
#include "sandbox/sandbox.h"
#include "sys/fs.h"
#include "sys/intr.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECTOR = 2048, RECOGNITION = 16 * SECTOR, SAID_MAX = 2000 };

#define PROGRAM "/usr/bin/7zz"

/* ECMA-167, 2/8.3.1 and 2/9.2: an extended area comes first where there is no ISO 9660. */
bool udf_is(int fd)
{
	char id[5];

	return pread(fd, id, sizeof(id), RECOGNITION + 1) == (ssize_t)sizeof(id) &&
	       memcmp(id, "BEA01", sizeof(id)) == 0;
}

/* What has come so far; the same at the end, with the entries put right. */
struct tree {
	const char *dest;
	const struct unpack_opts *o;
	uint64_t entries, bytes;
	bool finish;
};

static int check_name(const struct fs_entry *en, struct err *e)
{
	for (const char *c = en->name; *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			return err_set(e, ERR_RECIPE, "a name with control characters");
	if (S_ISDIR(en->st.st_mode) || S_ISREG(en->st.st_mode))
		return 0;
	return err_set(e, ERR_RECIPE, "%.200s is neither file nor directory", en->path);
}

static int see(void *ctx, const struct fs_entry *en, struct err *e)
{
	struct tree *t = ctx;

	t->entries++;
	t->bytes += S_ISREG(en->st.st_mode) ? (uint64_t)en->st.st_size : 0;
	if (t->entries > t->o->entries_max) {
		(void)err_set(e, ERR_RECIPE, "more than %llu entries",
			      (unsigned long long)t->o->entries_max);
		return err_hint(e, EXTRACT_RAISE, "files");
	}
	if (t->bytes > t->o->bytes_max) {
		(void)err_set(e, ERR_RECIPE, "more than %llu bytes",
			      (unsigned long long)t->o->bytes_max);
		return err_hint(e, EXTRACT_RAISE, "size");
	}
	if (!t->finish)
		return 0;
	if (check_name(en, e) != 0)
		return -1;
	return fchmodat(en->parent_fd, en->name, 0555, 0) == 0 ? 0 : err_sys(e, "%s", en->path);
}

static int walk(struct tree *t, struct err *e)
{
	int fd SCOPED(fd_closep) = -1;

	t->entries = t->bytes = 0;
	return fs_open_dir(AT_FDCWD, t->dest, &fd, e) == 0 ? fs_walk(fd, see, t, e) : -1;
}

/* While it is read. What vanishes meanwhile was a file of the program's own. */
static int look(void *ctx, pid_t init, struct buf *type, struct err *e)
{
	struct err why = ERR_INIT;

	(void)init;
	(void)type;
	if (intr_pending())
		return intr_err(e);
	if (walk(ctx, &why) == 0 || why.kind != ERR_RECIPE)
		return 0;
	*e = why;
	return -1;
}

static int hear(void *ctx, const void *p, size_t n, struct err *e)
{
	struct buf *b = ctx;

	(void)e;
	if (b->len + n <= SAID_MAX)
		buf_add(b, p, n);
	return 0;
}

/* Without what separates lines. */
static const char *one_line(struct buf *b)
{
	for (size_t i = 0; i < b->len; i++)
		if ((unsigned char)b->data[i] <= ' ')
			b->data[i] = ' ';
	return b->data + strspn(b->data, " ");
}

/* A root with the machine's programs and libraries, and nothing else of it. */
static int make_root(const char *root, struct err *e)
{
	static const char *const links[][2] = {
	    {"usr/bin", "bin"}, {"usr/lib", "lib"}, {"usr/lib64", "lib64"}};
	static const char *const dirs[] = {"", "/usr", "/proc", "/dev", "/tmp", "/run", "/to"};

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		char *path SCOPED(mem_freep) = mem_format("%s%s", root, dirs[i]);

		if (mkdir(path, 0755) != 0)
			return err_sys(e, "make %s", path);
	}
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		char *path SCOPED(mem_freep) = fs_join(root, links[i][1]);

		if (symlink(links[i][0], path) != 0)
			return err_sys(e, "make %s", path);
	}
	return 0;
}

static int run(struct tree *t, const char *root, const char *disc, struct err *e)
{
	static const char *const argv[] = {PROGRAM, "x",     "-tudf", "-y",    "-bso0", "-bsp0",
					   "-mmt1", "-o/to", "--",    "/disc", NULL};
	static const char *const env[] = {"PATH=/usr/bin", "LC_ALL=C.UTF-8", "TZ=UTC", "HOME=/tmp",
					  NULL};
	const struct sandbox_bind binds[] = {
	    {"/usr", "/usr", false}, {disc, "/disc", false}, {t->dest, "/to", true}};
	const struct sandbox_watch watch = {look, t};
	struct buf said SCOPED(buf_release) = BUF_INIT(SAID_MAX + 1);
	const struct sink out = {hear, &said};
	struct sandbox_spec spec = {.root = root,
				    .binds = binds,
				    .binds_n = sizeof(binds) / sizeof(binds[0]),
				    .argv = argv,
				    .env = env,
				    .timeout_ms = t->o->timeout_ms,
				    .file_max = t->o->bytes_max + 1,
				    .watch = &watch,
				    .out = &out};
	struct sandbox_result r = {0};

	if (sandbox_run(&spec, &r, e) != 0)
		return -1;
	if (r.timed_out)
		return err_set(e, ERR_RECIPE, "reading it does not end");
	/* a file that may not grow any more looks to it like a bad disc */
	if (r.status == 0 || walk(t, e) != 0)
		return r.status == 0 ? 0 : -1;
	(void)err_set(e, ERR_RECIPE, "the disc is damaged: %.200s", one_line(&said));
	return err_hint(e, "as: file shows it to the step as it is");
}

int udf_unpack(int fd, const char *dest, const struct unpack_opts *o, struct err *e)
{
	char *root SCOPED(mem_freep) = mem_format("%s.udf", dest);
	char *disc SCOPED(mem_freep) = mem_format("/proc/self/fd/%d", fd);
	char *from SCOPED(mem_freep) = realpath(disc, NULL);
	struct tree t = {.dest = dest, .o = o};
	struct err late = ERR_INIT;
	int rc;

	if (access(PROGRAM, X_OK) != 0) {
		(void)err_set(e, ERR_FAIL, "it is a disc of UDF without ISO 9660");
		return err_hint(e, "install the package 7zip, which reads it");
	}
	if (from == NULL)
		return err_sys(e, "find the medium");
	rc = make_root(root, e) != 0 ? -1 : run(&t, root, from, e);
	if (fs_rmtree(AT_FDCWD, root, &late) != 0 && rc == 0) {
		*e = late;
		rc = -1;
	}
	t.finish = true;
	return rc == 0 ? walk(&t, e) : -1;
}
