/* Whiteouts of OCI layers (image-spec, layer.md): they hide what lower layers have, never what
 * their own layer has, wherever in it they stand. */
#include "archive/extract.h"

#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFIX      ".wh."
#define META_PREFIX ".wh..wh."
#define OPAQUE      ".wh..wh..opq"

void extract_note(struct extract *x, const char *path)
{
	char *copy SCOPED(mem_freep) = mem_strdup(path);
	char *slash;

	while (!map_has(&x->seen, copy)) {
		(void)map_put(&x->seen, copy, NULL);
		slash = strrchr(copy, '/');
		if (slash == NULL)
			return;
		*slash = '\0';
	}
}

static int hide_below(const struct extract *x, int fd, const char *path, struct err *e);

/* Removes dirfd/name as far as it is not of this layer. */
static int hide(const struct extract *x, int dirfd, const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash == NULL ? path : slash + 1;
	int fd SCOPED(fd_closep) = -1;

	if (!map_has(&x->seen, path))
		return fs_rmtree(dirfd, name, e);
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOTDIR || errno == ELOOP ? 0 : err_sys(e, "open %s", path);
	return hide_below(x, fd, path, e);
}

static int hide_below(const struct extract *x, int fd, const char *path, struct err *e)
{
	struct strv names SCOPED(strv_release) = {0};

	if (fs_list(fd, ".", &names, e) != 0)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		char *sub SCOPED(mem_freep) =
		    mem_format("%s%s%s", path, path[0] != '\0' ? "/" : "", names.v[i]);

		if (hide(x, fd, sub, e) != 0)
			return -1;
	}
	return 0;
}

static int apply_opaque(struct extract *x, const char *dir, struct err *e)
{
	const char *name = ".";
	int parent = x->root;
	int fd SCOPED(fd_closep) = -1;

	if (dir[0] != '\0' && beneath_parent(&x->links, dir, &parent, &name, e) != 0)
		return e->sys == ENOENT ? 0 : -1;
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0
				       : err_set(e, ERR_RECIPE,
						 "it lies below %s, which is not a directory", dir);
	return hide_below(x, fd, dir, e);
}

static int apply_one(struct extract *x, const char *dir, const char *name, struct err *e)
{
	char *path SCOPED(mem_freep) = mem_format("%s%s%s", dir, dir[0] != '\0' ? "/" : "", name);
	const char *last;
	int fd;

	if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return err_set(e, ERR_RECIPE, "a whiteout of no file");
	if (beneath_parent(&x->links, path, &fd, &last, e) != 0)
		return e->sys == ENOENT ? 0 : -1;
	return hide(x, fd, path, e);
}

int extract_whiteout(struct extract *x, const char *path, bool *ret_was, struct err *e)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash == NULL ? path : slash + 1;
	char *dir SCOPED(mem_freep) = mem_strndup(path, slash == NULL ? 0 : (size_t)(slash - path));
	int rc = 0;

	if (strncmp(name, PREFIX, strlen(PREFIX)) != 0)
		return 0;
	if (strcmp(name, OPAQUE) == 0)
		rc = apply_opaque(x, dir, e);
	else if (strncmp(name, META_PREFIX, strlen(META_PREFIX)) != 0)
		rc = apply_one(x, dir, name + strlen(PREFIX), e);
	beneath_forget(&x->dirs);
	beneath_forget(&x->links);
	*ret_was = rc == 0;
	if (rc == 0 && x->o->hidden != NULL)
		++*x->o->hidden;
	return rc;
}
