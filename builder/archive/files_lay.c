/* files_lay.c - small files into a tree: whoever made that one leads no write out of it. */
#include "archive/files.h"

#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PARENT_MODE = 0755, BITS = 07777 };

static int own(int fd, const struct small_file *one, struct err *e)
{
	/* the second: a change of owner takes bits away */
	return fchown(fd, one->uid, one->gid) == 0 && fchmod(fd, one->mode & BITS) == 0
		   ? 0
		   : err_sys(e, "set the owner");
}

static int fill(void *ctx, int fd, struct err *e)
{
	const struct small_file *one = ctx;

	return fs_write_all(fd, one->data, one->n, e) != 0 ? -1 : own(fd, one, e);
}

/* It appears with its owner: who dies before leaves none. */
static int make_dir(int parent, const char *name, const struct small_file *one, struct err *e)
{
	char *new SCOPED(mem_freep) = mem_format(".%s.new", name);
	int fd SCOPED(fd_closep) = -1;

	if (fs_rmtree(parent, new, e) != 0)
		return -1;
	if (mkdirat(parent, new, 0700) != 0)
		return err_sys(e, "make it");
	fd = openat(parent, new, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "open it");
	if (own(fd, one, e) != 0)
		return -1;
	return renameat2(parent, new, parent, name, RENAME_NOREPLACE) == 0 ? 0
									   : err_sys(e, "name it");
}

static int lay_dir(int parent, const char *name, const struct small_file *one, struct err *e)
{
	int fd SCOPED(fd_closep) =
	    openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0)
		return own(fd, one, e);
	return errno == ENOENT ? make_dir(parent, name, one, e) : err_sys(e, "open it");
}

static int lay(int rootfd, const struct small_file *one, struct err *e)
{
	char *dir SCOPED(mem_freep) = fs_dirname(one->path);
	char *name SCOPED(mem_freep) = fs_basename(one->path);
	char *above SCOPED(mem_freep) = mem_format("/%s", dir);
	const struct fs_filler f = {fill, (void *)(uintptr_t)one};
	int parent SCOPED(fd_closep) = -1;

	if (fs_open_in_root(rootfd, above, O_RDONLY | O_DIRECTORY, &parent, e) != 0 &&
	    (errno != ENOENT || fs_mkdirs_in_root(rootfd, above, PARENT_MODE, NULL, e) != 0 ||
	     fs_open_in_root(rootfd, above, O_RDONLY | O_DIRECTORY, &parent, e) != 0))
		return -1;
	return S_ISDIR(one->mode) ? lay_dir(parent, name, one, e)
				  : fs_put_with_unsynced(parent, name, one->mode & BITS, &f, e);
}

int files_lay(int rootfd, const struct files *f, struct err *e)
{
	for (size_t i = 0; i < f->n; i++) {
		const struct small_file *one = &f->v[i];

		if (!fs_relative_ok(one->path))
			return err_set(e, ERR_RECIPE, "a path that leaves the tree");
		if (lay(rootfd, one, e) != 0)
			return err_in(e, "/%.200s", one->path);
	}
	return 0;
}
