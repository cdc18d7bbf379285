#include "apply/apply.h"

#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { LARGE = 1 << 20 };

/* another tree */
struct tree {
	const struct manifest *want;
	int dirfd;
	struct manifest *learns; /* the same, or NULL */
	struct manifest_seen *seen;
};

struct handle {
	int fd;
	bool direct;    /* past the page cache: into aligned rooms, from aligned places */
	struct stat st; /* when it was opened */
};

static int busy(struct err *e)
{
	(void)err_set(e, ERR_BUSY, "changed since its manifest was made");
	return err_hint(e, "make the manifest again and repeat");
}

static bool is_unchanged(const struct manifest_entry *en, const struct stat *st)
{
	return S_ISREG(st->st_mode) && (uint64_t)st->st_size == en->size &&
	       st->st_mtim.tv_sec == en->mtime && (uint32_t)st->st_mtim.tv_nsec == en->mtime_ns;
}

/* Without a trace in its time of access, where we may. */
static int open_file(const struct tree *t, const char *path)
{
	struct open_how how = {
	    .flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | O_NOATIME,
	    .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
	};
	int fd = fs_openat2(t->dirfd, path, &how);

	if (fd >= 0 || errno != EPERM)
		return fd;
	how.flags &= ~(uint64_t)O_NOATIME;
	return fs_openat2(t->dirfd, path, &how);
}

/* A large file that is not in memory is read past it: its pages would be made for nothing, and
 * drive out those of a shop that is at work. Not every file system can. */
static void read_past_cache(struct handle *h)
{
	char one;
	const struct iovec v = {&one, 1};

	if (h->st.st_size >= LARGE && preadv2(h->fd, &v, 1, 0, RWF_NOWAIT) < 0 && errno == EAGAIN)
		h->direct = fcntl(h->fd, F_SETFL, fcntl(h->fd, F_GETFL) | O_DIRECT) == 0;
}

static void read_through_cache(struct handle *h)
{
	h->direct = false;
	(void)fcntl(h->fd, F_SETFL, fcntl(h->fd, F_GETFL) & ~O_DIRECT);
}

static int tree_open(void *ctx, size_t i, void **ret, struct err *e)
{
	const struct tree *t = ctx;
	const struct manifest_entry *en = &t->want->v[i];
	int fd SCOPED(fd_closep) = open_file(t, en->path);
	struct handle *h;
	struct stat st;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == ENXIO))
		return busy(e);
	if (fd < 0 || fstat(fd, &st) != 0)
		return err_sys(e, "open");
	if (!is_unchanged(en, &st))
		return busy(e);
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	h = mem_zalloc(sizeof(*h));
	h->fd = STEAL_FD(fd);
	h->st = st;
	read_past_cache(h);
	*ret = h;
	return 0;
}

/* At its end: the file must be as long as it was, and nobody may have touched it. */
static int check(const struct handle *h, struct err *e)
{
	struct stat st;

	if (fstat(h->fd, &st) != 0)
		return err_sys(e, "stat");
	if (st.st_size != h->st.st_size || st.st_mtim.tv_sec != h->st.st_mtim.tv_sec ||
	    st.st_mtim.tv_nsec != h->st.st_mtim.tv_nsec ||
	    st.st_ctim.tv_sec != h->st.st_ctim.tv_sec ||
	    st.st_ctim.tv_nsec != h->st.st_ctim.tv_nsec)
		return busy(e);
	return 0;
}

static int tree_read(void *handle, uint64_t at, void *p, size_t n, size_t *ret_n, struct err *e)
{
	struct handle *h = handle;
	size_t got = 0;

	while (got < n) {
		ssize_t r;

		if (h->direct && ((uintptr_t)p | n | at | got) % APPLY_BLOCK != 0)
			read_through_cache(h);
		r = pread(h->fd, (char *)p + got, n - got, (off_t)(at + got));
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0 && errno == EINVAL && h->direct) {
			read_through_cache(h);
			continue;
		}
		if (r < 0)
			return err_sys(e, "read");
		if (r == 0)
			break;
		got += (size_t)r;
	}
	if (got < n && check(h, e) != 0)
		return -1;
	*ret_n = got;
	return 0;
}

static void tree_close(void *ctx, void *handle)
{
	struct handle *h = handle;

	(void)ctx;
	fd_closep(&h->fd);
	free(h);
}

static void tree_learnt(void *ctx, void *handle, size_t i, const struct digest *d)
{
	const struct handle *h = handle;
	struct tree *t = ctx;

	if (t->learns != NULL) {
		t->learns->v[i].digest = *d;
		t->learns->v[i].unread = false;
	}
	if (t->seen != NULL)
		manifest_seen_note(t->seen, &h->st, d);
}

int apply_content_of_dir(int dirfd, const struct manifest *want, struct apply_content *ret,
			 struct err *e)
{
	struct tree *t;
	int fd;

	if (fs_open_dir(dirfd, ".", &fd, e) != 0)
		return -1;
	t = mem_zalloc(sizeof(*t));
	*t = (struct tree){.want = want, .dirfd = fd};
	*ret = (struct apply_content){.open = tree_open,
				      .read = tree_read,
				      .close = tree_close,
				      .learnt = tree_learnt,
				      .ctx = t,
				      .living = true};
	return 0;
}

void apply_content_learns(struct apply_content *c, struct manifest *want,
			  struct manifest_seen *seen)
{
	struct tree *t = c->ctx;

	t->learns = want;
	t->seen = seen;
}

void apply_content_free(struct apply_content *c)
{
	struct tree *t = c->ctx;

	if (t != NULL)
		fd_closep(&t->dirfd);
	free(t);
	*c = (struct apply_content){0};
}
