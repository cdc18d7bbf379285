#include "archive/extract.h"

#include "sys/fs.h"
#include "sys/intr.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_LONGEST = 4096, SHOWN = 200 };

static void extract_release(struct extract *x)
{
	for (size_t i = 0; i < x->later_n; i++)
		free(x->later[i].path);
	free(x->later);
	map_release(&x->seen, NULL);
	beneath_release(&x->dirs);
	beneath_release(&x->links);
}

/* Puts the entry's name in front of the message; the way out of the worker makes it printable. */
static int in_entry(const char *name, struct err *e)
{
	return err_in(e, "%.*s%s", (int)SHOWN, name, strlen(name) > SHOWN ? "..." : "");
}

int extract_path(const char *name, char **ret, struct err *e)
{
	char *path SCOPED(mem_freep) = NULL;
	size_t n = 0;

	if (strlen(name) > NAME_LONGEST)
		return err_set(e, ERR_RECIPE, "the name has more than %d bytes", NAME_LONGEST);
	if (name[0] == '/')
		return err_set(e, ERR_RECIPE, "the name is absolute");
	path = mem_zalloc(strlen(name) + 2);
	while (*name != '\0') {
		size_t part = strcspn(name, "/");

		if (part == 2 && name[0] == '.' && name[1] == '.')
			return err_set(e, ERR_RECIPE, "the name has a \"..\" component");
		if (part > 0 && !(part == 1 && name[0] == '.')) {
			if (n > 0)
				path[n++] = '/';
			memcpy(path + n, name, part);
			n += part;
		}
		name += part + (name[part] == '/' ? 1 : 0);
	}
	path[n] = '\0';
	*ret = STEAL(path);
	return 0;
}

int extract_own_path(const struct extract *x, const char *name, char **ret, struct err *e)
{
	bool lower = x->o->bare_disc && reader_format(x->r) == ARCHIVE_FORMAT_ISO9660 &&
		     !reader_rock_ridge(x->r);
	char *path SCOPED(mem_freep) = NULL;

	if (extract_path(name, &path, e) != 0)
		return -1;
	for (char *c = path; *c != '\0'; c++) {
		/* what lists of files and installers' loops over them cannot hold */
		if (x->o->read_only && ((unsigned char)*c < 0x20 || *c == 0x7f))
			return err_set(e, ERR_RECIPE, "the name has a control character");
		if (lower && *c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	}
	*ret = STEAL(path);
	return 0;
}

int extract_clear(struct extract *x, const char *path, bool for_dir, struct err *e)
{
	const char *name;
	struct stat st;
	int dir;

	if (beneath_parent(&x->dirs, path, &dir, &name, e) != 0)
		return -1;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? 0 : err_sys(e, "stat");
	if (S_ISDIR(st.st_mode) && for_dir)
		return 0;
	if (x->o->hidden != NULL)
		++*x->o->hidden;
	if (!S_ISDIR(st.st_mode))
		return unlinkat(dir, name, 0) == 0 ? 0 : err_sys(e, "replace");
	if (!x->o->layer)
		return err_set(e, ERR_RECIPE, "it would replace a directory");
	if (fs_rmtree(dir, name, e) != 0)
		return -1;
	beneath_forget(&x->dirs);
	beneath_forget(&x->links);
	return 0;
}

static void defer(struct extract *x, const struct extract_dir *d)
{
	if (x->later_n == x->later_cap) {
		x->later_cap = x->later_cap ? x->later_cap * 2 : 64;
		x->later = mem_resize(x->later, x->later_cap, sizeof(*x->later));
	}
	x->later[x->later_n] = *d;
	x->later[x->later_n].order = x->later_n;
	x->later_n++;
}

/* Directories that no entry of the archive made. */
static void defer_made(struct extract *x)
{
	mode_t mode = x->o->read_only ? 0555 : 0755;

	for (size_t i = 0; i < x->dirs.made.n; i++)
		defer(x, &(struct extract_dir){.path = mem_strdup(x->dirs.made.v[i]),
					       .mode = mode,
					       .uid = -1,
					       .gid = -1});
	strv_release(&x->dirs.made);
}

static int place_dir(struct extract *x, struct archive_entry *en, const char *path, struct err *e)
{
	int fd SCOPED(fd_closep) = -1;
	const char *name = ".";
	int dir = x->root;
	struct extract_dir d = {.mode = extract_mode(x, en), .mtime = extract_mtime(en)};

	if (extract_owner(x, en, &d.uid, &d.gid, e) != 0)
		return -1;
	if (path[0] != '\0') {
		if (extract_clear(x, path, true, e) != 0 ||
		    beneath_parent(&x->dirs, path, &dir, &name, e) != 0)
			return -1;
		if (mkdirat(dir, name, 0700) != 0 && errno != EEXIST)
			return err_sys(e, "make directory");
	}
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "open directory");
	if (extract_xattrs(x, en, fd, e) != 0)
		return -1;
	defer_made(x);
	d.path = mem_strdup(path);
	defer(x, &d);
	return 0;
}

static int place_symlink(struct extract *x, struct archive_entry *en, const char *path,
			 struct err *e)
{
	const char *target = archive_entry_symlink(en), *name;
	const struct timespec times[2] = {extract_mtime(en), extract_mtime(en)};
	int64_t uid, gid;
	int dir;

	if (target == NULL || target[0] == '\0')
		return err_set(e, ERR_RECIPE, "a symlink to nowhere");
	if (strlen(target) >= NAME_LONGEST)
		return err_set(e, ERR_RECIPE, "its target has %d bytes or more", NAME_LONGEST);
	if (extract_owner(x, en, &uid, &gid, e) != 0 || extract_clear(x, path, false, e) != 0 ||
	    beneath_parent(&x->dirs, path, &dir, &name, e) != 0)
		return -1;
	if (symlinkat(target, dir, name) != 0)
		return err_sys(e, "make symlink");
	if (uid >= 0 && fchownat(dir, name, (uid_t)uid, (gid_t)gid, AT_SYMLINK_NOFOLLOW) != 0)
		return err_sys(e, "change owner");
	return utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : err_sys(e, "set time");
}

/* In a cpio archive the last name of a file carries its data. */
static int fill_link(struct extract *x, struct archive_entry *en, const char *path, struct err *e)
{
	int fd SCOPED(fd_closep) = -1;
	const char *name;
	int dir;

	if (beneath_parent(&x->dirs, path, &dir, &name, e) != 0)
		return -1;
	if (fchmodat(dir, name, 0600, 0) != 0)
		return err_sys(e, "change mode");
	fd = openat(dir, name, O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "open");
	if (extract_data(x, en, fd, e) != 0)
		return -1;
	return fchmod(fd, extract_mode(x, en)) == 0 ? 0 : err_sys(e, "change mode");
}

static int place_link(struct extract *x, struct archive_entry *en, const char *path, struct err *e)
{
	char *target SCOPED(mem_freep) = NULL;
	const char *name, *target_name;
	int dir, target_dir;
	struct stat st;

	if (extract_own_path(x, archive_entry_hardlink(en), &target, e) != 0)
		return err_in(e, "the file it is a link to");
	if (target[0] == '\0' || strcmp(target, path) == 0)
		return err_set(e, ERR_RECIPE, "a link to itself");
	if (beneath_parent(&x->links, target, &target_dir, &target_name, e) != 0 ||
	    fstatat(target_dir, target_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return err_set(e, ERR_RECIPE, "the file it is a link to is not there");
	if (S_ISDIR(st.st_mode))
		return err_set(e, ERR_RECIPE, "a link to a directory");
	if (extract_clear(x, path, false, e) != 0 ||
	    beneath_parent(&x->dirs, path, &dir, &name, e) != 0 ||
	    beneath_parent(&x->links, target, &target_dir, &target_name, e) != 0)
		return -1;
	if (linkat(target_dir, target_name, dir, name, 0) != 0)
		return err_sys(e, "make link");
	if (S_ISREG(st.st_mode) && reader_format(x->r) == ARCHIVE_FORMAT_CPIO &&
	    archive_entry_size(en) > 0)
		return fill_link(x, en, path, e);
	return 0;
}

static int place_special(const struct extract *x, struct err *e)
{
	if (x->o->layer)
		return 0;
	return err_set(e, ERR_RECIPE, "neither a file nor a directory nor a link");
}

static int place(struct extract *x, struct archive_entry *en, const char *path, struct err *e)
{
	bool whiteout = false;
	mode_t type = archive_entry_filetype(en);

	if (x->o->layer && extract_whiteout(x, path, &whiteout, e) != 0)
		return -1;
	if (whiteout)
		return 0;
	if (path[0] == '\0' && type != AE_IFDIR)
		return err_set(e, ERR_RECIPE, "the root must be a directory");
	if (archive_entry_hardlink(en) != NULL)
		return place_link(x, en, path, e);
	switch (type) {
	case AE_IFDIR:
		return place_dir(x, en, path, e);
	case AE_IFREG:
		return extract_file(x, en, path, e);
	case AE_IFLNK:
		return place_symlink(x, en, path, e);
	default:
		return place_special(x, e);
	}
}

static int one(struct extract *x, struct archive_entry *en, struct err *e)
{
	const char *name = archive_entry_pathname(en);
	char *path SCOPED(mem_freep) = NULL;

	if (intr_pending())
		return intr_err(e);
	if (name == NULL || name[0] == '\0')
		return err_set(e, ERR_RECIPE, "an entry without a name");
	if (++x->entries > x->o->entries_max) {
		(void)err_set(e, ERR_RECIPE, "more than %llu entries",
			      (unsigned long long)x->o->entries_max);
		return x->o->read_only ? err_hint(e, EXTRACT_RAISE, "files") : -1;
	}
	if (extract_own_path(x, name, &path, e) != 0 || place(x, en, path, e) != 0)
		return in_entry(name, e);
	defer_made(x);
	if (x->o->layer)
		extract_note(x, path);
	return 0;
}

/* Children before parents, and of several entries for one directory the last first. */
static int deepest_first(const void *a, const void *b)
{
	const struct extract_dir *p = a, *q = b;
	int c = strcmp(q->path, p->path);

	if (c != 0)
		return c;
	return p->order < q->order ? 1 : -1;
}

static int finish_dir(struct extract *x, const struct extract_dir *d, struct err *e)
{
	const struct timespec times[2] = {d->mtime, d->mtime};
	int fd SCOPED(fd_closep) = -1;
	const char *name = ".";
	int dir = x->root;

	if (d->path[0] != '\0' && beneath_parent(&x->links, d->path, &dir, &name, e) != 0)
		return 0; /* replaced or removed by a later entry */
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (d->uid >= 0 && fchown(fd, (uid_t)d->uid, (gid_t)d->gid) != 0)
		return err_sys(e, "change owner");
	if (fchmod(fd, d->mode) != 0)
		return err_sys(e, "change mode");
	return futimens(fd, times) == 0 ? 0 : err_sys(e, "set time");
}

static int finish(struct extract *x, struct err *e)
{
	beneath_forget(&x->links);
	if (x->later_n > 1)
		qsort(x->later, x->later_n, sizeof(*x->later), deepest_first);
	for (size_t i = 0; i < x->later_n; i++) {
		if (i > 0 && strcmp(x->later[i].path, x->later[i - 1].path) == 0)
			continue;
		if (finish_dir(x, &x->later[i], e) != 0)
			return in_entry(x->later[i].path, e);
	}
	return 0;
}

int extract_all(struct reader *r, int root, const struct unpack_opts *o, struct err *e)
{
	struct extract x SCOPED(extract_release) = {.root = root,
						    .o = o,
						    .r = r,
						    .dirs = BENEATH_INIT(root, true),
						    .links = BENEATH_INIT(root, false)};

	while (true) {
		struct archive_entry *en;

		if (reader_next(r, &en, e) != 0)
			return -1;
		if (en == NULL)
			return finish(&x, e);
		if (one(&x, en, e) != 0)
			return -1;
	}
}
