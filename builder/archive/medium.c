/* A vendor's medium: what its bytes say it is, and what is in what is inside it. */
#include "archive/extract.h"
#include "archive/kind.h"
#include "archive/rpm.h"
#include "archive/udf.h"
#include "archive/worker.h"
#include "sys/fs.h"
#include "sys/intr.h"
#include <fcntl.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH_MAX = 4 };

struct job {
	int fd;
	const struct unpack_medium *m;
	struct unpack_opts o;
	locale_t utf8; /* Joliet and zip have Unicode names, which libarchive gives in the
			  locale's character set; names of others shall stay as they are */
};

/* A file without a name, below root. */
static int nameless(int root, int *ret, struct err *e)
{
	static const char name[] = ".posmedia-inside";

	*ret = openat(root, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (*ret < 0 || unlinkat(root, name, 0) != 0)
		return err_sys(e, "make a file for what is inside");
	return 0;
}

static int too_large(const struct job *j, struct err *e)
{
	(void)err_set(e, ERR_RECIPE, "more than %llu bytes", (unsigned long long)j->o.bytes_max);
	return err_hint(e, EXTRACT_RAISE, "size");
}

/* Writes the rest of a source to a file. */
static int spool(const struct job *j, struct source *src, int to, struct err *e)
{
	uint64_t sum = 0;
	const void *p;
	size_t n = 1;

	while (n > 0) {
		if (intr_pending())
			return intr_err(e);
		if (source_read(src, &p, &n, e) != 0)
			return -1;
		sum += n;
		if (sum > j->o.bytes_max)
			return too_large(j, e);
		if (n > 0 && fs_write_all(to, p, n, e) != 0)
			return -1;
	}
	return 0;
}

/* What is open, and what it is. */
struct layer {
	int fd; /* owned, but for the first */
	struct kind kind;
};

static int rewind_to(int fd, uint64_t at, struct err *e)
{
	return lseek(fd, (off_t)at, SEEK_SET) >= 0 ? 0 : err_sys(e, "read it again");
}

/* Discs and zip archives are read in any order: a compressed one is decompressed first. */
static int open_reader(const struct job *j, int root, const struct layer *l, struct reader **ret,
		       struct err *e)
{
	bool any_order = l->kind.of == KIND_ISO || l->kind.of == KIND_ZIP;
	struct source *src SCOPED(source_freep) = NULL;
	int plain SCOPED(fd_closep) = -1;

	if (rewind_to(l->fd, l->kind.at, e) != 0 ||
	    source_open(l->fd, SOURCE_TO_THE_END, &src, e) != 0)
		return -1;
	if (any_order && l->kind.packed) {
		if (nameless(root, &plain, e) != 0 || spool(j, src, plain, e) != 0 ||
		    rewind_to(plain, 0, e) != 0)
			return -1;
		source_free(STEAL(src));
		/* the source reads it as long as the worker lives */
		if (source_open(STEAL_FD(plain), SOURCE_TO_THE_END, &src, e) != 0)
			return -1;
	}
	(void)uselocale(any_order && j->utf8 != (locale_t)0 ? j->utf8 : LC_GLOBAL_LOCALE);
	return reader_open(STEAL(src), kind_formats(&l->kind), ret, e);
}

static int copy_entry(const struct job *j, struct reader *r, int to, struct err *e)
{
	struct reader_piece piece = {0};

	while (true) {
		if (intr_pending())
			return intr_err(e);
		if (reader_data(r, &piece, e) != 0)
			return -1;
		if (piece.end)
			return 0;
		if (piece.at > j->o.bytes_max || piece.n > j->o.bytes_max - piece.at)
			return too_large(j, e);
		if (lseek(to, (off_t)piece.at, SEEK_SET) < 0)
			return err_sys(e, "write");
		if (fs_write_all(to, piece.p, piece.n, e) != 0)
			return -1;
	}
}

/* Whether the entry is the file that is wanted. */
static int is_wanted(const struct extract *x, struct archive_entry *en, const char *want, bool *ret,
		     struct err *e)
{
	const char *name = archive_entry_pathname(en);
	char *path SCOPED(mem_freep) = NULL;

	*ret = false;
	if (name == NULL || extract_own_path(x, name, &path, e) != 0)
		return name == NULL ? 0 : err_in(e, "%.200s", name);
	*ret = strcmp(path, want) == 0;
	if (*ret && (archive_entry_filetype(en) != AE_IFREG || archive_entry_hardlink(en) != NULL))
		return err_set(e, ERR_RECIPE, "%.200s is no file of its own there", want);
	return 0;
}

/* Copies the file `want` of the archive into a new one. */
static int take_out(const struct job *j, int root, const struct layer *l, const char *want,
		    int *ret, struct err *e)
{
	struct unpack_opts o = j->o;
	struct reader *r SCOPED(reader_freep) = NULL;
	struct archive_entry *en = NULL;
	int to SCOPED(fd_closep) = -1;
	struct extract x = {.o = &o};
	uint64_t entries = 0;
	bool found = false;

	o.bare_disc = l->kind.bare;
	if (open_reader(j, root, l, &r, e) != 0)
		return -1;
	x.r = r;
	while (!found) {
		if (reader_next(r, &en, e) != 0)
			return -1;
		if (en == NULL || entries++ > j->o.entries_max)
			break;
		if (is_wanted(&x, en, want, &found, e) != 0)
			return -1;
	}
	if (!found) {
		(void)err_set(e, ERR_RECIPE, "%s has no file %.200s", kind_name(&l->kind), want);
		return err_hint(e, "inside: wants paths as they are in the archive");
	}
	if (nameless(root, &to, e) != 0 || copy_entry(j, r, to, e) != 0)
		return err_in(e, "%.200s", want);
	*ret = STEAL_FD(to);
	return 0;
}

/* The medium as a file: the bytes as they are. */
static int place_file(const struct job *j, int root, int from, struct err *e)
{
	static const struct timespec times[2];
	int fd SCOPED(fd_closep) = -1;
	uint64_t n = 0;
	struct stat st;

	if (rewind_to(from, 0, e) != 0)
		return -1;
	if (fstat(from, &st) == 0 && (uint64_t)st.st_size > j->o.bytes_max)
		return too_large(j, e);
	fd = openat(root, j->m->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, "create %s", j->m->name);
	if (fs_copy_fd(from, fd, &n, e) != 0)
		return -1;
	if (fchmod(fd, 0555) != 0 || futimens(fd, times) != 0)
		return err_sys(e, "change mode of %s", j->m->name);
	return 0;
}

static int extract(const struct job *j, int root, const struct layer *l, struct err *e)
{
	struct unpack_opts o = j->o;
	struct reader *r SCOPED(reader_freep) = NULL;

	o.bare_disc = l->kind.bare;
	return open_reader(j, root, l, &r, e) == 0 ? extract_all(r, root, &o, e) : -1;
}

static int find_kind(struct layer *l, struct err *e)
{
	if (kind_find(l->fd, &l->kind, e) == 0)
		return 0;
	return err_hint(e, "as: file shows it to the step as it is");
}

static int go_inside(const struct job *j, int root, struct layer *l, struct err *e)
{
	for (size_t i = 0; j->m->inside != NULL && i < j->m->inside->n; i++) {
		const char *want = j->m->inside->v[i];
		int next = -1;

		if (i == DEPTH_MAX)
			return err_set(e, ERR_RECIPE, "more than %d archives in each other",
				       (int)DEPTH_MAX);
		if (find_kind(l, e) != 0)
			return -1;
		if (l->kind.of == KIND_PLAIN)
			return err_set(e, ERR_RECIPE, "it is no archive, so %.200s is not in it",
				       want);
		if (take_out(j, root, l, want, &next, e) != 0)
			return -1;
		l->fd =
		    next; /* the one before stays open: its reader is gone, its inode is small */
	}
	return 0;
}

/* In the worker: "/" is the destination. */
static int work(void *arg, struct err *e)
{
	const struct job *j = arg;
	int root SCOPED(fd_closep) = -1;
	struct layer l = {.fd = j->fd};

	if (worker_root(&root, e) != 0 || go_inside(j, root, &l, e) != 0)
		return -1;
	if (j->m->as_file)
		return place_file(j, root, l.fd, e);
	if (find_kind(&l, e) != 0)
		return -1;
	if (j->m->disc && l.kind.of != KIND_ISO)
		return err_set(e, ERR_RECIPE, "it is %s, and no disc", kind_name(&l.kind));
	return l.kind.of == KIND_PLAIN ? place_file(j, root, l.fd, e) : extract(j, root, &l, e);
}

static int unpack_any(const struct job *j, const char *dest, struct err *e);

/* The file of that name below `whole`, a tree that was on the disc. */
static int open_inside(const char *whole, const char *name, int *ret, struct err *e)
{
	int root SCOPED(fd_closep) = -1, fd SCOPED(fd_closep) = -1;
	struct err late = ERR_INIT;
	struct stat st;

	if (fs_open_dir(AT_FDCWD, whole, &root, e) != 0)
		return -1;
	if (fs_open_in_root(root, name, O_RDONLY | O_NOFOLLOW, &fd, &late) != 0 ||
	    fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		(void)err_set(e, ERR_RECIPE, "a disc of UDF has no file %.200s", name);
		return err_hint(e, "inside: wants paths as they are in the archive");
	}
	*ret = STEAL_FD(fd);
	return 0;
}

/* A disc of UDF: of what is inside it the rest of the way leads on. */
static int unpack_udf(const struct job *j, const char *dest, struct err *e)
{
	char *whole SCOPED(mem_freep) = mem_format("%s.whole", dest);
	struct unpack_medium m = *j->m;
	struct strv inside = {0};
	int fd SCOPED(fd_closep) = -1;
	struct job rest = *j;
	struct err late = ERR_INIT;
	int rc;

	if (m.inside == NULL || m.inside->n == 0)
		return udf_unpack(j->fd, dest, &j->o, e);
	if (mkdir(whole, 0755) != 0)
		return err_sys(e, "make %s", whole);
	rc = udf_unpack(j->fd, whole, &j->o, e) != 0 ||
		     open_inside(whole, m.inside->v[0], &fd, e) != 0
		 ? -1
		 : 0;
	for (size_t i = 1; i < m.inside->n; i++)
		strv_add(&inside, m.inside->v[i]);
	m.inside = &inside;
	rest.m = &m;
	rest.fd = fd;
	if (rc == 0)
		rc = unpack_any(&rest, dest, e);
	strv_release(&inside);
	if (fs_rmtree(AT_FDCWD, whole, &late) != 0 && rc == 0) {
		*e = late;
		rc = -1;
	}
	return rc;
}

/* An rpm that has to become a tar first. */
static bool is_large_rpm(int fd)
{
	struct err quiet = ERR_INIT;
	bool large = false;
	uint64_t at;

	return rpm_payload(fd, &at, &large, &quiet) == 0 && large;
}

static int unpack_rpm(const struct job *j, const char *dest, struct err *e)
{
	int tar SCOPED(fd_closep) = -1;
	struct job rest = *j;

	if (rpm_to_tar(j->fd, dest, &j->o, &tar, e) != 0)
		return -1;
	rest.fd = tar;
	return worker_run(work, &rest, dest, &rest.o, e);
}

static int unpack_any(const struct job *j, const char *dest, struct err *e)
{
	struct job own = *j;

	if (!j->m->as_file || (j->m->inside != NULL && j->m->inside->n > 0)) {
		if (udf_is(j->fd))
			return unpack_udf(j, dest, e);
		if (is_large_rpm(j->fd))
			return unpack_rpm(j, dest, e);
	}
	return worker_run(work, &own, dest, &own.o, e);
}

int unpack_medium(int fd, const char *what, const char *dest, const struct unpack_medium *m,
		  struct err *e)
{
	const struct unpack_opts o = {.what = what,
				      .read_only = true,
				      .bytes_max = m->bytes_max,
				      .entries_max = m->entries_max,
				      .timeout_ms = m->timeout_ms};
	struct job j = {.fd = fd, .m = m, .o = worker_defaults(&o)};
	int rc;

	j.utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	rc = unpack_any(&j, dest, e);
	if (j.utf8 != (locale_t)0)
		freelocale(j.utf8);
	return rc == 0 ? 0 : err_in(e, "%s", what);
}
