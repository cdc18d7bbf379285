#include "sys/fs.h"

#include "base/fault.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int fs_write_all(int fd, const void *p, size_t n, struct err *e)
{
	const char *at = p;

	while (n > 0) {
		ssize_t w = write(fd, at, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return err_sys(e, "write");
		at += w;
		n -= (size_t)w;
	}
	return 0;
}

int fs_read_all(int fd, void *p, size_t n, struct err *e)
{
	char *at = p;

	while (n > 0) {
		ssize_t r = read(fd, at, n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return err_sys(e, "read");
		if (r == 0)
			return err_set(e, ERR_FAIL, "ends %zu bytes early", n);
		at += r;
		n -= (size_t)r;
	}
	return 0;
}

static int give_up(int dirfd, const char *tmp, const char *name, struct err *e)
{
	(void)unlinkat(dirfd, tmp, 0);
	return err_in(e, "%s", name);
}

int fs_put(int dirfd, const char *name, const void *p, size_t n, mode_t mode, struct err *e)
{
	char *tmp SCOPED(mem_freep) = mem_format(".%s.new.%ld", name, (long)getpid());
	int fd SCOPED(fd_closep) = -1;

	if (dirfd < 0)
		return err_set(e, ERR_FAIL, "%s: needs an open directory", name);
	fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0)
		return err_sys(e, "create %s", tmp);
	fault_point("created");
	if (fs_write_all(fd, p, n, e) != 0)
		return give_up(dirfd, tmp, name, e);
	if (fsync(fd) != 0) {
		(void)err_sys(e, "sync");
		return give_up(dirfd, tmp, name, e);
	}
	fault_point("written");
	if (renameat(dirfd, tmp, dirfd, name) != 0) {
		(void)err_sys(e, "rename");
		return give_up(dirfd, tmp, name, e);
	}
	fault_point("renamed");
	if (fsync(dirfd) != 0)
		return err_sys(e, "sync the directory of %s", name);
	return 0;
}

int fs_put_path(const char *path, const void *p, size_t n, mode_t mode, struct err *e)
{
	char *dir SCOPED(mem_freep) = fs_dirname(path);
	char *name SCOPED(mem_freep) = fs_basename(path);
	int fd SCOPED(fd_closep) = -1;

	if (fs_open_dir(AT_FDCWD, dir, &fd, e) != 0)
		return -1;
	return fs_put(fd, name, p, n, mode, e);
}

int fs_get(int dirfd, const char *name, struct buf *ret, struct err *e)
{
	int fd SCOPED(fd_closep) = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
	char chunk[8192];
	ssize_t r;

	if (fd < 0)
		return err_sys(e, "open %s", name);
	while ((r = read(fd, chunk, sizeof(chunk))) != 0) {
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return err_sys(e, "read %s", name);
		buf_add(ret, chunk, (size_t)r);
		if (buf_over(ret))
			return err_set(e, ERR_RECIPE, "%s: larger than %zu bytes", name, ret->max);
	}
	return 0;
}

int fs_open_dir(int dirfd, const char *path, int *ret_fd, struct err *e)
{
	int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "open directory %s", path);
	*ret_fd = fd;
	return 0;
}

int fs_open_in_root(int rootfd, const char *path, int flags, int *ret_fd, struct err *e)
{
	struct open_how how = {.flags = (unsigned)(flags | O_CLOEXEC), .resolve = RESOLVE_IN_ROOT};
	long fd = syscall(SYS_openat2, rootfd, path, &how, sizeof(how));
	int saved = errno;

	if (fd < 0) {
		(void)err_sys(e, "open %s", path);
		errno = saved;
		return -1;
	}
	*ret_fd = (int)fd;
	return 0;
}

int fs_mkdirs(int dirfd, const char *path, mode_t mode, struct err *e)
{
	char *copy SCOPED(mem_freep) = mem_strdup(path);
	struct stat st;

	for (char *at = copy; *at != '\0';) {
		char *slash = strchr(at + 1, '/');

		if (slash != NULL)
			*slash = '\0';
		if (mkdirat(dirfd, copy, mode) != 0 && errno != EEXIST)
			return err_sys(e, "make directory %s", copy);
		if (slash == NULL)
			break;
		*slash = '/';
		at = slash;
	}
	if (fstatat(dirfd, path, &st, 0) != 0 || !S_ISDIR(st.st_mode))
		return err_set(e, ERR_FAIL, "%s: not a directory", path);
	return 0;
}

/* Empties the directory fd, staying on device dev. */
static int empty(int fd, dev_t dev, struct err *e)
{
	struct strv names SCOPED(strv_release) = {0};
	struct stat st;

	if (fs_list(fd, ".", &names, e) != 0)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		int sub SCOPED(fd_closep) = -1;

		if (unlinkat(fd, names.v[i], 0) == 0)
			continue;
		if (errno != EISDIR && errno != EPERM)
			return err_sys(e, "remove %s", names.v[i]);
		sub = openat(fd, names.v[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (sub < 0 || fstat(sub, &st) != 0)
			return err_sys(e, "remove %s", names.v[i]);
		if (st.st_dev != dev)
			return err_set(e, ERR_FAIL, "remove %s: a file system is mounted there",
				       names.v[i]);
		if (empty(sub, dev, e) != 0)
			return err_in(e, "%s", names.v[i]);
		if (unlinkat(fd, names.v[i], AT_REMOVEDIR) != 0)
			return err_sys(e, "remove %s", names.v[i]);
	}
	return 0;
}

int fs_rmtree(int dirfd, const char *name, struct err *e)
{
	int fd SCOPED(fd_closep) = -1;
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? 0 : err_sys(e, "remove %s", name);
	if (!S_ISDIR(st.st_mode))
		return unlinkat(dirfd, name, 0) == 0 ? 0 : err_sys(e, "remove %s", name);
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "remove %s", name);
	if (empty(fd, st.st_dev, e) != 0)
		return err_in(e, "%s", name);
	return unlinkat(dirfd, name, AT_REMOVEDIR) == 0 ? 0 : err_sys(e, "remove %s", name);
}

int fs_list(int dirfd, const char *path, struct strv *ret, struct err *e)
{
	int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;

	if (d == NULL) {
		(void)err_sys(e, "list %s", path);
		fd_closep(&fd);
		return -1;
	}
	errno = 0;
	while ((de = readdir(d)) != NULL)
		if (strcmp(de->d_name, ".") != 0 && strcmp(de->d_name, "..") != 0)
			strv_add(ret, de->d_name);
	if (errno != 0) {
		(void)err_sys(e, "list %s", path);
		(void)closedir(d);
		return -1;
	}
	(void)closedir(d);
	strv_sort(ret);
	return 0;
}

int fs_copy_fd(int from, int to, uint64_t *ret_bytes, struct err *e)
{
	enum { CHUNK = 1 << 18 };
	char *chunk SCOPED(mem_freep) = NULL;
	uint64_t total = 0;
	ssize_t r;

	while ((r = copy_file_range(from, NULL, to, NULL, 1 << 30, 0)) > 0)
		total += (uint64_t)r;
	if (r < 0 && total == 0) {
		chunk = mem_zalloc(CHUNK);
		while ((r = read(from, chunk, CHUNK)) != 0) {
			if (r < 0 && errno == EINTR)
				continue;
			if (r < 0 || fs_write_all(to, chunk, (size_t)r, e) != 0)
				break;
			total += (uint64_t)r;
		}
	}
	if (r < 0)
		return err_sys(e, "copy");
	if (r > 0)
		return -1;
	if (ret_bytes != NULL)
		*ret_bytes = total;
	return 0;
}

struct walk {
	int (*fn)(void *, const struct fs_entry *, struct err *);
	void *ctx;
};

static int walk_dir(const struct walk *w, int fd, const char *prefix, struct err *e)
{
	struct strv names SCOPED(strv_release) = {0};

	if (fs_list(fd, ".", &names, e) != 0)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		char *path SCOPED(mem_freep) =
		    mem_format("%s%s%s", prefix, prefix[0] ? "/" : "", names.v[i]);
		struct fs_entry en = {.path = path, .parent_fd = fd, .name = names.v[i]};
		int sub SCOPED(fd_closep) = -1;
		int rc;

		if (fstatat(fd, names.v[i], &en.st, AT_SYMLINK_NOFOLLOW) != 0)
			return err_sys(e, "stat %s", path);
		rc = w->fn(w->ctx, &en, e);
		if (rc < 0)
			return -1;
		if (rc > 0 || !S_ISDIR(en.st.st_mode))
			continue;
		sub = openat(fd, names.v[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (sub < 0)
			return err_sys(e, "open %s", path);
		if (walk_dir(w, sub, path, e) != 0)
			return -1;
	}
	return 0;
}

int fs_walk(int dirfd, int (*fn)(void *, const struct fs_entry *, struct err *), void *ctx,
	    struct err *e)
{
	const struct walk w = {fn, ctx};

	return walk_dir(&w, dirfd, "", e);
}
