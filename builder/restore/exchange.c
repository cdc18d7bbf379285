#include "restore/exchange.h"

#include "base/fault.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int inode_of(int dirfd, const char *name, struct statx *ret, struct err *e)
{
	if (statx(dirfd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT,
		  STATX_INO | STATX_TYPE | STATX_MNT_ID, ret) != 0)
		return err_sys(e, "look at %s", name);
	return S_ISDIR(ret->stx_mode) ? 0 : err_set(e, ERR_BUSY, "%s is no directory", name);
}

static bool same_place(const struct statx *a, const struct statx *b)
{
	return a->stx_dev_major == b->stx_dev_major && a->stx_dev_minor == b->stx_dev_minor &&
	       a->stx_mnt_id == b->stx_mnt_id;
}

int exchange_look(const struct restore_places *p, struct restore_record *r, struct err *e)
{
	for (size_t i = 0; i < r->n; i++) {
		char *fresh SCOPED(mem_freep) = mem_format("new/%s", r->v[i].name);
		struct statx live, new, work;

		if (inode_of(p->dirfd, r->v[i].name, &live, e) != 0 ||
		    inode_of(p->workfd, fresh, &new, e) != 0 ||
		    inode_of(p->workfd, ".", &work, e) != 0)
			return -1;
		if (!same_place(&live, &work) || !same_place(&new, &work)) {
			(void)err_set(e, ERR_BUSY,
				      "%s is a file system of its own: it cannot be "
				      "exchanged by a rename",
				      r->v[i].name);
			return err_hint(e, "mount the file system at the site's directory");
		}
		r->v[i].live = live.stx_ino;
		r->v[i].fresh = new.stx_ino;
	}
	return 0;
}

/* Makes `inode` the live one, where it is not. */
static int turn(const struct restore_places *p, const struct restore_data *d, uint64_t inode,
		struct err *e)
{
	char *fresh SCOPED(mem_freep) = mem_format("new/%s", d->name);
	struct statx live, other;

	if (inode_of(p->dirfd, d->name, &live, e) != 0 ||
	    inode_of(p->workfd, fresh, &other, e) != 0)
		return -1;
	if (live.stx_ino == inode)
		return 0;
	if (other.stx_ino != inode || (live.stx_ino != d->live && live.stx_ino != d->fresh))
		return err_set(e, ERR_VERIFY, "%s is neither what it was nor what it was to be",
			       d->name);
	if (renameat2(p->dirfd, d->name, p->workfd, fresh, RENAME_EXCHANGE) != 0)
		return err_sys(e, "exchange %s", d->name);
	fault_point("restore: one exchanged");
	return 0;
}

static int sync_both(const struct restore_places *p, struct err *e)
{
	int new SCOPED(fd_closep) = -1;

	if (fs_open_dir(p->workfd, "new", &new, e) != 0)
		return -1;
	return fsync(p->dirfd) == 0 && fsync(new) == 0 ? 0 : err_sys(e, "sync %s", p->work);
}

/* Renames unless it was done. */
static int move(const struct restore_places *p, const char *from, const char *to, struct err *e)
{
	if (faccessat(p->workfd, from, F_OK, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT &&
	    faccessat(p->workfd, to, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	if (renameat2(p->workfd, from, p->workfd, to, RENAME_NOREPLACE) != 0)
		return err_sys(e, "rename %s/%s to %s", p->work, from, to);
	fault_point("restore: set aside");
	return fsync(p->workfd) == 0 ? 0 : err_sys(e, "sync %s", p->work);
}

static int note(const struct restore_places *p, struct restore_record *r, enum restore_phase phase,
		struct err *e)
{
	enum restore_phase was = r->phase;

	r->phase = phase;
	if (restore_record_write(p->ownfd, r, e) == 0)
		return 0;
	r->phase = was;
	return -1;
}

static bool is_there(const struct restore_places *p, const char *name)
{
	return faccessat(p->workfd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int exchange_do(const struct restore_places *p, struct restore_record *r, struct err *e)
{
	if (r->phase != RESTORE_EXCHANGING && note(p, r, RESTORE_EXCHANGING, e) != 0)
		return -1;
	if (is_there(p, "new")) {
		for (size_t i = 0; i < r->n; i++)
			if (turn(p, &r->v[i], r->v[i].fresh, e) != 0)
				return -1;
		if (sync_both(p, e) != 0)
			return -1;
	}
	return move(p, "new", "previous", e) != 0 || note(p, r, RESTORE_EXCHANGED, e) != 0 ? -1 : 0;
}

int exchange_undo(const struct restore_places *p, struct restore_record *r, struct err *e)
{
	if (r->phase != RESTORE_UNDOING && note(p, r, RESTORE_UNDOING, e) != 0)
		return -1;
	if (is_there(p, "previous") && move(p, "previous", "new", e) != 0)
		return -1;
	for (size_t i = 0; i < r->n; i++)
		if (turn(p, &r->v[i], r->v[i].live, e) != 0)
			return -1;
	if (sync_both(p, e) != 0)
		return -1;
	return note(p, r, r->by_hand ? RESTORE_UNDONE : RESTORE_FILLING, e);
}

int exchange_commit(const struct restore_places *p, struct restore_record *r, struct err *e)
{
	if (r->phase != RESTORE_COMMITTING && note(p, r, RESTORE_COMMITTING, e) != 0)
		return -1;
	if (fs_rmtree(p->workfd, "previous", e) != 0)
		return -1;
	fault_point("restore: previous removed");
	if (fs_rmtree(p->ownfd, "restore", e) != 0)
		return -1;
	fault_point("restore: work removed");
	return restore_record_remove(p->ownfd, e);
}
