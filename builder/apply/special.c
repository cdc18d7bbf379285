#include "apply/job.h"

#include "base/fault.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

static const mode_t types[] = {
    [MANIFEST_DIR] = S_IFDIR,  [MANIFEST_FILE] = S_IFREG, [MANIFEST_LINK] = S_IFLNK,
    [MANIFEST_FIFO] = S_IFIFO, [MANIFEST_CHAR] = S_IFCHR, [MANIFEST_BLOCK] = S_IFBLK,
};

static bool is_it(const struct manifest_entry *en, int path, const struct stat *st)
{
	char target[PATH_MAX + 1];
	ssize_t n;

	if ((st->st_mode & S_IFMT) != types[en->type])
		return false;
	if (en->type == MANIFEST_CHAR || en->type == MANIFEST_BLOCK)
		return st->st_rdev == en->device;
	if (en->type != MANIFEST_LINK)
		return true;
	n = readlinkat(path, "", target, sizeof(target));
	return n >= 0 && (size_t)n == strlen(en->target) &&
	       memcmp(target, en->target, (size_t)n) == 0;
}

static int make(struct job *j, size_t i, struct err *e)
{
	const struct manifest_entry *en = &j->want->v[i];
	int dirfd SCOPED(fd_closep) = -1;
	int rc;

	if (job_parent(j, i, &dirfd, e) != 0)
		return -1;
	if (en->type == MANIFEST_LINK)
		rc = symlinkat(en->target, dirfd, job_name(j, i));
	else
		rc =
		    mknodat(dirfd, job_name(j, i), types[en->type] | S_IRUSR | S_IWUSR, en->device);
	if (rc != 0)
		return job_err(j, i, "make", e);
	fault_point("made");
	return 0;
}

/* What is there, when it is what is wanted; *ret stays -1 when it is not, and then it is gone. */
static int keep(struct job *j, size_t i, int *ret, struct err *e)
{
	int path SCOPED(fd_closep) = job_open(j, i, O_PATH, 0);
	struct stat st;

	if (path < 0 || fstat(path, &st) != 0)
		return job_err(j, i, "open", e);
	if (is_it(&j->want->v[i], path, &st) && job_names_fit(j, i, &st)) {
		*ret = STEAL_FD(path);
		return 0;
	}
	job_changed(j, i);
	return j->o->dry_run ? 0 : job_unlink(j, i, e);
}

int job_special(struct job *j, size_t i, struct err *e)
{
	int path SCOPED(fd_closep) = -1;
	struct stat st;

	if (j->want->v[i].type == MANIFEST_LINK && j->want->v[i].target == NULL)
		return err_set(e, ERR_VERIFY, "manifest: %s: a link to nothing",
			       j->want->v[i].path);
	if (j->slots[i].state == SLOT_PRESENT && keep(j, i, &path, e) != 0)
		return -1;
	j->slots[i].changed |= path < 0;
	if (path < 0 && j->o->dry_run)
		return 0;
	if (path < 0 && make(j, i, e) != 0)
		return -1;
	if (path < 0)
		path = job_open(j, i, O_PATH, 0);
	if (path < 0 || fstat(path, &st) != 0)
		return job_err(j, i, "open", e);
	if (job_attrs(j, i, path, &st, e) != 0)
		return -1;
	return j->o->dry_run ? 0 : job_remember(j, i, path, e);
}

int job_link(struct job *j, size_t i, struct err *e)
{
	size_t leader = j->slots[i].leader;
	int path SCOPED(fd_closep) = -1, dirfd SCOPED(fd_closep) = -1;
	struct stat st;

	if (j->o->dry_run) {
		if (j->slots[i].state == SLOT_PRESENT && j->slots[i].ino != j->slots[leader].ino)
			job_changed(j, i);
		return 0;
	}
	path = job_open(j, leader, O_PATH, 0);
	if (path < 0 || fstat(path, &st) != 0)
		return job_err(j, leader, "open", e);
	if (j->slots[i].state == SLOT_PRESENT && j->slots[i].ino == st.st_ino &&
	    j->slots[i].dev == st.st_dev)
		return 0;
	if (j->slots[i].state == SLOT_PRESENT) {
		job_changed(j, i);
		if (job_unlink(j, i, e) != 0)
			return -1;
	}
	if (job_parent(j, i, &dirfd, e) != 0)
		return -1;
	if (linkat(AT_FDCWD, job_fd_path(path).s, dirfd, job_name(j, i), AT_SYMLINK_FOLLOW) != 0)
		return job_err(j, i, "link", e);
	fault_point("linked");
	return 0;
}

int job_dir(struct job *j, size_t i, struct err *e)
{
	int path SCOPED(fd_closep) = -1;
	struct stat st;

	if (j->o->dry_run && j->slots[i].state == SLOT_NEW)
		return 0;
	path = job_open(j, i, O_PATH | O_DIRECTORY, 0);
	if (path < 0 || (j->slots[i].lent && chmod(job_fd_path(path).s, j->slots[i].mode) != 0) ||
	    fstat(path, &st) != 0)
		return job_err(j, i, "open", e);
	j->slots[i].changed |= j->slots[i].state == SLOT_NEW;
	if (job_is_same(j, i, &st)) {
		j->records[i] = *memory_find(j->memory, &st);
		return 0;
	}
	if (job_attrs(j, i, path, &st, e) != 0)
		return -1;
	return j->o->dry_run ? 0 : job_remember(j, i, path, e);
}
