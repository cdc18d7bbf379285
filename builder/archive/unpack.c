#include "archive/unpack.h"

#include "archive/deb.h"
#include "archive/extract.h"
#include "archive/worker.h"
#include "sys/intr.h"
#include <errno.h>
#include <fcntl.h>
#include <iconv.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define BYTES_MAX   (UINT64_C(64) << 30)
#define ENTRIES_MAX UINT64_C(4000000)
#define TIMEOUT_MS  UINT64_C(600000)

struct job {
	const struct unpack_package *v; /* several archives of one kind */
	size_t n;
	const char *part; /* of a package: how its member's name begins; else NULL */
	enum reader_formats formats;
	struct unpack_opts o;
};

/* The C library reads its character set tables when they are first needed: let that be here, not
 * in a root that an archive has filled. */
static void load_tables(void)
{
	iconv_t cd = iconv_open("ANSI_X3.4-1968", "UTF-8");

	if ((intptr_t)cd != -1)
		(void)iconv_close(cd);
}

static int unpack_one(const struct job *j, int fd, int root, struct err *e)
{
	struct source *src = NULL;
	struct reader *r SCOPED(reader_freep) = NULL;
	uint64_t len = SOURCE_TO_THE_END;

	if (j->part != NULL && deb_find(fd, j->part, &len, e) != 0)
		return -1;
	if (source_open(fd, len, &src, e) != 0 || reader_open(src, j->formats, &r, e) != 0)
		return -1;
	return extract_all(r, root, &j->o, e);
}

int worker_root(int *ret, struct err *e)
{
	*ret = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*ret < 0)
		return err_sys(e, "open the destination");
	/* zip has local times, and the zone's file would be the archive's */
	(void)setenv("TZ", "UTC0", 1);
	tzset();
	return 0;
}

/* In the worker: "/" is the destination. */
static int work(void *arg, struct err *e)
{
	const struct job *j = arg;
	int root SCOPED(fd_closep) = -1;

	if (worker_root(&root, e) != 0)
		return -1;
	for (size_t i = 0; i < j->n; i++)
		if (unpack_one(j, j->v[i].fd, root, e) != 0)
			return j->n > 1 ? err_in(e, "%s", j->v[i].what) : -1;
	return 0;
}

int worker_run(int (*fn)(void *arg, struct err *e), void *arg, const char *dest,
	       const struct unpack_opts *o, struct err *e)
{
	struct sandbox_worker_spec spec = {.fn = fn,
					   .arg = arg,
					   .root = dest,
					   .file_max = o->bytes_max,
					   .timeout_ms = o->timeout_ms};

	load_tables();
	if (sandbox_worker(&spec, e) == 0)
		return 0;
	if (e->sys == ENOSPC || e->sys == EDQUOT)
		(void)err_hint(e, "Make room on the file system of %s.", dest);
	return -1;
}

static int run(struct job *j, const char *dest, struct err *e)
{
	if (worker_run(work, j, dest, &j->o, e) == 0)
		return 0;
	return j->n == 1 ? err_in(e, "%s", j->v[0].what) : -1;
}

struct unpack_opts worker_defaults(const struct unpack_opts *o)
{
	struct unpack_opts r = *o;

	r.bytes_max = r.bytes_max != 0 ? r.bytes_max : BYTES_MAX;
	r.entries_max = r.entries_max != 0 ? r.entries_max : ENTRIES_MAX;
	r.timeout_ms = r.timeout_ms != 0 ? r.timeout_ms : TIMEOUT_MS;
	return r;
}

int unpack(int fd, const char *dest, const struct unpack_opts *o, struct err *e)
{
	const struct unpack_package one = {fd, o->what};
	struct job j = {.v = &one,
			.n = 1,
			.formats = o->layer || o->tar ? READER_TAR : READER_ANY,
			.o = worker_defaults(o)};

	return run(&j, dest, e);
}

int unpack_debs(const struct unpack_package *v, size_t n, const char *dest,
		const struct unpack_opts *o, struct err *e)
{
	struct job j = {
	    .v = v, .n = n, .part = "data.tar", .formats = READER_TAR, .o = worker_defaults(o)};

	j.o.keep_owner = true;
	return run(&j, dest, e);
}

/* Shared with the worker, which is another process. */
struct sum {
	int fd;
	struct digest digest;
	uint64_t size;
};

static int work_sum(void *arg, struct err *e)
{
	struct sum *s = arg;
	struct source *src SCOPED(source_freep) = NULL;
	struct hash *h SCOPED(hash_freep) = hash_new();
	const void *p;
	size_t n = 1;

	if (source_open(s->fd, SOURCE_TO_THE_END, &src, e) != 0)
		return -1;
	while (n > 0) {
		if (intr_pending())
			return intr_err(e);
		if (source_read(src, &p, &n, e) != 0)
			return -1;
		hash_add(h, p, n);
		s->size += n;
	}
	s->digest = hash_final(h);
	return 0;
}

int unpack_diff_id(int fd, const char *what, struct digest *ret, uint64_t *ret_size, struct err *e)
{
	struct sum *s =
	    mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct sandbox_worker_spec spec = {.fn = work_sum, .timeout_ms = TIMEOUT_MS};
	int rc;

	if (s == MAP_FAILED)
		return err_sys(e, "share memory with a worker");
	s->fd = fd;
	spec.arg = s;
	rc = sandbox_worker(&spec, e);
	if (rc == 0) {
		*ret = s->digest;
		if (ret_size != NULL)
			*ret_size = s->size;
	} else {
		(void)err_in(e, "%s", what);
	}
	(void)munmap(s, sizeof(*s));
	return rc;
}
