#include "archive/files.h"

#include "archive/reader.h"
#include "archive/tarw.h"
#include "sandbox/sandbox.h"
#include "sys/fs.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TIMEOUT_MS = 60000, FILES_MAX = 4096 };

/* What comes before a path and the bytes of a file on the way from the worker. */
struct head {
	uint32_t path_n, mode, uid, gid;
	uint64_t n;
};

struct job {
	int from, to;
	const struct files_want *w;
};

static void one_release(struct small_file *one)
{
	free(one->path);
	free(one->data);
}

void files_release(struct files *f)
{
	for (size_t i = 0; i < f->n; i++)
		one_release(&f->v[i]);
	free(f->v);
	*f = (struct files){0};
}

static struct small_file *find(const struct files *f, const char *path)
{
	for (size_t i = 0; i < f->n; i++)
		if (strcmp(f->v[i].path, path) == 0)
			return &f->v[i];
	return NULL;
}

const struct small_file *files_find(const struct files *f, const char *path)
{
	return find(f, path);
}

/* Takes it over. */
static void take(struct files *f, struct small_file one)
{
	struct small_file *old = find(f, one.path);

	if (old != NULL) {
		one_release(old);
		*old = one;
		return;
	}
	f->v = mem_resize(f->v, f->n + 1, sizeof(*f->v));
	f->v[f->n++] = one;
}

void files_put(struct files *f, const struct small_file *one)
{
	struct small_file copy = *one;

	copy.path = mem_strdup(one->path);
	copy.data = mem_strndup(one->n > 0 ? one->data : "", one->n);
	take(f, copy);
}

void files_put_text(struct files *f, const struct small_file *like, const char *text)
{
	struct small_file one = *like;

	one.path = mem_strdup(like->path);
	one.data = mem_strdup(text);
	one.n = strlen(text);
	take(f, one);
}

static int to_buf(void *ctx, const void *p, size_t n, struct err *e)
{
	struct buf *b = ctx;

	buf_add(b, p, n);
	return buf_over(b) ? err_set(e, ERR_FAIL, "more than %zu bytes of files", b->max) : 0;
}

int files_tar(const struct files *f, struct buf *ret, struct err *e)
{
	const struct sink out = {to_buf, ret};

	for (size_t i = 0; i < f->n; i++) {
		const struct small_file *one = &f->v[i];
		struct tree_entry en = {.path = one->path,
					.mode = one->mode,
					.uid = one->uid,
					.gid = one->gid,
					.size = one->n};

		if (tarw_header(&out, &en, NULL, 0, e) != 0 ||
		    (one->n > 0 && to_buf(ret, one->data, one->n, e) != 0) ||
		    tarw_pad(&out, one->n, e) != 0)
			return -1;
	}
	return tarw_end(&out, e);
}

/* "./a/b/" is a/b; *ret is NULL for the top itself. */
static int own_path(const char *below, const char *name, char **ret, struct err *e)
{
	size_t n;

	while (strncmp(name, "./", 2) == 0 || name[0] == '/')
		name += name[0] == '/' ? 1 : 2;
	n = strlen(name);
	while (n > 0 && name[n - 1] == '/')
		n--;
	*ret = NULL;
	if (n == 0 || strcmp(name, ".") == 0)
		return 0;
	*ret = mem_format("%s%s%.*s", below, below[0] != '\0' ? "/" : "", (int)n, name);
	if (n < PATH_MAX && fs_relative_ok(*ret))
		return 0;
	free(STEAL(*ret));
	return err_set(e, ERR_RECIPE, "a path that leaves the tree");
}

static int read_bytes(struct reader *r, struct buf *ret, struct err *e)
{
	struct reader_piece piece = {0};

	while (true) {
		if (reader_data(r, &piece, e) != 0)
			return -1;
		if (piece.end)
			return 0;
		/* a sparse file has holes between its pieces */
		if (piece.at != ret->len)
			return err_set(e, ERR_RECIPE, "a sparse file");
		buf_add(ret, piece.p, piece.n);
		if (buf_over(ret))
			return err_set(e, ERR_RECIPE, "too large");
	}
}

static int hand_over(const struct job *j, struct reader *r, struct archive_entry *en,
		     const char *path, uint64_t *left, struct err *e)
{
	struct buf data SCOPED(buf_release) = BUF_INIT(*left);
	struct head h = {.path_n = (uint32_t)strlen(path),
			 .mode = S_IFREG | (archive_entry_perm(en) & 0777),
			 .uid = (uint32_t)archive_entry_uid(en),
			 .gid = (uint32_t)archive_entry_gid(en)};

	if (read_bytes(r, &data, e) != 0)
		return err_in(e, "%.200s", path);
	*left -= data.len;
	h.n = data.len;
	return fs_write_all(j->to, &h, sizeof(h), e) != 0 ||
		       fs_write_all(j->to, path, h.path_n, e) != 0 ||
		       fs_write_all(j->to, data.data, data.len, e) != 0
		   ? -1
		   : 0;
}

static bool is_plain(struct archive_entry *en)
{
	return archive_entry_hardlink(en) == NULL && archive_entry_filetype(en) == AE_IFREG;
}

/* In the worker. */
static int work(void *arg, struct err *e)
{
	const struct job *j = arg;
	struct source *src = NULL;
	struct reader *r SCOPED(reader_freep) = NULL;
	struct archive_entry *en = NULL;
	uint64_t left = j->w->bytes_max, entries = 0;

	if (source_open(j->from, SOURCE_TO_THE_END, &src, e) != 0 ||
	    reader_open(src, READER_TAR, &r, e) != 0)
		return -1;
	while (true) {
		char *path SCOPED(mem_freep) = NULL;
		const char *name;

		if (reader_next(r, &en, e) != 0)
			return -1;
		if (en == NULL)
			return 0;
		name = archive_entry_pathname(en);
		if (name == NULL || entries++ >= j->w->entries_max)
			return err_set(e, ERR_RECIPE, "more than %llu entries, or one without name",
				       (unsigned long long)j->w->entries_max);
		if (own_path(j->w->below, name, &path, e) != 0)
			return -1;
		if (path != NULL && is_plain(en) && j->w->wants(j->w->ctx, path) &&
		    hand_over(j, r, en, path, &left, e) != 0)
			return -1;
	}
}

static int take_one(const struct job *j, uint64_t *left, struct small_file *ret, struct err *e)
{
	struct head h;

	if (*left < sizeof(h) || fs_read_all(j->to, &h, sizeof(h), e) != 0)
		return -1;
	*left -= sizeof(h);
	if (h.path_n == 0 || h.path_n > PATH_MAX || h.n > j->w->bytes_max || *left < h.path_n + h.n)
		return -1;
	*left -= h.path_n + h.n;
	*ret = (struct small_file){.mode = h.mode & (S_IFMT | 0777),
				   .uid = h.uid,
				   .gid = h.gid,
				   .path = mem_zalloc(h.path_n + 1),
				   .data = mem_zalloc((size_t)h.n + 1),
				   .n = (size_t)h.n};
	return fs_read_all(j->to, ret->path, h.path_n, e) != 0 ||
		       (h.n > 0 && fs_read_all(j->to, ret->data, ret->n, e) != 0) ||
		       !fs_relative_ok(ret->path) || !S_ISREG(ret->mode)
		   ? -1
		   : 0;
}

/* What the worker wrote: it has read hostile bytes, and is believed no more than those. */
static int take_all(const struct job *j, struct files *ret, struct err *e)
{
	struct stat st;
	uint64_t left;

	if (fstat(j->to, &st) != 0 || lseek(j->to, 0, SEEK_SET) != 0)
		return err_sys(e, "read what was unpacked");
	left = (uint64_t)st.st_size;
	while (left > 0) {
		struct small_file one = {0};

		if (ret->n >= FILES_MAX)
			return err_set(e, ERR_RECIPE, "more than %d files", (int)FILES_MAX);
		if (take_one(j, &left, &one, e) != 0) {
			one_release(&one);
			return err_set(e, ERR_RECIPE, "it was unpacked to nonsense");
		}
		take(ret, one);
	}
	return 0;
}

int files_read(int fd, const struct files_want *w, struct files *ret, struct err *e)
{
	int to SCOPED(fd_closep) = memfd_create("files", MFD_CLOEXEC);
	struct job j = {fd, to, w};
	const struct sandbox_worker_spec spec = {.fn = work, .arg = &j, .timeout_ms = TIMEOUT_MS};
	struct files got SCOPED(files_release) = {0};
	size_t max = w->files_max != 0 ? w->files_max : FILES_MAX;

	if (to < 0 || lseek(fd, 0, SEEK_SET) != 0)
		return err_sys(e, "read an archive");
	if (sandbox_worker(&spec, e) != 0 || take_all(&j, &got, e) != 0)
		return -1;
	if (ret->n + got.n > max)
		return err_set(e, ERR_RECIPE, "more than %zu files", max);
	for (size_t i = 0; i < got.n; i++)
		take(ret, got.v[i]);
	free(STEAL(got.v));
	got.n = 0;
	return 0;
}
