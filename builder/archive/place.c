/* Regular files, and what entries of all kinds share: owner, mode, time, attributes. */
#include "archive/extract.h"

#include "archive/tree.h"
#include "sys/intr.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

/* libarchive's own modes for a disc without Rock Ridge; the kernel shows such a disc as 0555. */
enum { BARE_ISO_FILE = 0400, BARE_ISO_DIR = 0700, BARE_ISO = 0555 };

/* The ids that there are in a sandbox. */
enum { IDS = 65535 };

mode_t extract_mode(const struct extract *x, struct archive_entry *en)
{
	mode_t mode = archive_entry_perm(en) & (x->o->keep_owner ? 07777 : 0777);
	mode_t bare = archive_entry_filetype(en) == AE_IFDIR ? BARE_ISO_DIR : BARE_ISO_FILE;

	if (reader_format(x->r) == ARCHIVE_FORMAT_ISO9660 && mode == bare)
		mode = BARE_ISO;
	return x->o->read_only ? mode & (mode_t)~0222 : mode;
}

int extract_owner(const struct extract *x, struct archive_entry *en, int64_t *ret_uid,
		  int64_t *ret_gid, struct err *e)
{
	int64_t uid = archive_entry_uid(en), gid = archive_entry_gid(en);

	if (x->o->read_only && uid >= 0 && uid < IDS && gid >= 0 && gid < IDS && uid + gid > 0) {
		*ret_uid = uid;
		*ret_gid = gid;
		return 0;
	}
	if (!x->o->keep_owner) {
		*ret_uid = *ret_gid = -1;
		return 0;
	}
	if (uid < 0 || uid >= UINT32_MAX || gid < 0 || gid >= UINT32_MAX)
		return err_set(e, ERR_RECIPE, "its owner %lld:%lld is not a user id",
			       (long long)uid, (long long)gid);
	*ret_uid = uid;
	*ret_gid = gid;
	return 0;
}

struct timespec extract_mtime(struct archive_entry *en)
{
	if (!archive_entry_mtime_is_set(en))
		return (struct timespec){0};
	return (struct timespec){archive_entry_mtime(en), archive_entry_mtime_nsec(en)};
}

int extract_xattrs(const struct extract *x, struct archive_entry *en, int fd, struct err *e)
{
	const char *name;
	const void *val;
	size_t len;

	if (!x->o->keep_owner)
		return 0;
	(void)archive_entry_xattr_reset(en);
	while (archive_entry_xattr_next(en, &name, &val, &len) == ARCHIVE_OK)
		if (tree_keeps_xattr(name) && fsetxattr(fd, name, val, len, 0) != 0)
			return err_sys(e, "set attribute %s", name);
	return 0;
}

/* Counts a file's growth to `to` bytes; holes count as well. */
static int grow(struct extract *x, uint64_t *end, uint64_t to, struct err *e)
{
	if (to <= *end)
		return 0;
	if (to - *end > x->o->bytes_max - x->bytes) {
		(void)err_set(e, ERR_RECIPE, "more than %llu bytes in all files",
			      (unsigned long long)x->o->bytes_max);
		return x->o->read_only ? err_hint(e, EXTRACT_RAISE, "size") : -1;
	}
	x->bytes += to - *end;
	*end = to;
	return 0;
}

static int write_at(int fd, const struct reader_piece *piece, struct err *e)
{
	size_t done = 0;

	while (done < piece->n) {
		ssize_t w = pwrite(fd, (const char *)piece->p + done, piece->n - done,
				   (off_t)(piece->at + done));

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return err_sys(e, "write");
		done += (size_t)w;
	}
	return 0;
}

int extract_data(struct extract *x, struct archive_entry *en, int fd, struct err *e)
{
	uint64_t size = archive_entry_size(en) > 0 ? (uint64_t)archive_entry_size(en) : 0;
	uint64_t end = 0, written = 0;
	struct reader_piece piece;

	/* all at once, so that a file that is too large is not begun */
	if (grow(x, &end, size, e) != 0)
		return -1;
	while (true) {
		uint64_t to;

		if (intr_pending())
			return intr_err(e);
		if (reader_data(x->r, &piece, e) != 0)
			return -1;
		if (piece.end)
			break;
		if (__builtin_add_overflow(piece.at, (uint64_t)piece.n, &to) || to > INT64_MAX)
			return err_set(e, ERR_RECIPE, "it has data past the end of any file");
		if (grow(x, &end, to, e) != 0 || write_at(fd, &piece, e) != 0)
			return -1;
		/* an empty piece tells where a hole ends */
		if (piece.n > 0 && to > written)
			written = to;
	}
	if (written < end && ftruncate(fd, (off_t)end) != 0)
		return err_sys(e, "write");
	return 0;
}

static int set_attributes(const struct extract *x, struct archive_entry *en, int fd, struct err *e)
{
	const struct timespec times[2] = {extract_mtime(en), extract_mtime(en)};
	int64_t uid, gid;

	if (extract_owner(x, en, &uid, &gid, e) != 0)
		return -1;
	/* in this order: a change of owner takes setuid bits and capabilities away */
	if (uid >= 0 && fchown(fd, (uid_t)uid, (gid_t)gid) != 0) {
		(void)err_sys(e, "change owner to %lld:%lld", (long long)uid, (long long)gid);
		return err_hint(e, "Run as root, or with enough subordinate ids in /etc/subuid.");
	}
	if (fchmod(fd, extract_mode(x, en)) != 0)
		return err_sys(e, "change mode");
	if (extract_xattrs(x, en, fd, e) != 0)
		return -1;
	return futimens(fd, times) == 0 ? 0 : err_sys(e, "set time");
}

int extract_file(struct extract *x, struct archive_entry *en, const char *path, struct err *e)
{
	int fd SCOPED(fd_closep) = -1;
	const char *name;
	int dir;

	if (extract_clear(x, path, false, e) != 0 ||
	    beneath_parent(&x->dirs, path, &dir, &name, e) != 0)
		return -1;
	fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, "create");
	if (extract_data(x, en, fd, e) != 0)
		return -1;
	return set_attributes(x, en, fd, e);
}
