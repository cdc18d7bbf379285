#include "package/bootstrap.h"

#include "archive/unpack.h"
#include "sys/fs.h"
#include "sys/intr.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX 64 /* directories below one that is merged into usr */

/* The directories that are symlinks into usr: the first three always, others where a package has
 * them. */
static const char *const merged[] = {"bin", "sbin", "lib", "lib32", "lib64", "libx32"};
#define MERGED_ALWAYS 3

/* What recipes may exclude: dpkg unpacks it again when it is wanted. */
static const char *const excludable[] = {"usr/share/doc",    "usr/share/man",
					 "usr/share/info",   "usr/share/groff",
					 "usr/share/locale", "usr/share/lintian"};

static const char *const database[] = {"var/lib/dpkg/info", "var/lib/dpkg/updates"};

struct essential {
	struct unpack_package *v;
	size_t n;
};

static void essential_release(struct essential *s)
{
	for (size_t i = 0; i < s->n; i++)
		(void)close(s->v[i].fd);
	free(s->v);
}

static int unpack_essential(const struct package_install *in, struct err *e)
{
	struct essential s SCOPED(essential_release) = {
	    .v = mem_zalloc((in->lock->packages_n + 1) * sizeof(*s.v))};
	const struct unpack_opts o = {0};

	for (size_t i = 0; i < in->lock->packages_n; i++) {
		const struct lock_package *p = &in->lock->packages[i];
		char *path SCOPED(mem_freep) = NULL;
		int fd;

		if (!p->essential)
			continue;
		path = in->file_path(in->ctx, p);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return err_sys(e, "package %s: %s", p->name, path);
		s.v[s.n++] = (struct unpack_package){fd, p->name};
	}
	if (unpack_debs(s.v, s.n, in->root, &o, e) != 0)
		return intr_pending() ? -1 : err_in(e, "package");
	return 0;
}

/* Moves everything in one directory into another; what both have stays as `to` has it. */
static int merge(int from, int to, unsigned depth, struct err *e)
{
	struct strv names SCOPED(strv_release) = {0};

	if (depth > DEPTH_MAX)
		return err_set(e, ERR_STEP, "directories are nested too deep");
	if (fs_list(from, ".", &names, e) != 0)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		const char *name = names.v[i];
		int a SCOPED(fd_closep) = -1, b SCOPED(fd_closep) = -1;

		if (renameat2(from, name, to, name, RENAME_NOREPLACE) == 0)
			continue;
		if (errno != EEXIST)
			return err_sys(e, "move %s", name);
		a = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		b = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (a >= 0 && b >= 0 && merge(a, b, depth + 1, e) != 0)
			return err_in(e, "%s", name);
		if (fs_rmtree(from, name, e) != 0)
			return -1;
	}
	return 0;
}

/* /NAME becomes a symlink to usr/NAME, which takes over what /NAME has. */
static int merge_top(int root, const char *name, struct err *e)
{
	char *target SCOPED(mem_freep) = mem_format("usr/%s", name);
	int from SCOPED(fd_closep) = -1, to SCOPED(fd_closep) = -1;

	if (fs_mkdirs(root, target, 0755, e) != 0)
		return -1;
	from = openat(root, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (from >= 0 && (fs_open_dir(root, target, &to, e) != 0 || merge(from, to, 0, e) != 0))
		return err_in(e, "merge %s into usr", name);
	if (fs_rmtree(root, name, e) != 0)
		return -1;
	if (symlinkat(target, root, name) != 0)
		return err_sys(e, "make the symlink %s", name);
	return 0;
}

static int merge_usr(int root, struct err *e)
{
	for (size_t i = 0; i < sizeof(merged) / sizeof(merged[0]); i++) {
		if (i >= MERGED_ALWAYS &&
		    faccessat(root, merged[i], F_OK, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		if (merge_top(root, merged[i], e) != 0)
			return -1;
	}
	return 0;
}

static int put_empty(int root, const char *path, struct err *e)
{
	int fd SCOPED(fd_closep) =
	    openat(root, path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);

	return fd >= 0 ? 0 : err_sys(e, "create %s", path);
}

static int check_empty(int root, const char *path, struct err *e)
{
	struct strv names SCOPED(strv_release) = {0};

	if (fs_list(root, ".", &names, e) != 0)
		return -1;
	return names.n == 0 ? 0 : err_set(e, ERR_BUSY, "%s is not empty", path);
}

int bootstrap_tree(const struct package_install *in, struct err *e)
{
	int root SCOPED(fd_closep) = -1;

	if (fs_open_dir(AT_FDCWD, in->root, &root, e) != 0 || check_empty(root, in->root, e) != 0 ||
	    unpack_essential(in, e) != 0 || merge_usr(root, e) != 0)
		return -1;
	for (size_t i = 0; i < sizeof(excludable) / sizeof(excludable[0]); i++)
		if (fs_rmtree(root, excludable[i], e) != 0)
			return -1;
	for (size_t i = 0; i < sizeof(database) / sizeof(database[0]); i++)
		if (fs_mkdirs(root, database[i], 0755, e) != 0)
			return -1;
	if (fchmod(root, 0755) != 0)
		return err_sys(e, "chmod %s", in->root);
	if (put_empty(root, "var/lib/dpkg/status", e) != 0)
		return -1;
	return put_empty(root, "var/lib/dpkg/available", e);
}
