/* mounted.c - whether what is to be mounted above a path is. */
#include "harden/mounts.h"

#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Opened, so that what mounts it on demand does. A directory that does not open has nothing on it.
 */
static bool is_mounted(const char *path)
{
	int fd SCOPED(fd_closep) = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct statx s;
	struct stat here, above;

	if (fd < 0)
		return false;
	if (statx(fd, "", AT_EMPTY_PATH, STATX_TYPE, &s) == 0 &&
	    (s.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) != 0)
		return (s.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
	/* a kernel before 5.8 */
	return fstat(fd, &here) == 0 && fstatat(fd, "..", &above, 0) == 0 &&
	       here.st_dev != above.st_dev;
}

/* Without the links of what is there of it; the caller owns it. */
static char *resolved(const char *path)
{
	char *head SCOPED(mem_freep) = mem_strdup(path);
	char *slash = head + strlen(head);

	for (;;) {
		char real[PATH_MAX];

		if (realpath(head, real) != NULL)
			return mem_format("%s%s", strcmp(real, "/") == 0 ? "" : real,
					  path + (slash - head));
		slash = strrchr(head, '/');
		if (slash == NULL || slash == head)
			return mem_strdup(path);
		*slash = '\0';
	}
}

/* *ret: the first that is not, or left alone. */
static int look(int rootfd, const char *path, char **ret, struct err *e)
{
	for (size_t n = 1; path[n - 1] != '\0'; n++) {
		char *at SCOPED(mem_freep) = NULL;
		struct mounts m SCOPED(mounts_release) = {0};

		if (n == 1 || (path[n] != '/' && path[n] != '\0') || path[n - 1] == '/')
			continue;
		at = mem_strndup(path, n);
		if (mounts_at(rootfd, at, &m, e) != 0)
			return -1;
		if (m.n == 0 || is_mounted(at))
			continue;
		*ret = STEAL(at);
		return 0;
	}
	return 0;
}

int mounts_missing(const char *path, char **ret_at, struct err *e)
{
	char *real SCOPED(mem_freep) = resolved(path), *at SCOPED(mem_freep) = NULL;
	int rootfd SCOPED(fd_closep) = -1;

	if (fs_open_dir(AT_FDCWD, "/", &rootfd, e) != 0 || look(rootfd, path, &at, e) != 0 ||
	    (at == NULL && look(rootfd, real, &at, e) != 0))
		return -1;
	*ret_at = STEAL(at);
	return 0;
}
