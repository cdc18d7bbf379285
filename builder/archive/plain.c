#include "archive/plain.h"

#include "archive/deb.h"
#include "archive/source.h"
#include "sandbox/sandbox.h"
#include "sys/fs.h"
#include "sys/par.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { HEADER = 60 };

static const uint64_t member_max = UINT64_C(9999999999); /* ten digits in ar's header */
static const uint64_t timeout_ms = UINT64_C(30) * 60 * 1000;

/* Shared with the worker. */
struct work {
	size_t n;
	unsigned threads;
	struct plain_deb v[];
};

static int put_header(int fd, off_t at, const char *name, uint64_t size, struct err *e)
{
	char head[HEADER + 1];

	(void)snprintf(head, sizeof(head), "%-16s%-12d%-6d%-6d%-8o%-10llu`\n", name, 0, 0, 0,
		       0100644, (unsigned long long)size);
	if (pwrite(fd, head, HEADER, at) != HEADER)
		return err_sys(e, "write");
	return 0;
}

/* Copies one member decompressed, behind its header. */
static int put_member(const struct plain_deb *d, const char *name, struct err *e)
{
	struct source *s SCOPED(source_freep) = NULL;
	off_t at = lseek(d->out, 0, SEEK_CUR);
	uint64_t size = 0, len;
	const void *p;
	size_t n = 1;

	if (lseek(d->in, 0, SEEK_SET) != 0 || at < 0 || lseek(d->out, HEADER, SEEK_CUR) < 0)
		return err_sys(e, "seek");
	if (deb_find(d->in, name, &len, e) != 0 || source_open(d->in, len, &s, e) != 0)
		return -1;
	while (n > 0) {
		if (source_read(s, &p, &n, e) != 0 || fs_write_all(d->out, p, n, e) != 0)
			return -1;
		size += n;
		if (size > member_max)
			return err_set(e, ERR_RECIPE, "%s is too large", name);
	}
	if (size % 2 != 0 && fs_write_all(d->out, "\n", 1, e) != 0)
		return -1;
	return put_header(d->out, at, name, size, e);
}

static int make(struct plain_deb *d, struct err *e)
{
	static const char magic[] = "!<arch>\n", version[] = "2.0\n";

	if (fs_write_all(d->out, magic, sizeof(magic) - 1, e) != 0 ||
	    put_header(d->out, sizeof(magic) - 1, "debian-binary", sizeof(version) - 1, e) != 0)
		return -1;
	if (lseek(d->out, HEADER, SEEK_CUR) < 0)
		return err_sys(e, "seek");
	if (fs_write_all(d->out, version, sizeof(version) - 1, e) != 0 ||
	    put_member(d, "control.tar", e) != 0 || put_member(d, "data.tar", e) != 0)
		return -1;
	if (lseek(d->out, 0, SEEK_SET) != 0)
		return err_sys(e, "seek");
	return digest_fd(d->out, &d->digest, NULL, e);
}

static void make_one(void *ctx, size_t i)
{
	struct work *w = ctx;
	struct err why = ERR_INIT;

	w->v[i].done = make(&w->v[i], &why) == 0;
}

static int work(void *arg, struct err *e)
{
	struct work *w = arg;

	(void)e;
	par_each(w->n, w->threads, make_one, w);
	return 0;
}

int plain_debs(struct plain_deb *v, size_t n, unsigned threads, struct err *e)
{
	size_t size = sizeof(struct work) + n * sizeof(*v);
	/* the worker is another process, and its results are wanted */
	struct work *w =
	    mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct sandbox_worker_spec spec = {
	    .fn = work, .arg = w, .file_max = 3 * member_max, .timeout_ms = timeout_ms};
	int rc;

	if (w == MAP_FAILED)
		return err_sys(e, "share memory with a worker");
	w->n = n;
	w->threads = threads;
	memcpy(w->v, v, n * sizeof(*v));
	rc = sandbox_worker(&spec, e);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		v[i].digest = w->v[i].digest;
		v[i].done = w->v[i].done;
	}
	(void)munmap(w, size);
	return rc;
}
