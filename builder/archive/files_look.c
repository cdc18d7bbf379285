/* files_look.c - small files out of a tree that somebody else may be writing to. */
#include "archive/files.h"

#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILES_MAX = 4096 };

struct looking {
	const struct files_want *w;
	const char *top; /* the path that is looked through, without its "/" */
	dev_t dev;       /* of that directory */
	uint64_t bytes, entries;
	struct files *ret;
};

/* Whether that is how opening ends for what is not there, or is of another file system. */
static bool is_absent(int why)
{
	return why == ENOENT || why == ENOTDIR || why == ELOOP || why == EXDEV;
}

/* Nothing but a regular file is opened for reading: a device may do something then. */
static int open_plain(int dir, const char *name, int *ret_fd, struct stat *ret, struct err *e)
{
	const struct open_how how = {.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
				     .resolve =
					 RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS};
	int fd SCOPED(fd_closep) = fs_openat2(dir, name, &how);

	*ret_fd = -1;
	if (fd < 0)
		return is_absent(errno) ? 0 : err_sys(e, "open");
	if (fstat(fd, ret) != 0)
		return err_sys(e, "look at it");
	if (S_ISREG(ret->st_mode))
		*ret_fd = STEAL_FD(fd);
	return 0;
}

static int take_file(struct looking *l, int dir, const char *name, const char *path, struct err *e)
{
	struct buf data SCOPED(buf_release) = BUF_INIT(l->bytes);
	size_t max = l->w->files_max != 0 ? l->w->files_max : FILES_MAX;
	struct small_file one = {.path = (char *)(uintptr_t)path};
	char *at SCOPED(mem_freep) = NULL;
	int fd SCOPED(fd_closep) = -1;
	struct stat st;

	if (open_plain(dir, name, &fd, &st, e) != 0)
		return err_in(e, "%.200s", path);
	if (fd < 0)
		return 0;
	if (l->ret->n >= max)
		return err_set(e, ERR_RECIPE, "more than %zu files", max);
	at = mem_format("/proc/self/fd/%d", fd);
	if (fs_get(AT_FDCWD, at, &data, e) != 0)
		return err_in(e, "%.200s", path);
	l->bytes -= data.len;
	one.mode = S_IFREG | (st.st_mode & 0777);
	one.uid = st.st_uid;
	one.gid = st.st_gid;
	one.data = data.data;
	one.n = data.len;
	files_put(l->ret, &one);
	return 0;
}

static int look_at(void *ctx, const struct fs_entry *en, struct err *e)
{
	struct looking *l = ctx;
	char *path SCOPED(mem_freep) = mem_format("%s/%s", l->top, en->path);

	if (l->entries-- == 0)
		return err_set(e, ERR_RECIPE, "more than %llu entries",
			       (unsigned long long)l->w->entries_max);
	if (S_ISDIR(en->st.st_mode))
		return en->st.st_dev == l->dev &&
			       (l->w->enters == NULL || l->w->enters(l->w->ctx, path))
			   ? 0
			   : 1;
	return S_ISREG(en->st.st_mode) && l->w->wants(l->w->ctx, path)
		   ? take_file(l, en->parent_fd, en->name, path, e)
		   : 0;
}

static int open_in(int rootfd, const char *path, uint64_t resolve, int *ret_fd, struct err *e)
{
	const struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
				     .resolve = RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | resolve};

	*ret_fd = fs_openat2(rootfd, path, &how);
	return *ret_fd >= 0 || is_absent(errno) ? 0 : err_sys(e, "open %s", path);
}

int files_look(int rootfd, const char *at, const struct files_want *w, struct files *ret,
	       struct err *e)
{
	struct looking l = {
	    .w = w, .top = at + 1, .bytes = w->bytes_max, .entries = w->entries_max, .ret = ret};
	char *parent SCOPED(mem_freep) = fs_dirname(at), *base SCOPED(mem_freep) = fs_basename(at);
	int dir SCOPED(fd_closep) = -1, top SCOPED(fd_closep) = -1;
	struct stat st;

	if (open_in(rootfd, parent, RESOLVE_IN_ROOT, &dir, e) != 0)
		return -1;
	if (dir < 0)
		return 0;
	if (open_in(dir, base, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS, &top, e) != 0)
		return -1;
	if (top < 0)
		return w->wants(w->ctx, l.top) ? take_file(&l, dir, base, l.top, e) : 0;
	if (fstat(top, &st) != 0)
		return err_sys(e, "look at %s", at);
	l.dev = st.st_dev;
	return fs_walk_living(top, look_at, &l, e);
}
