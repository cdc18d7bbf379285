#include "sys/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A tree that somebody else renames in all the time is not waited for for ever. */
enum { TRIES = 100000 };

int fs_openat2(int dirfd, const char *path, const struct open_how *how)
{
	long fd = -1;

	for (int i = 0; i < TRIES; i++) {
		fd = syscall(SYS_openat2, dirfd, path, how, sizeof(*how));
		if (fd >= 0 || errno != EAGAIN)
			break;
	}
	return (int)fd;
}

int fs_open_in_root(int rootfd, const char *path, int flags, int *ret_fd, struct err *e)
{
	struct open_how how = {.flags = (unsigned)(flags | O_CLOEXEC), .resolve = RESOLVE_IN_ROOT};
	int fd = fs_openat2(rootfd, path, &how);
	int saved = errno;

	if (fd < 0) {
		(void)err_sys(e, "open %s", path);
		errno = saved;
		return -1;
	}
	*ret_fd = fd;
	return 0;
}

/* Makes one directory, its parent looked up inside the root. Returns 1 when it was missing. */
static int make_one(int rootfd, const char *part, mode_t mode, struct err *e)
{
	char *dir SCOPED(mem_freep) = fs_dirname(part);
	char *name SCOPED(mem_freep) = fs_basename(part);
	int fd SCOPED(fd_closep) = -1;

	if (fs_open_in_root(rootfd, dir, O_RDONLY | O_DIRECTORY, &fd, e) != 0)
		return -1;
	if (mkdirat(fd, name, mode) == 0)
		return 1;
	return errno == EEXIST ? 0 : err_sys(e, "make directory %s", part);
}

int fs_mkdirs_in_root(int rootfd, const char *path, mode_t mode, struct strv *made, struct err *e)
{
	int fd SCOPED(fd_closep) = -1;

	for (const char *slash = strchr(path + 1, '/'); path[1] != '\0';
	     slash = strchr(slash + 1, '/')) {
		size_t n = slash != NULL ? (size_t)(slash - path) - 1 : strlen(path) - 1;
		char *part SCOPED(mem_freep) = mem_strndup(path + 1, n);
		int rc = make_one(rootfd, part, mode, e);

		if (rc < 0)
			return -1;
		if (rc > 0 && made != NULL)
			strv_add(made, part);
		if (slash == NULL)
			break;
	}
	return fs_open_in_root(rootfd, path, O_RDONLY | O_DIRECTORY, &fd, e);
}
