#include "build/job.h"

#include "sys/fs.h"
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

struct check {
	const struct recipe_step *st;
	const struct strv *trees;
	struct buf stray; /* the first few paths outside */
	size_t n;
};

static bool below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	while (n > 1 && dir[n - 1] == '/')
		n--;
	return n == 1 ||
	       (strncmp(path, dir + 1, n - 1) == 0 && (path[n - 1] == '/' || path[n - 1] == '\0'));
}

static bool declared(const struct check *c, const char *path)
{
	/* the sandbox's own mount points are no change */
	static const char *const own[] = {"/tmp", "/run", "/dev", "/proc"};

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (below(path, own[i]))
			return true;
	for (size_t i = 0; i < c->st->writes.n; i++)
		if (below(path, c->st->writes.v[i]))
			return true;
	return false;
}

/* A directory that is only in the overlay because something below it changed. */
static bool same_directory(const struct check *c, const struct fs_entry *en)
{
	for (size_t i = c->trees->n; i-- > 0;) {
		char *path SCOPED(mem_freep) = fs_join(c->trees->v[i], en->path);
		struct stat st;

		if (lstat(path, &st) != 0)
			continue;
		return S_ISDIR(st.st_mode) && st.st_mode == en->st.st_mode &&
		       st.st_uid == en->st.st_uid && st.st_gid == en->st.st_gid;
	}
	return false;
}

/* A directory that was removed and made again hides all that was in it. The kernel says so in an
 * attribute, of one name for root and of another in a user namespace. The other name says nothing:
 * a program may have set it. */
bool job_is_opaque(const struct fs_entry *en)
{
	char *path SCOPED(mem_freep) = mem_format("/proc/self/fd/%d/%s", en->parent_fd, en->name);
	char mark[2];

	return lgetxattr(path, sandbox_opaque_mark(), mark, sizeof(mark)) == 1 && mark[0] == 'y';
}

static int look(void *ctx, const struct fs_entry *en, struct err *e)
{
	struct check *c = ctx;

	(void)e;
	if (declared(c, en->path) ||
	    (S_ISDIR(en->st.st_mode) && same_directory(c, en) && !job_is_opaque(en)))
		return 0;
	if (c->n++ < 5)
		buf_addf(&c->stray, " /%s", en->path);
	return S_ISDIR(en->st.st_mode) ? 1 : 0;
}

int job_writes(const struct recipe_step *st, const char *upper, const struct strv *trees,
	       struct err *e)
{
	struct check c = {.st = st, .trees = trees, .stray = BUF_INIT(4096 * 6)};
	char *at SCOPED(mem_freep) = NULL;
	int fd SCOPED(fd_closep) = -1;
	int rc = 0;

	if (fs_open_dir(AT_FDCWD, upper, &fd, e) != 0 || fs_walk(fd, look, &c, e) != 0) {
		rc = -1;
	} else if (c.n > 0) {
		at = recipe_pos_text(&st->pos);
		(void)err_set(e, ERR_STEP, "%s: step %s changed what it did not declare:%s%s", at,
			      st->name, c.stray.data, c.n > 5 ? " …" : "");
		rc = err_hint(e, "add the directory to the step's writes: list if it is meant");
	}
	buf_release(&c.stray);
	return rc;
}
