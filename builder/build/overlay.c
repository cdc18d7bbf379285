#include "build/job.h"

#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct lay {
	int rootfd;
	const struct recipe_overlay *o;
};

/* Where an entry goes: its directory inside the image (symlinks followed as the image would) and
 * its name there. */
static int target(const struct lay *l, const char *path, int *ret_dir, char **ret_name,
		  struct err *e)
{
	char *full SCOPED(mem_freep) = mem_format("%s/%s", l->o->to, path);
	char *dir SCOPED(mem_freep) = fs_dirname(full);

	if (fs_open_in_root(l->rootfd, dir, O_RDONLY | O_DIRECTORY, ret_dir, e) != 0)
		return -1;
	*ret_name = fs_basename(full);
	return 0;
}

static int lay_directory(const struct lay *l, const char *path, int dir, const char *name,
			 struct err *e)
{
	char *full SCOPED(mem_freep) = mem_format("%s/%s", l->o->to, path);
	int there SCOPED(fd_closep) = -1;

	if (mkdirat(dir, name, 0755) != 0) {
		if (errno != EEXIST)
			return err_sys(e, "make directory %s", name);
		return fs_open_in_root(l->rootfd, full, O_RDONLY | O_DIRECTORY, &there, e);
	}
	there = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (there < 0 || fchown(there, l->o->uid, l->o->gid) != 0 || fchmod(there, 0755) != 0)
		return err_sys(e, "make directory %s", name);
	return 0;
}

/* The mode comes from the executable bit alone: a checkout's umask must not reach the image. */
static int lay_file(const struct lay *l, const struct fs_entry *en, int dir, const char *name,
		    struct err *e)
{
	char *tmp SCOPED(mem_freep) = mem_format(".%s.posmedia", name);
	int from SCOPED(fd_closep) =
	    openat(en->parent_fd, en->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	int to SCOPED(fd_closep) = -1;

	if (from < 0)
		return err_sys(e, "open %s", en->name);
	to = openat(dir, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (to < 0)
		return err_sys(e, "create %s", tmp);
	if (fs_copy_fd(from, to, NULL, e) != 0)
		return -1;
	if (fchown(to, l->o->uid, l->o->gid) != 0 ||
	    fchmod(to, en->st.st_mode & 0100 ? 0755 : 0644) != 0 ||
	    renameat(dir, tmp, dir, name) != 0)
		return err_sys(e, "write %s", name);
	return 0;
}

static int lay_link(const struct lay *l, const struct fs_entry *en, int dir, const char *name,
		    struct err *e)
{
	char text[4097];
	ssize_t n = readlinkat(en->parent_fd, en->name, text, sizeof(text) - 1);

	if (n < 0)
		return err_sys(e, "read link %s", en->name);
	text[n] = '\0';
	if (unlinkat(dir, name, 0) != 0 && errno != ENOENT)
		return err_sys(e, "replace %s", name);
	if (symlinkat(text, dir, name) != 0 ||
	    fchownat(dir, name, l->o->uid, l->o->gid, AT_SYMLINK_NOFOLLOW) != 0)
		return err_sys(e, "make link %s", name);
	return 0;
}

static int lay_entry(void *ctx, const struct fs_entry *en, struct err *e)
{
	const struct lay *l = ctx;
	char *name SCOPED(mem_freep) = NULL;
	int dir SCOPED(fd_closep) = -1;
	int rc;

	if (target(l, en->path, &dir, &name, e) != 0)
		return err_in(e, "%s", en->path);
	if (S_ISDIR(en->st.st_mode))
		rc = lay_directory(l, en->path, dir, name, e);
	else if (S_ISLNK(en->st.st_mode))
		rc = lay_link(l, en, dir, name, e);
	else
		rc = lay_file(l, en, dir, name, e);
	return rc == 0 ? 0 : err_in(e, "%s", en->path);
}

int job_overlay(const struct recipe_overlay *o, const char *root, struct err *e)
{
	struct lay l = {.rootfd = -1, .o = o};
	int rootfd SCOPED(fd_closep) = -1, from SCOPED(fd_closep) = -1;

	if (fs_open_dir(AT_FDCWD, root, &rootfd, e) != 0 ||
	    fs_open_dir(AT_FDCWD, o->from, &from, e) != 0)
		return -1;
	l.rootfd = rootfd;
	if (fs_mkdirs_in_root(rootfd, o->to, 0755, NULL, e) != 0)
		return err_in(e, "overlay %s", o->from);
	if (fs_walk(from, lay_entry, &l, e) != 0) {
		char *at SCOPED(mem_freep) = recipe_pos_text(&o->pos);

		return err_in(e, "%s: overlay %s", at, o->from);
	}
	return 0;
}

int job_overlays(struct job *j, const char *root, struct err *e)
{
	for (size_t i = 0; i < j->r->overlays_n; i++)
		if (job_overlay(&j->r->overlays[i], root, e) != 0)
			return -1;
	return 0;
}
