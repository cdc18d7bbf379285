/* root.c - file access confined to a root tree.
 *
 * Nothing is synced here: the tree is a build's scratch directory, a crash throws it away whole,
 * and packing reads back what was written. A rename still keeps each file old or new. */
#include "harden/root.h"

#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { LINKS_MAX = 16 };

int root_open(int rootfd, const char *path, int flags)
{
	struct open_how how = {
	    .flags = (unsigned)(flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK),
	    .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};

	if ((flags & O_PATH) != 0)
		how.flags &= ~(unsigned)(O_NOCTTY | O_NONBLOCK);
	return fs_openat2(rootfd, *path == '\0' ? "." : path, &how);
}

int root_parent(int rootfd, const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	char *dir SCOPED(mem_freep) =
	    slash == NULL ? mem_strdup(".") : mem_strndup(path, (size_t)(slash - path));

	*ret_name = slash == NULL ? path : slash + 1;
	return root_open(rootfd, dir, O_RDONLY | O_DIRECTORY);
}

int root_stat(int rootfd, const char *path, bool follow, struct stat *ret)
{
	int fd SCOPED(fd_closep) = root_open(rootfd, path, O_PATH | (follow ? 0 : O_NOFOLLOW));

	return fd >= 0 && fstat(fd, ret) == 0 ? 1 : 0;
}

void root_near_release(struct root_near *near)
{
	fd_closep(&near->fd);
	mem_freep(&near->dir);
}

int root_stat_near(int rootfd, struct root_near *near, const char *path, struct stat *ret)
{
	const char *slash = strrchr(path, '/'), *name = slash == NULL ? path : slash + 1;
	size_t n = (size_t)(name - path);

	/* only the kernel knows where these lead without leaving the root */
	if (*name == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return root_stat(rootfd, path, false, ret);
	if (near->dir == NULL || strlen(near->dir) != n || memcmp(near->dir, path, n) != 0) {
		root_near_release(near);
		near->dir = mem_strndup(path, n);
		near->fd = root_open(rootfd, near->dir, O_PATH | O_DIRECTORY);
	}
	return near->fd >= 0 && fstatat(near->fd, name, ret, AT_SYMLINK_NOFOLLOW) == 0 ? 1 : 0;
}

bool root_has(int rootfd, const char *path)
{
	struct stat st;

	return root_stat(rootfd, path, true, &st) == 1;
}

static int read_fd(int fd, const char *path, struct buf *ret, struct err *e)
{
	char chunk[16384];
	ssize_t n;

	while ((n = read(fd, chunk, sizeof(chunk))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "%s: read", path);
		buf_add(ret, chunk, (size_t)n);
		if (buf_over(ret))
			return err_set(e, ERR_FAIL, "%s: larger than %zu bytes", path, ret->max);
	}
	return 0;
}

int root_read(int rootfd, const char *path, struct buf *ret, bool *ret_there, struct err *e)
{
	int fd SCOPED(fd_closep) = root_open(rootfd, path, O_RDONLY);
	bool there = fd >= 0;
	struct stat st;

	if (fd < 0 && errno != ENOENT && errno != ENOTDIR)
		return err_sys(e, "%s: open", path);
	if (there && fstat(fd, &st) != 0)
		return err_sys(e, "%s: look at", path);
	/* a unit of a running system that is masked */
	if (there && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3)) {
		if (ret_there != NULL)
			*ret_there = true;
		return 0;
	}
	if (there && !S_ISREG(st.st_mode))
		return err_set(e, ERR_FAIL, "%s: not a regular file", path);
	if (there && read_fd(fd, path, ret, e) != 0)
		return -1;
	if (ret_there != NULL)
		*ret_there = there;
	return 0;
}

/* Makes the missing directories on the way to path, root's, mode 0755. */
static int make_parents(int rootfd, const char *path, struct err *e)
{
	for (const char *at = strchr(path, '/'); at != NULL; at = strchr(at + 1, '/')) {
		char *dir SCOPED(mem_freep) = mem_strndup(path, (size_t)(at - path));
		const char *name;
		int fd SCOPED(fd_closep) = -1;

		if (root_has(rootfd, dir))
			continue;
		fd = root_parent(rootfd, dir, &name);
		if (fd < 0 || mkdirat(fd, name, 0755) != 0)
			return err_sys(e, "%s: make directory", dir);
		if (fchmodat(fd, name, 0755, 0) != 0)
			return err_sys(e, "%s: change mode", dir);
	}
	return 0;
}

/* The path that a chain of symlinks at path ends in; the caller owns it. */
static int follow(int rootfd, const char *path, char **ret, struct err *e)
{
	char *at SCOPED(mem_freep) = mem_strdup(path);

	for (int i = 0; i < LINKS_MAX; i++) {
		const char *name;
		int fd SCOPED(fd_closep) = root_parent(rootfd, at, &name);
		char target[4096];
		ssize_t n = fd < 0 ? -1 : readlinkat(fd, name, target, sizeof(target) - 1);
		char *next;

		if (n < 0) {
			*ret = STEAL(at);
			return 0;
		}
		target[n] = '\0';
		next = target[0] == '/' ? mem_strdup(target + strspn(target, "/"))
					: mem_format("%.*s%s", (int)(name - at), at, target);
		mem_freep(&at);
		at = next;
	}
	return err_set(e, ERR_FAIL, "%s: too many symbolic links", path);
}

/* Writes the new file under a temporary name with its final owner and mode. */
static int write_temp(int dirfd, const char *tmp, const struct buf *text, const struct stat *as,
		      struct err *e)
{
	int fd SCOPED(fd_closep) =
	    openat(dirfd, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_sys(e, "create %s", tmp);
	if (fs_write_all(fd, text->data, text->len, e) != 0)
		return -1;
	if (fchown(fd, as->st_uid, as->st_gid) != 0 && (errno != EPERM || geteuid() == 0))
		return err_sys(e, "change owner");
	return fchmod(fd, as->st_mode & 07777) == 0 ? 0 : err_sys(e, "change mode");
}

int root_write(int rootfd, const char *path, const struct buf *text, mode_t mode, struct err *e)
{
	char *real SCOPED(mem_freep) = NULL, *tmp SCOPED(mem_freep) = NULL;
	struct stat as = {.st_mode = mode};
	int fd SCOPED(fd_closep) = -1;
	const char *name;

	if (buf_over(text))
		return err_set(e, ERR_FAIL, "%s: too large", path);
	if (follow(rootfd, path, &real, e) != 0 || make_parents(rootfd, real, e) != 0)
		return -1;
	if (root_stat(rootfd, real, false, &as) == 1 && !S_ISREG(as.st_mode))
		return err_set(e, ERR_FAIL, "%s: not a regular file", path);
	fd = root_parent(rootfd, real, &name);
	if (fd < 0)
		return err_sys(e, "%s: open its directory", path);
	tmp = mem_format(".%s.posmedia", name);
	if (write_temp(fd, tmp, text, &as, e) != 0) {
		(void)unlinkat(fd, tmp, 0);
		return err_in(e, "%s", path);
	}
	return renameat(fd, tmp, fd, name) == 0 ? 0 : err_sys(e, "%s: rename", path);
}

int root_chmod(int rootfd, const char *path, mode_t mode, struct err *e)
{
	const char *name;
	int fd SCOPED(fd_closep) = root_parent(rootfd, path, &name);
	struct stat st;

	if (fd < 0 || fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return err_sys(e, "%s: change mode", path);
	if (S_ISLNK(st.st_mode))
		return err_set(e, ERR_FAIL, "%s: is a symbolic link", path);
	return fchmodat(fd, name, mode, 0) == 0 ? 0 : err_sys(e, "%s: change mode", path);
}

int root_chown(int rootfd, const char *path, uid_t uid, gid_t gid, struct err *e)
{
	const char *name;
	int fd SCOPED(fd_closep) = root_parent(rootfd, path, &name);
	struct stat st;

	if (fd < 0 || fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
	    fchownat(fd, name, uid, gid, AT_SYMLINK_NOFOLLOW) != 0)
		return err_sys(e, "%s: change owner", path);
	/* the kernel drops set-id bits on a change of owner */
	if (!S_ISLNK(st.st_mode) && fchmodat(fd, name, st.st_mode & 07777, 0) != 0)
		return err_sys(e, "%s: change mode", path);
	return 0;
}

int root_remove(int rootfd, const char *path, struct err *e)
{
	const char *name;
	int fd SCOPED(fd_closep) = root_parent(rootfd, path, &name);

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return err_sys(e, "%s: remove", path);
	return fs_rmtree(fd, name, e) == 0 ? 0 : err_in(e, "%s", path);
}
