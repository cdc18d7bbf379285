#include "import/parts.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { RECIPE_BYTES_MAX = 16 << 20 };

/* Removes what a failed write left behind. */
struct half {
	int dir;
	char *name;
	bool placed; /* under its own name */
};

static void half_drop(struct half *h)
{
	struct err quiet = ERR_INIT;

	if (!h->placed)
		(void)!fs_rmtree(h->dir, h->name, &quiet);
	mem_freep(&h->name);
}

static int put_link(int dir, const struct draft_file *f, const char *name, struct err *e)
{
	if (symlinkat(f->data, dir, name) != 0)
		return err_sys(e, "make the link %s", f->path);
	return 0;
}

/* Opens a directory of the tree, and makes what is missing of its path. Links that were put there
 * come from the input and may lead anywhere: none is followed. */
static int open_beneath(int dir, const char *path, int *ret_fd, struct err *e)
{
	int fd SCOPED(fd_closep) = -1;

	if (fs_open_dir(dir, ".", &fd, e) != 0)
		return -1;
	for (const char *p = path; *p != '\0';) {
		size_t n = strcspn(p, "/");
		char *part SCOPED(mem_freep) = mem_strndup(p, n);
		int next;

		if (mkdirat(fd, part, 0755) != 0 && errno != EEXIST)
			return err_sys(e, "make the directory %s", path);
		next = openat(fd, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0) {
			(void)err_sys(e, "open the directory %s", path);
			return err_hint(e, "Is a link or file copied to where a directory has to "
					   "be? Copy one of the two.");
		}
		(void)close(fd);
		fd = next;
		p += n + (p[n] == '/');
	}
	*ret_fd = STEAL_FD(fd);
	return 0;
}

static int put_file(int dir, const struct draft_file *f, struct err *e)
{
	char *parent SCOPED(mem_freep) = fs_dirname(f->path);
	char *name SCOPED(mem_freep) = fs_basename(f->path);
	int fd SCOPED(fd_closep) = -1;
	int made SCOPED(fd_closep) = -1;

	if (!fs_relative_ok(f->path))
		return err_set(e, ERR_FAIL, "no path for a file: %s", f->path);
	if (open_beneath(dir, parent, &fd, e) != 0)
		return -1;
	if (S_ISDIR(f->mode))
		return open_beneath(fd, name, &made, e);
	if (S_ISLNK(f->mode))
		return put_link(fd, f, name, e);
	return fs_put(fd, name, f->data, f->n, f->mode & 0777, e);
}

/* Fills the directory under another name, then puts it in place of what is there. */
static int put_files(const struct import *im, int dir, struct err *e)
{
	struct half half SCOPED(half_drop) = {.dir = dir,
					      .name = mem_format(".%s.d.new", im->name)};
	char *final SCOPED(mem_freep) = mem_format("%s.d", im->name);
	int fd SCOPED(fd_closep) = -1;
	struct stat st;

	if (fs_rmtree(dir, half.name, e) != 0)
		return -1;
	if (im->d.files_n == 0)
		return fs_rmtree(dir, final, e);
	if (fs_mkdirs(dir, half.name, 0755, e) != 0 || fs_open_dir(dir, half.name, &fd, e) != 0)
		return -1;
	for (size_t i = 0; i < im->d.files_n; i++)
		if (put_file(fd, &im->d.files[i], e) != 0)
			return err_in(e, "%s", final);
	if (fstatat(dir, final, &st, AT_SYMLINK_NOFOLLOW) != 0) {
		if (renameat(dir, half.name, dir, final) != 0)
			return err_sys(e, "put %s in place", final);
		half.placed = true;
	} else if (renameat2(dir, half.name, dir, final, RENAME_EXCHANGE) != 0) {
		return err_sys(e, "put %s in place", final);
	}
	return fsync(dir) == 0 ? 0 : err_sys(e, "sync the directory");
}

static int must_not_be(int dir, const char *where, const char *name, struct err *e)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return 0;
	(void)err_set(e, ERR_BUSY, "%s/%s exists", where, name);
	return err_hint(e, "Take another --name or --output, or --force.");
}

int import_write(const struct import *im, const char *dir, bool force, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(RECIPE_BYTES_MAX);
	char *recipe SCOPED(mem_freep) = mem_format("%s.yaml", im->name);
	char *files SCOPED(mem_freep) = mem_format("%s.d", im->name);
	int fd SCOPED(fd_closep) = -1;

	import_recipe(im, &b);
	if (buf_over(&b))
		return err_set(e, ERR_FAIL, "the recipe would be larger than 16 MiB");
	if (fs_mkdirs(AT_FDCWD, dir, 0755, e) != 0 || fs_open_dir(AT_FDCWD, dir, &fd, e) != 0)
		return -1;
	if (!force && (must_not_be(fd, dir, recipe, e) != 0 || must_not_be(fd, dir, files, e) != 0))
		return -1;
	if (put_files(im, fd, e) != 0)
		return -1;
	return fs_put(fd, recipe, b.data, b.len, 0644, e);
}
