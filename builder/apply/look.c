#include "apply/job.h"

#include "base/fault.h"
#include "sys/fs.h"
#include "sys/par.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { TOGETHER = 256 }; /* entries that a thread looks at in one go */

static const unsigned char kinds[] = {
    [MANIFEST_DIR] = DT_DIR,   [MANIFEST_FILE] = DT_REG, [MANIFEST_LINK] = DT_LNK,
    [MANIFEST_FIFO] = DT_FIFO, [MANIFEST_CHAR] = DT_CHR, [MANIFEST_BLOCK] = DT_BLK,
};

/* A row of things that threads take from; what they have in common. */
struct row {
	struct job *j;
	const uint32_t *v;
	size_t n;
	int (*fn)(struct job *j, size_t i, struct err *e);
};

/* Makes a directory that is missing. Another name of a file is of the type of its first name. */
static int missing(struct job *j, int dirfd, size_t i, struct err *e)
{
	__atomic_add_fetch(&j->result.made, 1, __ATOMIC_RELAXED);
	if (j->want->v[i].type != MANIFEST_DIR)
		return 0;
	j->slots[i].state = SLOT_NEW;
	if (j->o->dry_run)
		return 0;
	if (mkdirat(dirfd, job_name(j, i), S_IRWXU) != 0)
		return job_err(j, i, "make directory", e);
	fault_point("directory");
	return 0;
}

static unsigned char kind_of(int dirfd, const struct fs_name *name)
{
	struct stat st;

	if (name->type != DT_UNKNOWN)
		return name->type;
	if (fstatat(dirfd, name->name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return DT_UNKNOWN;
	return (unsigned char)IFTODT(st.st_mode);
}

/* Entry i is there under its name: of its type, or it goes. */
static int present(struct job *j, int dirfd, size_t i, const struct fs_name *name, struct err *e)
{
	unsigned char kind = kinds[j->want->v[j->slots[i].leader].type];

	if (kind_of(dirfd, name) == kind) {
		j->slots[i].state = SLOT_PRESENT;
		return 0;
	}
	if (job_remove(j, dirfd, name->name, e) != 0)
		return -1;
	fault_point("removed");
	return missing(j, dirfd, i, e);
}

static int unwanted(struct job *j, int dirfd, const char *name, struct err *e)
{
	if (job_remove(j, dirfd, name, e) != 0)
		return -1;
	fault_point("removed");
	return 0;
}

/* Both lists are in byte order. */
static int merge(struct job *j, size_t dir, int dirfd, const struct fs_names *names, struct err *e)
{
	size_t c = j->first[dir], end = j->first[dir + 1], k = 0;
	int rc = 0;

	while (rc == 0 && (c < end || k < names->n)) {
		size_t i = c < end ? j->children[c] : 0;
		int d = c == end        ? 1
			: k == names->n ? -1
					: strcmp(job_name(j, i), names->v[k].name);

		if (d > 0)
			rc = unwanted(j, dirfd, names->v[k].name, e);
		else if (d < 0)
			rc = missing(j, dirfd, i, e);
		else
			rc = present(j, dirfd, i, &names->v[k], e);
		c += d <= 0;
		k += d >= 0;
	}
	return rc;
}

/* A directory's own mode must not keep us out of it; job_dir gives it back. */
static int open_dir(struct job *j, size_t i, int *ret, struct err *e)
{
	int path SCOPED(fd_closep) = job_open(j, i, O_PATH | O_DIRECTORY, 0);
	struct stat st;

	if (path < 0 || fstat(path, &st) != 0)
		return job_err(j, i, "open", e);
	if (!j->mighty && !j->o->dry_run && (st.st_mode & S_IRWXU) != S_IRWXU) {
		j->slots[i].lent = true;
		j->slots[i].mode = (uint16_t)(st.st_mode & ALLPERMS);
		if (chmod(job_fd_path(path).s, (st.st_mode & ALLPERMS) | S_IRWXU) != 0)
			return job_err(j, i, "change the mode of", e);
	}
	*ret = job_open(j, i, O_RDONLY | O_DIRECTORY, 0);
	return *ret >= 0 ? 0 : job_err(j, i, "open", e);
}

static int look_into(struct job *j, size_t i, struct err *e)
{
	struct fs_names names SCOPED(fs_names_release) = {0};
	int fd SCOPED(fd_closep) = -1;

	if (j->slots[i].state == SLOT_NEW && j->o->dry_run)
		return merge(j, i, -1, &names, e);
	if (open_dir(j, i, &fd, e) != 0)
		return -1;
	if (!j->o->dry_run)
		job_mutable(fd);
	if (j->slots[i].state != SLOT_NEW && fs_list_types(fd, &names, e) != 0)
		return err_in(e, "%s", j->want->v[i].path);
	return merge(j, i, fd, &names, e) == 0 ? 0 : err_in(e, "%s", j->want->v[i].path);
}

static void row_one(void *ctx, size_t k)
{
	const struct row *r = ctx;
	struct err e = ERR_INIT;

	if (!job_stop(r->j) && r->fn(r->j, r->v[k], &e) != 0)
		job_fail(r->j, &e);
}

int job_each(struct job *j, const uint32_t *v, size_t n,
	     int (*fn)(struct job *j, size_t i, struct err *e), struct err *e)
{
	struct row r = {j, v, n, fn};

	par_each(n, j->threads, row_one, &r);
	if (!job_stop(j))
		return 0;
	*e = j->err;
	return -1;
}

int job_levels(struct job *j, bool down, int (*fn)(struct job *j, size_t i, struct err *e),
	       struct err *e)
{
	size_t from = 0, to = j->dirs_n;

	while (from < to) {
		size_t a = from, b = to;
		uint16_t depth = j->slots[j->dirs[down ? from : to - 1]].depth;

		if (down)
			for (b = a; b < to && j->slots[j->dirs[b]].depth == depth; b++)
				;
		else
			for (a = b; a > from && j->slots[j->dirs[a - 1]].depth == depth; a--)
				;
		if (job_each(j, j->dirs + a, b - a, fn, e) != 0)
			return -1;
		from = down ? b : from;
		to = down ? to : a;
	}
	return 0;
}

/* Whether an inode that nothing has happened to since this program left it is what is wanted. */
bool job_is_same(const struct job *j, size_t i, const struct stat *st)
{
	const struct manifest_entry *en = &j->want->v[i];
	const struct apply_record *r = memory_find(j->memory, st);
	struct apply_hash attrs;

	if (r == NULL || (en->type == MANIFEST_FILE && (en->unread || r->size != en->size ||
							!digest_equal(&r->digest, &en->digest))))
		return false;
	attrs = job_attrs_hash(j, i);
	return memcmp(&attrs, &r->attrs, sizeof(attrs)) == 0;
}

static int look_at(struct job *j, int dirfd, size_t i, struct err *e)
{
	const struct manifest_entry *en = &j->want->v[i];
	struct slot *s = &j->slots[i];
	bool alone = s->leader == i && s->another == 0;
	struct stat st;

	if (fstatat(dirfd, job_name(j, i), &st, AT_SYMLINK_NOFOLLOW) != 0)
		return job_err(j, i, "stat", e);
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	if (!alone || st.st_nlink > 1 || !job_is_same(j, i, &st))
		return 0;
	s->state = SLOT_SAME;
	j->records[i] = *memory_find(j->memory, &st);
	if (en->type == MANIFEST_FILE)
		job_progress(j, 1, en->size);
	return 0;
}

/* Some of a directory's entries, by where they are in `children`. */
static int look_at_some(struct job *j, size_t from, struct err *e)
{
	size_t end = from + TOGETHER < j->want->n - 1 ? from + TOGETHER : j->want->n - 1;
	int fd SCOPED(fd_closep) = -1;
	uint32_t parent = 0;

	for (size_t c = from; c < end; c++) {
		size_t i = j->children[c];

		if (j->slots[i].state != SLOT_PRESENT || j->want->v[i].type == MANIFEST_DIR)
			continue;
		if (fd < 0 || j->slots[i].parent != parent) {
			fd_closep(&fd);
			parent = j->slots[i].parent;
			if (job_parent(j, i, &fd, e) != 0)
				return -1;
		}
		if (look_at(j, fd, i, e) != 0)
			return -1;
	}
	return 0;
}

int job_look(struct job *j, struct err *e)
{
	size_t n = (j->want->n - 1 + TOGETHER - 1) / TOGETHER;
	uint32_t *from SCOPED(mem_freep) = mem_zalloc(n * sizeof(*from));

	j->slots[0].state = SLOT_PRESENT;
	if (job_levels(j, true, look_into, e) != 0)
		return -1;
	for (size_t k = 0; k < n; k++)
		from[k] = (uint32_t)(k * TOGETHER);
	return job_each(j, from, n, look_at_some, e);
}
