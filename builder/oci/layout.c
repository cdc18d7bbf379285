#include "oci/oci.h"

#include "base/fault.h"
#include "form/ref.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { ENTRIES_MAX = 100000, INDEX_MAX = 64 << 20 };

struct oci_layout {
	char *path;
	int fd;
	struct oci_desc *entries;
	size_t n;
	unsigned held; /* how often it is locked */
	bool scratch;  /* nobody waits for the disk */
};

static const char marker[] = "{\"imageLayoutVersion\":\"1.0.0\"}";

void oci_layout_free(struct oci_layout *l)
{
	if (l == NULL)
		return;
	for (size_t i = 0; i < l->n; i++)
		oci_desc_release(&l->entries[i]);
	free(l->entries);
	fd_closep(&l->fd);
	free(l->path);
	free(l);
}

void oci_layout_freep(struct oci_layout **l)
{
	oci_layout_free(*l);
	*l = NULL;
}

int oci_layout_fd(const struct oci_layout *l)
{
	return l->fd;
}

const char *oci_layout_path(const struct oci_layout *l)
{
	return l->path;
}

/* name: below the layout; `dir`, open, is where it lies. */
static int put(const struct oci_layout *l, int dir, const char *name, const void *p, size_t n,
	       struct err *e)
{
	const char *base = strrchr(name, '/');
	char *path SCOPED(mem_freep) = NULL;

	if (!l->scratch)
		return fs_put(dir, base != NULL ? base + 1 : name, p, n, 0644, e);
	path = fs_join(l->path, name);
	return fs_put_unsynced(path, p, n, 0644, e);
}

static int save_index(const struct oci_layout *l, struct err *e)
{
	struct jval *v SCOPED(jval_freep) = jval_object();
	struct jval *list = jval_array();
	struct buf b SCOPED(buf_release) = BUF_INIT(INDEX_MAX);

	for (size_t i = 0; i < l->n; i++)
		jval_push(list, oci_desc_json(&l->entries[i]));
	jval_put_int(v, "schemaVersion", 2);
	jval_put_text(v, "mediaType", OCI_INDEX);
	jval_put(v, "manifests", list);
	jval_write(v, &b);
	if (buf_over(&b))
		return err_set(e, ERR_FAIL, "index.json: too large");
	return put(l, l->fd, "index.json", b.data, b.len, e);
}

/* Others may be adding to the index at the same time: whoever changes it waits for his turn. */
static int lock_index(struct oci_layout *l, struct err *e)
{
	if (l->held == 0 && flock(l->fd, LOCK_EX) != 0)
		return err_sys(e, "lock %s", l->path);
	l->held++;
	return 0;
}

static void unlock_index(struct oci_layout *l)
{
	if (--l->held == 0)
		(void)flock(l->fd, LOCK_UN);
}

static int fill(const struct oci_layout *l, struct err *e)
{
	if (faccessat(l->fd, "index.json", F_OK, 0) == 0)
		return 0;
	fault_point("layout directory");
	if (fs_mkdirs(l->fd, "blobs/sha256", 0755, e) != 0 ||
	    put(l, l->fd, "oci-layout", marker, sizeof(marker) - 1, e) != 0)
		return -1;
	return save_index(l, e);
}

static int create(struct oci_layout *l, struct err *e)
{
	int rc;

	if (mkdir(l->path, 0755) != 0 && errno != EEXIST)
		return err_sys(e, "make directory %s", l->path);
	fault_point("layout made");
	if (fs_open_dir(AT_FDCWD, l->path, &l->fd, e) != 0 || lock_index(l, e) != 0)
		return -1;
	rc = fill(l, e);
	unlock_index(l);
	return rc;
}

/* fs_get of what is a file: a layout that a stranger made may have a pipe there, and reading that
 * never ends. */
static int get_file(const struct oci_layout *l, const char *name, struct buf *ret, struct err *e)
{
	struct stat st;

	if (fstatat(l->fd, name, &st, 0) == 0 && !S_ISREG(st.st_mode))
		return err_set(e, ERR_VERIFY, "%s: not a file", name);
	return fs_get(l->fd, name, ret, e);
}

static int read_index(struct oci_layout *l, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(INDEX_MAX);
	struct buf mark SCOPED(buf_release) = BUF_INIT(4096);
	struct jval *v SCOPED(jval_freep) = NULL, *m SCOPED(jval_freep) = NULL;
	const struct jval *list;
	const char *version;
	size_t n;

	if (get_file(l, "oci-layout", &mark, e) != 0 || get_file(l, "index.json", &b, e) != 0 ||
	    jval_parse(mark.data, mark.len, "oci-layout", &m, e) != 0 ||
	    jval_parse(b.data, b.len, "index.json", &v, e) != 0) {
		e->kind = ERR_RECIPE;
		return -1;
	}
	version = jval_get_str(m, "imageLayoutVersion");
	if (version == NULL || strcmp(version, "1.0.0") != 0)
		return err_set(e, ERR_RECIPE, "oci-layout: version is not 1.0.0");
	list = jval_get(v, "manifests");
	n = jval_len(list);
	if (!jval_is_array(list) || n > ENTRIES_MAX)
		return err_set(e, ERR_RECIPE, "index.json: no list of manifests");
	l->entries = mem_zalloc(n * sizeof(*l->entries));
	for (; l->n < n; l->n++)
		if (oci_desc_parse(jval_at(list, l->n), "index.json", &l->entries[l->n], e) != 0)
			return -1;
	return 0;
}

static int open_as(const char *dir, bool make, bool scratch, struct oci_layout **ret, struct err *e)
{
	struct oci_layout *l SCOPED(oci_layout_freep) = mem_zalloc(sizeof(*l));

	*l = (struct oci_layout){.fd = -1, .path = mem_strdup(dir), .scratch = scratch};
	if (make ? create(l, e) != 0 : fs_open_dir(AT_FDCWD, dir, &l->fd, e) != 0)
		return err_in(e, "image layout");
	if (read_index(l, e) != 0) {
		(void)err_in(e, "%s: not an OCI image layout", dir);
		return err_hint(e, "name a directory that posmedia build -o oci:DIR:TAG made");
	}
	*ret = STEAL(l);
	return 0;
}

int oci_layout_open(const char *dir, bool make, struct oci_layout **ret, struct err *e)
{
	return open_as(dir, make, false, ret, e);
}

int oci_layout_scratch(const char *dir, struct oci_layout **ret, struct err *e)
{
	return open_as(dir, true, true, ret, e);
}

const struct oci_desc *oci_layout_entries(const struct oci_layout *l, size_t *ret_n)
{
	*ret_n = l->n;
	return l->entries;
}

/* Whether an entry is an image of ours and not a signature or another artifact's tag. */
static bool is_image(const struct oci_desc *d)
{
	bool image = strcmp(d->media_type, OCI_MANIFEST) == 0;

	return (image || strcmp(d->media_type, OCI_INDEX) == 0) &&
	       strncmp(oci_desc_tag(d), "sha256-", 7) != 0;
}

static int none_found(const struct oci_layout *l, const char *what, struct err *e)
{
	struct buf tags SCOPED(buf_release) = BUF_INIT(160);

	for (size_t i = 0; i < l->n; i++)
		if (is_image(&l->entries[i]))
			buf_addf(&tags, " %s", oci_desc_tag(&l->entries[i]));
	(void)err_set(e, ERR_FAIL, "%s: %s", l->path, what);
	return err_hint(e, "it has these tags:%s", tags.len > 0 ? tags.data : " none");
}

int oci_layout_find(const struct oci_layout *l, const char *tag, const struct digest *want,
		    struct oci_desc *ret, struct err *e)
{
	const struct oci_desc *hit = NULL;

	for (size_t i = 0; i < l->n; i++) {
		const struct oci_desc *d = &l->entries[i];

		if (want != NULL && !digest_equal(&d->digest, want))
			continue;
		if (tag[0] != '\0' ? strcmp(oci_desc_tag(d), tag) != 0
				   : want == NULL && !is_image(d))
			continue;
		if (hit != NULL && !digest_equal(&hit->digest, &d->digest))
			return none_found(l, "more than one image; name a tag", e);
		hit = d;
	}
	if (hit == NULL)
		return none_found(l, tag[0] != '\0' ? "no such tag" : "no such image", e);
	oci_desc_copy(hit, ret);
	return 0;
}

int oci_layout_blob(const struct oci_layout *l, const struct digest *d, int *ret_fd,
		    uint64_t *ret_size, struct err *e)
{
	char *path SCOPED(mem_freep) = mem_format("blobs/sha256/%s", digest_hex(d).s);
	int fd SCOPED(fd_closep) =
	    openat(l->fd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return err_sys(e, "%s: blob %s", l->path, digest_text(d).s);
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return err_set(e, ERR_VERIFY, "%s: blob %s is not a file", l->path,
			       digest_text(d).s);
	if (ret_size != NULL)
		*ret_size = (uint64_t)st.st_size;
	*ret_fd = STEAL_FD(fd);
	return 0;
}

int oci_layout_read(const struct oci_layout *l, const struct digest *d, struct buf *ret,
		    struct err *e)
{
	char *path SCOPED(mem_freep) = mem_format("blobs/sha256/%s", digest_hex(d).s);
	size_t before = ret->len;
	struct digest got;

	if (get_file(l, path, ret, e) != 0)
		return err_in(e, "%s", l->path);
	got = digest_of(ret->data + before, ret->len - before);
	if (!digest_equal(&got, d))
		return err_set(e, ERR_VERIFY, "%s: blob %s has the digest %s", l->path,
			       digest_text(d).s, digest_text(&got).s);
	return 0;
}

int oci_layout_add(struct oci_layout *l, const void *p, size_t n, struct digest *ret, struct err *e)
{
	struct digest d = digest_of(p, n);
	char *name SCOPED(mem_freep) = mem_format("blobs/sha256/%s", digest_hex(&d).s);
	int dir SCOPED(fd_closep) = -1;

	if (fs_open_dir(l->fd, "blobs/sha256", &dir, e) != 0 || put(l, dir, name, p, n, e) != 0)
		return err_in(e, "%s", l->path);
	*ret = d;
	return 0;
}

/* Copies fd to `to`, hashing on the way. */
static int copy_hashed(int fd, int to, struct digest *ret, uint64_t *ret_size, struct err *e)
{
	enum { CHUNK = 1 << 18 };
	struct hash *h SCOPED(hash_freep) = hash_new();
	char *chunk SCOPED(mem_freep) = mem_zalloc(CHUNK);
	ssize_t r;

	*ret_size = 0;
	while ((r = read(fd, chunk, CHUNK)) != 0) {
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return err_sys(e, "read");
		hash_add(h, chunk, (size_t)r);
		*ret_size += (uint64_t)r;
		if (fs_write_all(to, chunk, (size_t)r, e) != 0)
			return -1;
	}
	*ret = hash_final(h);
	return 0;
}

/* A blob on its way into the layout. */
struct incoming {
	int fd;
	const struct digest *want;
	uint64_t size;
};

static int fill_blob(void *ctx, int to, struct err *e)
{
	const struct incoming *in = ctx;
	struct digest got;
	uint64_t n;

	if (copy_hashed(in->fd, to, &got, &n, e) != 0)
		return err_in(e, "copy");
	if (digest_equal(&got, in->want) && n == in->size)
		return 0;
	return err_set(e, ERR_VERIFY, "is %s of %llu bytes", digest_text(&got).s,
		       (unsigned long long)n);
}

/* Whether the blob is there and right; a damaged one is replaced. */
static bool have(const struct oci_layout *l, const struct digest *want)
{
	int fd SCOPED(fd_closep) = -1;
	struct err quiet = ERR_INIT;
	struct digest got;

	return oci_layout_blob(l, want, &fd, NULL, &quiet) == 0 &&
	       digest_fd(fd, &got, NULL, &quiet) == 0 && digest_equal(&got, want);
}

int oci_layout_add_fd(struct oci_layout *l, int fd, const struct digest *want, uint64_t size,
		      struct err *e)
{
	struct incoming in = {fd, want, size};
	const struct fs_filler f = {fill_blob, &in};
	int dir SCOPED(fd_closep) = -1;

	if (have(l, want))
		return 0;
	if (fs_open_dir(l->fd, "blobs/sha256", &dir, e) != 0 ||
	    fs_put_with(dir, digest_hex(want).s, 0644, &f, e) != 0)
		return err_in(e, "%s: blob", l->path);
	return 0;
}

int oci_layout_adopt(struct oci_layout *l, const char *name, int fd, const struct digest *d,
		     struct err *e)
{
	int dir SCOPED(fd_closep) = -1;

	if (fs_open_dir(l->fd, "blobs/sha256", &dir, e) != 0)
		return -1;
	if (fchmod(fd, 0644) != 0 || (!l->scratch && fsync(fd) != 0))
		return err_sys(e, "%s: sync %s", l->path, name);
	fault_point("blob to adopt");
	if (renameat(l->fd, name, dir, digest_hex(d).s) != 0 || (!l->scratch && fsync(dir) != 0))
		return err_sys(e, "%s: blob %s", l->path, digest_text(d).s);
	return 0;
}

static void set_tag(struct oci_desc *d, const char *tag)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 20);
	struct jval *copy = NULL;
	struct err e = ERR_INIT;

	if (d->annotations != NULL)
		jval_write(d->annotations, &b);
	if (b.len == 0 || jval_parse(b.data, b.len, "annotations", &copy, &e) != 0)
		copy = jval_object();
	jval_put_text(copy, "org.opencontainers.image.ref.name", tag);
	jval_free(d->annotations);
	d->annotations = copy;
}

static void drop_entry(struct oci_layout *l, size_t i)
{
	oci_desc_release(&l->entries[i]);
	memmove(&l->entries[i], &l->entries[i + 1], (l->n - i - 1) * sizeof(*l->entries));
	l->n--;
}

static void drop_all(struct oci_layout *l)
{
	while (l->n > 0)
		drop_entry(l, l->n - 1);
	free(l->entries);
	l->entries = NULL;
}

/* Puts d into the index as it is now on disk, and takes it over. */
static int put_entry(struct oci_layout *l, const char *tag, struct oci_desc *d, struct err *e)
{
	drop_all(l);
	if (read_index(l, e) != 0)
		return -1;
	for (size_t i = l->n; i-- > 0;) {
		const struct oci_desc *o = &l->entries[i];

		if (tag[0] == '\0' && digest_equal(&o->digest, &d->digest))
			return 0;
		if (tag[0] != '\0' && strcmp(oci_desc_tag(o), tag) == 0)
			drop_entry(l, i);
	}
	if (tag[0] != '\0')
		set_tag(d, tag);
	l->entries = mem_resize(l->entries, l->n + 1, sizeof(*l->entries));
	l->entries[l->n++] = *d;
	*d = (struct oci_desc){0};
	return save_index(l, e);
}

int oci_layout_tag(struct oci_layout *l, const char *tag, const struct oci_desc *manifest,
		   struct err *e)
{
	struct oci_desc d SCOPED(oci_desc_release) = {0};
	int rc;

	if (tag[0] != '\0' && !ref_tag_ok(tag))
		return err_set(e, ERR_USAGE, "%s: not a tag", tag);
	oci_desc_copy(manifest, &d); /* first: it may be one of our own entries */
	if (lock_index(l, e) != 0)
		return -1;
	rc = put_entry(l, tag, &d, e);
	unlock_index(l);
	return rc == 0 ? 0 : err_in(e, "%s", l->path);
}

int oci_layout_lock(struct oci_layout *l, struct err *e)
{
	if (lock_index(l, e) != 0)
		return -1;
	if (l->held > 1)
		return 0;
	drop_all(l);
	if (read_index(l, e) == 0)
		return 0;
	unlock_index(l);
	return -1;
}

void oci_layout_unlock(struct oci_layout *l)
{
	unlock_index(l);
}
