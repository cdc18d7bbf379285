#include "stage/final.h"

#include "archive/pack.h"
#include "archive/unpack.h"
#include "base/fault.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The lock of whoever is at work is nobody's data. */
#define LOCK_PATH ".posmedia/lock"

/* What of an entry no writer leaves as it is. */
struct mark {
	char *path;
	ino_t inode;
	struct timespec changed; /* nobody sets this one: not touch(1), not rsync(1) */
	off_t size;
};

struct marks {
	struct mark *v;
	size_t n, cap;
};

static void marks_release(struct marks *m)
{
	for (size_t i = 0; i < m->n; i++)
		free(m->v[i].path);
	free(m->v);
	*m = (struct marks){0};
}

static int take_mark(void *ctx, const struct fs_entry *en, struct err *e)
{
	struct marks *m = ctx;

	(void)e;
	if (m->n == m->cap) {
		m->cap = m->cap == 0 ? 256 : 2 * m->cap;
		m->v = mem_resize(m->v, m->cap, sizeof(*m->v));
	}
	m->v[m->n++] = (struct mark){mem_strdup(en->path), en->st.st_ino, en->st.st_ctim,
				     S_ISDIR(en->st.st_mode) ? 0 : en->st.st_size};
	return 0;
}

struct filling {
	const struct final *f;
	struct tree tree;
	struct pack_result packed;
	struct marks marks; /* before anything was read */
	size_t left_out;
};

static void filling_release(struct filling *x)
{
	tree_release(&x->tree);
	marks_release(&x->marks);
}

static int write_fd(void *ctx, const void *p, size_t n, struct err *e)
{
	return fs_write_all(*(const int *)ctx, p, n, e);
}

static int fill(void *ctx, int fd, struct err *e)
{
	struct filling *x = ctx;
	const struct sink out = {write_fd, &fd};
	const struct pack_opts o = {.compression = PACK_ZSTD};
	struct tree_entry *lock;

	if (fs_walk(x->f->from, take_mark, &x->marks, e) != 0 ||
	    tree_scan_all(x->f->from, &x->tree, &x->left_out, e) != 0)
		return -1;
	lock = tree_find(&x->tree, LOCK_PATH);
	if (lock != NULL)
		lock->layer = -1;
	return pack_layer(x->f->from, &x->tree, &o, &out, &x->packed, e);
}

static bool same_mark(const struct mark *a, const struct mark *b)
{
	return strcmp(a->path, b->path) == 0 && a->inode == b->inode && a->size == b->size &&
	       a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

/* Nobody may have written while it was read. */
static int compare(const struct filling *x, struct err *e)
{
	struct marks now SCOPED(marks_release) = {0};
	const char *other = NULL;

	if (fs_walk(x->f->from, take_mark, &now, e) != 0)
		return -1;
	for (size_t i = 0; i < now.n && i < x->marks.n && other == NULL; i++)
		if (!same_mark(&now.v[i], &x->marks.v[i]))
			other = now.v[i].path;
	if (other == NULL && now.n == x->marks.n)
		return 0;
	return err_set(e, ERR_BUSY, "%s changed while it was kept",
		       other != NULL ? other : "the directory");
}

static int read_back(const struct filling *x, struct err *e)
{
	int fd SCOPED(fd_closep) = openat(x->f->to, x->f->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct digest file, tar;
	uint64_t size, bytes;

	if (fd < 0)
		return err_sys(e, "open %s", x->f->what);
	/* from the disk, not from memory */
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	if (digest_fd(fd, &file, &size, e) != 0)
		return -1;
	if (!digest_equal(&file, &x->packed.digest) || size != x->packed.size)
		return err_set(e, ERR_VERIFY, "%s is not what was written", x->f->what);
	if (lseek(fd, 0, SEEK_SET) != 0)
		return err_sys(e, "read %s", x->f->what);
	if (unpack_diff_id(fd, x->f->what, &tar, &bytes, e) != 0)
		return -1;
	return digest_equal(&tar, &x->packed.diff_id) && bytes == x->packed.raw_size
		   ? 0
		   : err_set(e, ERR_VERIFY, "%s does not unpack to what was packed", x->f->what);
}

int final_write(const struct final *f, struct stage_ended *ret, struct err *e)
{
	struct filling x SCOPED(filling_release) = {.f = f};
	const struct fs_filler filler = {fill, &x};

	if (faccessat(f->to, f->name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return err_set(e, ERR_BUSY, "%s is there already", f->what);
	if (fs_put_with(f->to, f->name, 0600, &filler, e) != 0)
		return err_in(e, "%s", f->what);
	fault_point("destroy: written");
	if (read_back(&x, e) != 0 || compare(&x, e) != 0)
		return -1;
	ret->digest = x.packed.digest;
	ret->tar = x.packed.diff_id;
	ret->size = x.packed.size;
	ret->bytes = x.packed.raw_size;
	ret->entries = x.packed.entries;
	ret->left_out = x.left_out;
	return 0;
}
