#include "archive/udf.h"

#include "archive/extract.h"
#include "archive/program.h"
#include "sys/fs.h"
#include "sys/intr.h"
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECTOR = 2048, RECOGNITION = 16 * SECTOR };

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

int udf_unpack(int fd, const char *dest, const struct unpack_opts *o, struct err *e)
{
	static const char *const argv[] = {"/usr/bin/7zz", "x",       "-tudf", "-y",
					   "-bso0",        "-bsp0",   "-mmt1", "-o/to",
					   "--",           "/medium", NULL};
	struct buf said SCOPED(buf_release) = BUF_INIT(PROGRAM_SAID_MAX);
	struct tree t = {.dest = dest, .o = o};
	const struct sandbox_watch watch = {look, &t};
	const struct program p = {.path = argv[0],
				  .package = "7zip",
				  .medium = "a disc of UDF without ISO 9660",
				  .argv = argv,
				  .fd = fd,
				  .dest = dest,
				  .file_max = o->bytes_max + 1,
				  .timeout_ms = o->timeout_ms,
				  .watch = &watch};
	int status = 0;

	if (program_run(&p, &said, &status, e) != 0)
		return -1;
	t.finish = status == 0;
	/* a file that may not grow any more looks to it like a bad disc */
	if (walk(&t, e) != 0)
		return -1;
	if (status == 0)
		return 0;
	(void)err_set(e, ERR_RECIPE, "the disc is damaged: %.200s", said.data);
	return err_hint(e, "as: file shows it to the step as it is");
}
