#include "apply/job.h"

#include "base/fault.h"
#include "base/log.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

bool job_names_fit(const struct job *j, size_t i, const struct stat *st)
{
	nlink_t ours = 1;

	for (size_t k = j->slots[i].another; k != 0; k = j->slots[k].another)
		ours += j->slots[k].state == SLOT_PRESENT && j->slots[k].ino == st->st_ino &&
			j->slots[k].dev == st->st_dev;
	return st->st_nlink == ours;
}

/* The name goes; the inode stays under its other names, which are none of this entry's. */
int job_unlink(struct job *j, size_t i, struct err *e)
{
	int dirfd SCOPED(fd_closep) = -1;

	if (job_parent(j, i, &dirfd, e) != 0)
		return -1;
	if (unlinkat(dirfd, job_name(j, i), 0) != 0)
		return job_err(j, i, "remove", e);
	fault_point("unlinked");
	return 0;
}

static int finish(struct job *j, size_t i, int fd, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return job_err(j, i, "stat", e);
	if (job_attrs(j, i, fd, &st, e) != 0)
		return -1;
	return j->o->dry_run ? 0 : job_remember(j, i, fd, e);
}

static int make_new(struct job *j, size_t i, struct err *e)
{
	const struct apply_old none = {0, MEMORY_NONE, NULL};
	int fd SCOPED(fd_closep) = -1;

	j->slots[i].changed = true; /* counted as made */
	if (j->o->dry_run)
		return job_write(j, i, -1, &none, e);
	fd = job_open(j, i, O_RDWR | O_CREAT | O_EXCL, S_IRUSR | S_IWUSR);
	if (fd < 0)
		return job_err(j, i, "make", e);
	fault_point("created");
	return job_write(j, i, fd, &none, e) == 0 ? finish(j, i, fd, e) : -1;
}

/* Opens what O_PATH found, although its mode may say that we must not. */
static int open_for(struct job *j, size_t i, int path, int flags, struct err *e)
{
	const struct job_fd_path p = job_fd_path(path);
	int all = flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, fd = open(p.s, all);
	struct stat st;

	if (fd < 0 && errno == EACCES && !j->mighty && !j->o->dry_run && fstat(path, &st) == 0 &&
	    chmod(p.s, S_IRUSR | S_IWUSR) == 0) {
		fd = open(p.s, all);
		if (chmod(p.s, st.st_mode & ALLPERMS) != 0)
			fd_closep(&fd);
	}
	return fd >= 0 ? fd : job_err(j, i, "open", e);
}

static int thaw(struct job *j, size_t i, int path, struct err *e)
{
	int fd SCOPED(fd_closep) = j->o->dry_run ? -1 : open_for(j, i, path, O_RDONLY, e);

	if (fd < 0)
		return j->o->dry_run ? 0 : -1;
	job_mutable(fd);
	return 0;
}

/* What the file holds: from memory, or by reading it. A file that cannot be read is one of which
 * nothing is known. */
static int learn(struct job *j, size_t i, int path, struct apply_old *old, struct digest *room,
		 struct err *e)
{
	const struct manifest_entry *en = &j->want->v[i];
	int fd SCOPED(fd_closep) = -1;
	struct err unread = ERR_INIT;
	const struct apply_record *r;
	struct stat st;

	if (fstat(path, &st) != 0)
		return job_err(j, i, "stat", e);
	old->size = (uint64_t)st.st_size;
	r = memory_find(j->memory, &st);
	if (r != NULL) {
		*old = (struct apply_old){r->size, r->hashes, &r->digest};
		return 0;
	}
	if (old->size <= MEMORY_SMALL && old->size != en->size)
		return 0;
	fd = open_for(j, i, path, O_RDONLY, e);
	if (fd < 0)
		return -1;
	if (job_read_old(j, fd, old, room, &unread) == 0) {
		old->digest = room;
		return 0;
	}
	log_warn("%s: %s: written anew", en->path, unread.msg);
	old->hashes = MEMORY_NONE;
	return 0;
}

static int write_over(struct job *j, size_t i, int path, const struct apply_old *old, struct err *e)
{
	int fd SCOPED(fd_closep) = -1;

	fd = open_for(j, i, path, j->o->dry_run ? O_RDONLY : O_RDWR, e);
	if (fd < 0)
		return -1;
	fault_point("opened");
	return job_write(j, i, fd, old, e);
}

static int change(struct job *j, size_t i, int path, struct err *e)
{
	const struct manifest_entry *en = &j->want->v[i];
	struct apply_old old = {0, MEMORY_NONE, NULL};
	struct digest room;

	if (thaw(j, i, path, e) != 0 || learn(j, i, path, &old, &room, e) != 0)
		return -1;
	if (!en->unread && old.digest != NULL && old.size == en->size &&
	    digest_equal(old.digest, &en->digest)) {
		j->records[i].hashes = old.hashes;
		j->records[i].digest = en->digest;
		job_progress(j, 0, en->size);
	} else if (write_over(j, i, path, &old, e) != 0) {
		return -1;
	}
	return finish(j, i, path, e);
}

int job_file(struct job *j, size_t i, struct err *e)
{
	int path SCOPED(fd_closep) = -1;
	struct stat st;
	int rc;

	if (j->slots[i].state == SLOT_ABSENT) {
		rc = make_new(j, i, e);
	} else {
		path = job_open(j, i, O_PATH, 0);
		if (path < 0 || fstat(path, &st) != 0)
			return job_err(j, i, "open", e);
		if (S_ISREG(st.st_mode) && job_names_fit(j, i, &st)) {
			rc = change(j, i, path, e);
		} else {
			job_changed(j, i);
			rc = j->o->dry_run || job_unlink(j, i, e) == 0 ? make_new(j, i, e) : -1;
		}
	}
	if (rc == 0)
		job_progress(j, 1, 0);
	return rc;
}
