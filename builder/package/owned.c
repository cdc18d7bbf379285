#include "package/package.h"

#include "base/log.h"
#include "base/map.h"
#include "form/md5.h"
#include "package/rpmdb.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIST_MAX (64 << 20)

static const char *const merged[] = {"bin", "sbin", "lib", "lib32", "lib64", "libo32", "libx32"};

struct owned {
	int root;
	int info;                                         /* where dpkg's lists are */
	struct buf path;                                  /* the last canonical one */
	bool is_link[sizeof(merged) / sizeof(merged[0])]; /* merged[i] leads into usr/ */
	struct strv diverted;                             /* from, to, package: dpkg's triples */
	struct map from;                                  /* canonical path -> &diverted.v[i] */
	struct map *ret;
	struct map *sums; /* or NULL */
};

static void owned_release(struct owned *o)
{
	strv_release(&o->diverted);
	map_release(&o->from, NULL);
	buf_release(&o->path);
}

/* The path as the tree has it: without leading slash, and below usr/ where the top directory is a
 * symlink into it. Lent until the next one is asked for. */
static const char *canonical(struct owned *o, const char *path, size_t n)
{
	while (n > 0 && *path == '/') {
		path++;
		n--;
	}
	buf_cut(&o->path, 0);
	for (size_t i = 0; i < sizeof(merged) / sizeof(merged[0]); i++) {
		size_t m = strlen(merged[i]);

		if (o->is_link[i] && n > m && memcmp(path, merged[i], m) == 0 && path[m] == '/')
			buf_add(&o->path, "usr/", 4);
	}
	buf_add(&o->path, path, n);
	return o->path.data;
}

enum { OPEN = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC };

static int read_open(int fd, const char *path, struct buf *ret, struct err *e)
{
	char chunk[16384];
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return err_set(e, ERR_FAIL, "%s: not a regular file", path);
	while ((n = read(fd, chunk, sizeof(chunk))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "read %s", path);
		buf_add(ret, chunk, (size_t)n);
		if (buf_over(ret))
			return err_set(e, ERR_FAIL, "%s: larger than %d bytes", path, LIST_MAX);
	}
	return 0;
}

/* Appends a file of the tree: no link leads to one outside, nothing that blocks is opened. */
static int read_inside(int root, const char *path, struct buf *ret, struct err *e)
{
	int fd SCOPED(fd_closep) = -1;

	return fs_open_in_root(root, path, OPEN, &fd, e) == 0 ? read_open(fd, path, ret, e) : -1;
}

static int read_diversions(struct owned *o, struct err *e)
{
	static const char path[] = "var/lib/dpkg/diversions";
	struct buf b SCOPED(buf_release) = BUF_INIT(LIST_MAX);
	const char *end;
	struct err absent = ERR_INIT;
	int fd SCOPED(fd_closep) = -1;

	if (fs_open_in_root(o->root, path, O_PATH, &fd, &absent) != 0 && errno == ENOENT)
		return 0;
	if (read_inside(o->root, path, &b, e) != 0)
		return -1;
	for (const char *p = b.data; (end = strchr(p, '\n')) != NULL; p = end + 1)
		strv_add(&o->diverted, canonical(o, p, (size_t)(end - p)));
	for (size_t i = 0; i + 2 < o->diverted.n; i += 3)
		(void)map_put(&o->from, o->diverted.v[i], &o->diverted.v[i]);
	return 0;
}

/* Where a package's file is: borrowed, until the next one. */
static const char *real_path(struct owned *o, const char *line, size_t n, const char *package)
{
	const char *path = canonical(o, line, n);
	char **diversion = map_get(&o->from, path);

	return diversion != NULL && strcmp(diversion[2], package) != 0 ? diversion[1] : path;
}

/* The first package by name keeps what several have: directories. */
static void add_path(struct owned *o, const char *line, size_t n, char *package)
{
	const char *real = real_path(o, line, n, package);

	if (*real != '\0' && strcmp(real, ".") != 0)
		(void)map_add(o->ret, real, package);
}

static int read_list(struct owned *o, const char *file, char *package, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(LIST_MAX);
	char *path SCOPED(mem_freep) = mem_format("var/lib/dpkg/info/%s", file);
	int fd SCOPED(fd_closep) = openat(o->info, file, OPEN | O_NOFOLLOW);

	/* a link may lead anywhere inside the root */
	if (fd < 0 && fs_open_in_root(o->root, path, OPEN, &fd, e) != 0)
		return -1;
	if (read_open(fd, path, &b, e) != 0)
		return -1;
	for (const char *p = b.data; *p != '\0'; p += strspn(p, "\n")) {
		size_t n = strcspn(p, "\n");

		add_path(o, p, n, package);
		p += n;
	}
	return 0;
}

/* "libc6:amd64.list" -> "libc6"; NULL for other files. */
static char *package_of(const char *file)
{
	size_t n = strlen(file);

	if (n <= 5 || strcmp(file + n - 5, ".list") != 0)
		return NULL;
	n = strcspn(file, ":") < n - 5 ? strcspn(file, ":") : n - 5;
	return mem_strndup(file, n);
}

/* "HEX  path" lines of the .md5sums beside a .list; not every package has one. */
static int read_sums(struct owned *o, const char *list, const char *package, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(LIST_MAX);
	char *path SCOPED(mem_freep) =
	    mem_format("var/lib/dpkg/info/%.*s.md5sums", (int)strlen(list) - 5, list);
	struct err why = ERR_INIT;

	if (read_inside(o->root, path, &b, &why) != 0) {
		if (why.sys == ENOENT)
			return 0;
		*e = why;
		return -1;
	}
	for (const char *p = b.data; *p != '\0'; p += strspn(p, "\n")) {
		size_t n = strcspn(p, "\n");

		if (n > MD5_HEX + 2 && p[MD5_HEX] == ' ') {
			const char *real = real_path(o, p + MD5_HEX + 2, n - MD5_HEX - 2, package);

			free(map_put(o->sums, real, mem_strndup(p, MD5_HEX)));
		}
		p += n;
	}
	return 0;
}

static void add_rpm_file(struct owned *o, const struct rpmdb_package *p, size_t k, char *package)
{
	const char *path = p->files.v[k], *digest = p->digests.v[k];
	const char *real;

	add_path(o, path, strlen(path), package);
	if (o->sums == NULL || *digest == '\0')
		return;
	real = canonical(o, path, strlen(path));
	if (!map_has(o->sums, real))
		(void)map_put(o->sums, real, mem_strdup(digest));
}

/* rpm's own, after dpkg's: what both have stays dpkg's. */
static int read_rpm(struct owned *o, struct strv *names, struct err *e)
{
	struct rpmdb db SCOPED(rpmdb_release) = {0};

	if (rpmdb_read(o->root, RPMDB_FILES, &db, e) != 0)
		return -1;
	if (db.older)
		log_warn("databases of rpm before 4.16 are not read: files have no owners");
	for (size_t i = 0; i < db.n; i++) {
		char *package = db.v[i].name;

		for (size_t k = 0; k < db.v[i].files.n; k++)
			add_rpm_file(o, &db.v[i], k, package);
		strv_take(names, STEAL(db.v[i].name));
	}
	return 0;
}

static int read_dpkg(struct owned *o, struct strv *names, struct err *e)
{
	struct strv files SCOPED(strv_release) = {0};
	int info SCOPED(fd_closep) = -1;
	struct err why = ERR_INIT;

	if (fs_open_in_root(o->root, "var/lib/dpkg/info", O_RDONLY | O_DIRECTORY, &info, &why) !=
	    0) {
		if (errno == ENOENT)
			return 0;
		*e = why;
		return -1;
	}
	if (read_diversions(o, e) != 0 || fs_list(info, ".", &files, e) != 0)
		return -1;
	o->info = info;
	for (size_t i = 0; i < files.n; i++) {
		char *package = package_of(files.v[i]);

		if (package == NULL)
			continue;
		strv_take(names, package);
		if (read_list(o, files.v[i], package, e) != 0 ||
		    (o->sums != NULL && read_sums(o, files.v[i], package, e) != 0))
			return -1;
	}
	return 0;
}

static int read_all(struct owned *o, struct strv *names, struct err *e)
{
	for (size_t i = 0; i < sizeof(merged) / sizeof(merged[0]); i++) {
		struct stat st;

		o->is_link[i] = fstatat(o->root, merged[i], &st, AT_SYMLINK_NOFOLLOW) == 0 &&
				S_ISLNK(st.st_mode);
	}
	if (read_dpkg(o, names, e) != 0)
		return err_in(e, "dpkg's lists");
	return read_rpm(o, names, e);
}

int package_owned(const char *root, struct map *ret, struct strv *names, struct err *e)
{
	struct owned o SCOPED(owned_release) = {.ret = ret, .info = -1, .path = BUF_INIT(LIST_MAX)};
	int fd SCOPED(fd_closep) = -1;

	if (fs_open_dir(AT_FDCWD, root, &fd, e) != 0)
		return -1;
	o.root = fd;
	return read_all(&o, names, e);
}

int package_sums(int rootfd, struct map *owned, struct map *sums, struct strv *names, struct err *e)
{
	struct owned o SCOPED(owned_release) = {
	    .root = rootfd, .ret = owned, .sums = sums, .info = -1, .path = BUF_INIT(LIST_MAX)};

	return read_all(&o, names, e);
}
