#include "archive/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OPEN_DIR = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

/* Opens the component `name` of dirfd; `so_far` is its whole path, for messages. */
static int open_one(struct beneath *b, int dirfd, const char *name, const char *so_far, int *ret_fd,
		    struct err *e)
{
	int fd = openat(dirfd, name, OPEN_DIR);

	if (fd < 0 && errno == ENOENT && b->make) {
		if (mkdirat(dirfd, name, 0755) != 0)
			return err_sys(e, "make directory %s", so_far);
		strv_add(&b->made, so_far);
		fd = openat(dirfd, name, OPEN_DIR);
	}
	if (fd < 0 && (errno == ELOOP || errno == ENOTDIR))
		return err_set(e, ERR_RECIPE, "it lies below %s, which is not a directory", so_far);
	if (fd < 0)
		return err_sys(e, "open directory %s", so_far);
	*ret_fd = fd;
	return 0;
}

static int open_dir(struct beneath *b, const char *dir, int *ret_fd, struct err *e)
{
	char *copy SCOPED(mem_freep) = mem_strdup(dir);
	int at SCOPED(fd_closep) = -1;

	for (char *name = copy; name != NULL;) {
		char *slash = strchr(name, '/');
		int next = -1;

		if (slash != NULL)
			*slash = '\0';
		if (open_one(b, at < 0 ? b->root : at, name, copy, &next, e) != 0)
			return -1;
		fd_closep(&at);
		at = next;
		name = slash == NULL ? NULL : slash + 1;
		if (slash != NULL)
			*slash = '/';
	}
	*ret_fd = STEAL_FD(at);
	return 0;
}

int beneath_parent(struct beneath *b, const char *path, int *ret_fd, const char **ret_name,
		   struct err *e)
{
	const char *slash = strrchr(path, '/');
	char *dir SCOPED(mem_freep) = NULL;
	int fd;

	if (slash == NULL) {
		*ret_fd = b->root;
		*ret_name = path;
		return 0;
	}
	dir = mem_strndup(path, (size_t)(slash - path));
	if (b->dir == NULL || strcmp(b->dir, dir) != 0) {
		if (open_dir(b, dir, &fd, e) != 0)
			return -1;
		beneath_forget(b);
		b->dir = STEAL(dir);
		b->fd = fd;
	}
	*ret_fd = b->fd;
	*ret_name = slash + 1;
	return 0;
}

void beneath_forget(struct beneath *b)
{
	free(b->dir);
	b->dir = NULL;
	fd_closep(&b->fd);
}

void beneath_release(struct beneath *b)
{
	beneath_forget(b);
	strv_release(&b->made);
}
