/* whole.c - whether all of a directory is its own, and nothing in it must stay. */
#include "stage/final.h"

#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>

struct looking {
	uint64_t mount;
	const char *what;
	const struct stat *archive;
};

static int mount_of(int fd, const char *name, uint64_t *ret, struct err *e)
{
	struct statx x;

	if (statx(fd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH, STATX_MNT_ID,
		  &x) != 0)
		return err_sys(e, "look at %s", name);
	if ((x.stx_mask & STATX_MNT_ID) == 0)
		return err_set(e, ERR_FAIL, "the kernel does not say what is mounted where");
	*ret = x.stx_mnt_id;
	return 0;
}

static int check_archive(const struct looking *l, const struct stat *st, struct err *e)
{
	if (l->archive == NULL || l->archive->st_dev != st->st_dev ||
	    l->archive->st_ino != st->st_ino)
		return 0;
	(void)err_set(e, ERR_USAGE, "the archive is in what will be removed: %s", l->what);
	return err_hint(e, "--archive FILE keeps it elsewhere");
}

static int look_at_one(void *ctx, const struct fs_entry *en, struct err *e)
{
	const struct looking *l = ctx;
	uint64_t mount = 0;

	if (mount_of(en->parent_fd, en->name, &mount, e) != 0)
		return err_in(e, "%s", l->what);
	if (mount == l->mount)
		return check_archive(l, &en->st, e);
	(void)err_set(e, ERR_BUSY, "%s/%s is a file system of its own, or mounted there", l->what,
		      en->path);
	return err_hint(e, "keep what is in it yourself, and unmount it");
}

int final_look(int above, int dirfd, const char *what, const struct stat *archive, struct err *e)
{
	struct looking l = {.what = what, .archive = archive};
	uint64_t mount = 0;
	struct stat st;

	if (mount_of(above, "", &mount, e) != 0 || mount_of(dirfd, "", &l.mount, e) != 0)
		return err_in(e, "%s", what);
	if (fstat(dirfd, &st) != 0)
		return err_sys(e, "look at %s", what);
	if (l.mount != mount)
		return err_set(e, ERR_BUSY, "%s is a file system of its own, or mounted there",
			       what);
	if (check_archive(&l, &st, e) != 0)
		return -1;
	return fs_walk(dirfd, look_at_one, &l, e);
}
