#include "store/store.h"

#include "base/fault.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct store {
	char *path; /* absolute */
	int fd, blobs_fd, tmp_fd;
};

void store_free(struct store *s)
{
	if (s == NULL)
		return;
	fd_closep(&s->fd);
	fd_closep(&s->blobs_fd);
	fd_closep(&s->tmp_fd);
	free(s->path);
	free(s);
}

void store_freep(struct store **s)
{
	store_free(*s);
	*s = NULL;
}

int store_open(const char *path, struct store **ret, struct err *e)
{
	struct store *s SCOPED(store_freep) = mem_zalloc(sizeof(*s));

	s->fd = s->blobs_fd = s->tmp_fd = -1;
	if (fs_mkdirs(AT_FDCWD, path, 0755, e) != 0 || fs_open_dir(AT_FDCWD, path, &s->fd, e) != 0)
		return err_in(e, "store");
	s->path = realpath(path, NULL);
	if (s->path == NULL)
		return err_sys(e, "store %s", path);
	if (fs_mkdirs(s->fd, "blobs/sha256", 0755, e) != 0 ||
	    fs_mkdirs(s->fd, "partial", 0755, e) != 0 || fs_mkdirs(s->fd, "tmp", 0755, e) != 0 ||
	    fs_open_dir(s->fd, "blobs/sha256", &s->blobs_fd, e) != 0 ||
	    fs_open_dir(s->fd, "tmp", &s->tmp_fd, e) != 0)
		return err_in(e, "store %s", path);
	fs_spread(s->tmp_fd);
	*ret = STEAL(s);
	return 0;
}

int store_fd(const struct store *s)
{
	return s->fd;
}

const char *store_path(const struct store *s)
{
	return s->path;
}

bool store_has(const struct store *s, const struct digest *d, uint64_t *ret_size)
{
	struct digest_hex h = digest_hex(d);
	struct stat st;

	if (fstatat(s->blobs_fd, h.s, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
		return false;
	if (ret_size != NULL)
		*ret_size = (uint64_t)st.st_size;
	return true;
}

int store_get(const struct store *s, const struct digest *d, int *ret_fd, struct err *e)
{
	struct digest_hex h = digest_hex(d);
	int fd = openat(s->blobs_fd, h.s, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "store: blob sha256:%s", h.s);
	*ret_fd = fd;
	return 0;
}

int store_read(const struct store *s, const struct digest *d, struct buf *ret, struct err *e)
{
	struct digest_hex h = digest_hex(d);
	size_t before = ret->len;
	struct digest got;

	if (fs_get_file(s->blobs_fd, h.s, ret, e) != 0)
		return err_in(e, "store");
	got = digest_of(ret->data + before, ret->len - before);
	if (!digest_equal(&got, d))
		return err_set(e, ERR_VERIFY, "store: blob sha256:%s is damaged", h.s);
	return 0;
}

char *store_blob_path(const struct store *s, const struct digest *d)
{
	return mem_format("%s/blobs/sha256/%s", s->path, digest_hex(d).s);
}

char *store_partial_path(const struct store *s, const struct digest *d)
{
	return mem_format("%s/partial/%s", s->path, digest_hex(d).s);
}

struct store_put {
	struct store *s;
	int fd;
	char name[48];
	struct hash *hash;
	uint64_t size;
};

void store_put_free(struct store_put *p)
{
	if (p == NULL)
		return;
	if (p->name[0] != '\0')
		(void)unlinkat(p->s->tmp_fd, p->name, 0);
	fd_closep(&p->fd);
	hash_free(p->hash);
	free(p);
}

void store_put_freep(struct store_put **p)
{
	store_put_free(*p);
	*p = NULL;
}

/* A name of our own in tmp/: "KIND.PID.N". The pid lets others see whether we still live. */
static int own_name(struct store *s, const char *kind, char *name, size_t cap)
{
	static unsigned long n;

	for (;;) {
		struct stat st;

		(void)snprintf(name, cap, "%s.%ld.%lu", kind, (long)getpid(), n++);
		if (fstatat(s->tmp_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
			return 0;
	}
}

int store_put_begin(struct store *s, struct store_put **ret, struct err *e)
{
	struct store_put *p SCOPED(store_put_freep) = mem_zalloc(sizeof(*p));

	p->s = s;
	p->hash = hash_new();
	(void)own_name(s, "put", p->name, sizeof(p->name));
	p->fd = openat(s->tmp_fd, p->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (p->fd < 0) {
		p->name[0] = '\0';
		return err_sys(e, "store: make a file in %s/tmp", s->path);
	}
	fault_point("blob begun");
	*ret = STEAL(p);
	return 0;
}

static int put_write(void *ctx, const void *data, size_t n, struct err *e)
{
	struct store_put *p = ctx;

	if (fs_write_all(p->fd, data, n, e) != 0)
		return err_in(e, "store");
	hash_add(p->hash, data, n);
	p->size += n;
	return 0;
}

struct sink store_put_sink(struct store_put *p)
{
	return (struct sink){put_write, p};
}

void store_put_start(struct store_put *p)
{
	(void)sync_file_range(p->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

/* Gives tmp/name its place under its digest, durably. There already is as good. */
static int place(struct store *s, int fd, const char *name, const struct digest *d, struct err *e)
{
	struct digest_hex h = digest_hex(d);

	if (fchmod(fd, 0644) != 0 || fsync(fd) != 0)
		return err_sys(e, "store: sync");
	fault_point("blob written");
	if (renameat(s->tmp_fd, name, s->blobs_fd, h.s) != 0)
		return err_sys(e, "store: place sha256:%s", h.s);
	fault_point("blob placed");
	if (fsync(s->blobs_fd) != 0)
		return err_sys(e, "store: sync");
	return 0;
}

int store_put_commit(struct store_put *p, const struct digest *want, struct digest *ret,
		     uint64_t *ret_size, struct err *e)
{
	struct digest d = hash_final(p->hash);

	if (want != NULL && !digest_equal(&d, want))
		return err_set(e, ERR_VERIFY, "wants %s, is %s", digest_text(want).s,
			       digest_text(&d).s);
	if (!store_has(p->s, &d, NULL)) {
		if (place(p->s, p->fd, p->name, &d, e) != 0)
			return -1;
		p->name[0] = '\0';
	}
	if (ret != NULL)
		*ret = d;
	if (ret_size != NULL)
		*ret_size = p->size;
	return 0;
}

int store_put_bytes(struct store *s, const void *p, size_t n, struct digest *ret, struct err *e)
{
	struct store_put *put SCOPED(store_put_freep) = NULL;

	if (store_put_begin(s, &put, e) != 0 || put_write(put, p, n, e) != 0)
		return -1;
	return store_put_commit(put, NULL, ret, NULL, e);
}

/* path as seen from our own descriptor, if it lies in the store: a descriptor from before the
 * process got a mount namespace of its own and a path looked up after it count as two devices. */
static const char *inside(const struct store *s, const char *path)
{
	size_t n = strlen(s->path);

	return strncmp(path, s->path, n) == 0 && path[n] == '/' ? path + n + 1 : path;
}

/* One file of store_adopt_all on its way. */
struct adoption {
	int fd;        /* < 0: refused */
	char name[48]; /* in tmp/ */
};

static int check_file(const struct store_file *f, int *ret_fd, struct err *e)
{
	int fd SCOPED(fd_closep) = open(f->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	char *wanted SCOPED(mem_freep) = NULL;
	struct digest got;
	uint64_t n;

	if (fd < 0)
		return err_sys(e, "open %s", f->path);
	if (digest_fd(fd, &got, &n, e) != 0)
		return err_in(e, "%s", f->path);
	if (!digest_equal(&got, &f->want) || (f->size != 0 && n != f->size)) {
		(void)unlink(f->path);
		wanted = f->size != 0 ? mem_format(" of %llu bytes", (unsigned long long)f->size)
				      : mem_strdup("");
		return err_set(e, ERR_VERIFY, "wants %s%s, got %s of %llu bytes",
			       digest_text(&f->want).s, wanted, digest_text(&got).s,
			       (unsigned long long)n);
	}
	*ret_fd = STEAL_FD(fd);
	return 0;
}

static int take_in(struct store *s, const struct store_file *f, struct adoption *a, struct err *e)
{
	int fd SCOPED(fd_closep) = -1;

	if (check_file(f, &fd, e) != 0)
		return -1;
	(void)own_name(s, "adopt", a->name, sizeof(a->name));
	if (renameat(s->fd, inside(s, f->path), s->tmp_fd, a->name) != 0 || fchmod(fd, 0644) != 0)
		return err_sys(e, "store: adopt %s", f->path);
	fault_point("adopted");
	/* begins to write; the syncs that follow then share one journal commit */
	(void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	a->fd = STEAL_FD(fd);
	return 0;
}

static int place_all(struct store *s, const struct store_file *v, const struct adoption *a,
		     size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (a[i].fd >= 0 && fsync(a[i].fd) != 0)
			return err_sys(e, "store: sync");
	fault_point("blobs written");
	for (size_t i = 0; i < n; i++) {
		struct digest_hex h = digest_hex(&v[i].want);

		if (a[i].fd >= 0 && renameat(s->tmp_fd, a[i].name, s->blobs_fd, h.s) != 0)
			return err_sys(e, "store: place sha256:%s", h.s);
		fault_point("one of them placed");
	}
	return fsync(s->blobs_fd) == 0 ? 0 : err_sys(e, "store: sync");
}

int store_adopt_all(struct store *s, struct store_file *v, size_t n, struct err *e)
{
	struct adoption *a SCOPED(mem_freep) = mem_zalloc(n * sizeof(*a));
	int rc;

	for (size_t i = 0; i < n; i++) {
		a[i].fd = -1;
		v[i].err = (struct err)ERR_INIT;
		v[i].rc = take_in(s, &v[i], &a[i], &v[i].err);
	}
	rc = place_all(s, v, a, n, e);
	for (size_t i = 0; i < n; i++)
		fd_closep(&a[i].fd);
	return rc;
}

int store_adopt(struct store *s, const char *path, const struct digest *want, uint64_t size,
		struct err *e)
{
	struct store_file f = {.path = path, .want = *want, .size = size};

	if (store_adopt_all(s, &f, 1, e) != 0)
		return -1;
	if (f.rc != 0)
		*e = f.err;
	return f.rc;
}
