#include "snapshot/gather.h"

#include "base/log.h"
#include "sys/fs.h"
#include "sys/intr.h"
#include "sys/par.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { JOB_FILES = 256, JOB_BYTES = 4 << 20, TRIES = 3, TOLD = 20 };

/* Files that one thread reads one after the other, so that their blocks lie together. */
struct job {
	size_t first, n;
};

struct gather_run {
	struct gather *g;
	struct manifest *m; /* each entry is one thread's */
	size_t *todo;       /* numbers of entries: large files first, then as they come */
	size_t todo_n;
	struct job *jobs;
	size_t jobs_n;
	pthread_mutex_t lock; /* of all below, and of g->mine and its counts */
	struct err err;
	bool failed;
	uint64_t done, total;
};

void gather_release(struct gather *g)
{
	for (size_t i = 0; i < g->mine.n; i++)
		free((void *)(uintptr_t)g->mine.v[i]);
	items_release(&g->mine);
}

const uint8_t *gather_item(const struct gather *g, const struct digest *d)
{
	const uint8_t *item = items_find(g->known, d);

	return item != NULL ? item : items_find(&g->mine, d);
}

static bool has_content(const struct manifest_entry *en)
{
	return en->type == MANIFEST_FILE && en->same_as == NULL;
}

static int by_digest(const void *a, const void *b, void *ctx)
{
	const struct manifest *m = ctx;
	size_t x = *(const size_t *)a, y = *(const size_t *)b;
	int d = memcmp(m->v[x].digest.b, m->v[y].digest.b, DIGEST_BYTES);

	return d != 0 ? d : (x > y) - (x < y);
}

static int large_first(const void *a, const void *b, void *ctx)
{
	const struct manifest *m = ctx;
	size_t x = *(const size_t *)a, y = *(const size_t *)b;
	uint64_t p = m->v[x].size, q = m->v[y].size;

	if (p < JOB_BYTES)
		p = 0;
	if (q < JOB_BYTES)
		q = 0;
	return p != q ? (p < q) - (p > q) : (x > y) - (x < y);
}

static bool wants_reading(const struct gather *g, const struct manifest_entry *en)
{
	return en->unread || gather_item(g, &en->digest) == NULL;
}

/* What has to be read: each content once, as far as it is known. */
static void find_todo(struct gather_run *x)
{
	const struct manifest *m = x->m;
	size_t n = 0;

	x->todo = mem_resize(NULL, m->n + 1, sizeof(*x->todo));
	for (size_t i = 0; i < m->n; i++)
		if (has_content(&m->v[i]) && wants_reading(x->g, &m->v[i]))
			x->todo[n++] = i;
	qsort_r(x->todo, n, sizeof(*x->todo), by_digest, (void *)(uintptr_t)m);
	for (size_t i = 0; i < n; i++) {
		const struct manifest_entry *en = &m->v[x->todo[i]];

		if (i > 0 && !en->unread && !m->v[x->todo[i - 1]].unread &&
		    digest_equal(&en->digest, &m->v[x->todo[i - 1]].digest))
			continue;
		x->todo[x->todo_n++] = x->todo[i];
		x->total += en->size;
	}
	qsort_r(x->todo, x->todo_n, sizeof(*x->todo), large_first, (void *)(uintptr_t)m);
}

static void make_jobs(struct gather_run *x)
{
	uint64_t bytes = 0;

	x->jobs = mem_resize(NULL, x->todo_n + 1, sizeof(*x->jobs));
	for (size_t i = 0; i < x->todo_n; i++) {
		uint64_t size = x->m->v[x->todo[i]].size;
		struct job *j = x->jobs_n > 0 ? &x->jobs[x->jobs_n - 1] : NULL;

		if (j != NULL && j->n < JOB_FILES && bytes + size <= JOB_BYTES) {
			j->n++;
			bytes += size;
			continue;
		}
		x->jobs[x->jobs_n++] = (struct job){i, 1};
		bytes = size;
	}
}

static void say_progress(struct gather_run *x, size_t n)
{
	const struct snapshot_opts *o = x->g->o;

	(void)pthread_mutex_lock(&x->lock);
	x->done += n;
	x->g->read += n;
	if (o->progress != NULL)
		o->progress(o->ctx, x->done, x->total, writer_added(x->g->w));
	(void)pthread_mutex_unlock(&x->lock);
}

/* Fills the buffer from the file's position, as far as there is anything. */
static ssize_t fill(int fd, uint8_t *p, size_t n)
{
	size_t got = 0;

	while (got < n) {
		ssize_t r = read(fd, p + got, n - got);

		if (r < 0 && errno == EINTR && !intr_pending())
			continue;
		if (r < 0)
			return -1;
		if (r == 0)
			break;
		got += (size_t)r;
	}
	return (ssize_t)got;
}

/* An open file. */
struct reading {
	int fd;
	const char *path;
	uint64_t limit; /* its size when it was opened: what is added later is not looked at */
};

/* Into blocks; what they are together. */
static int read_blocks(struct gather_run *x, struct filler *f, struct ids *ids,
		       const struct reading *from, struct manifest_entry *ret, struct err *e)
{
	uint8_t *p = filler_buffer(f);
	uint64_t size = 0;
	ssize_t n;

	(void)filler_digest(f);
	while ((n = fill(from->fd, p,
			 from->limit - size < FILLER_BUFFER ? (size_t)(from->limit - size)
							    : FILLER_BUFFER)) > 0) {
		size += (uint64_t)n;
		for (size_t at = 0; at < (size_t)n; at += SNAPSHOT_GRID) {
			size_t left = (size_t)n - at;
			struct block_id id;

			if (filler_next(f, p + at, left < SNAPSHOT_GRID ? left : SNAPSHOT_GRID, &id,
					e) != 0 ||
			    ids_add(ids, f, &id, e) != 0)
				return -1;
		}
		say_progress(x, (size_t)n);
	}
	if (intr_pending())
		return intr_err(e);
	if (n < 0)
		return err_sys(e, "read %s", from->path);
	ret->digest = filler_digest(f);
	ret->size = size;
	return 0;
}

/* What is not there any more, or is another thing. */
static bool is_gone(int errnum)
{
	return errnum == ENOENT || errnum == ENOTDIR || errnum == ELOOP || errnum == ENXIO ||
	       errnum == EISDIR;
}

static int open_entry(int dirfd, const char *path, int *ret_fd, struct err *e)
{
	const struct open_how how = {
	    .flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
	    .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
	struct stat st;
	int fd = fs_openat2(dirfd, path, &how);

	if (fd < 0)
		return is_gone(errno) ? 1 : err_sys(e, "open %s", path);
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		(void)close(fd);
		return 1;
	}
	*ret_fd = fd;
	return 0;
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* What was written to while it was read, and did not only grow, may be half of the one and half of
 * the other. */
static bool is_torn(const struct stat *before, int fd)
{
	struct stat now;

	return fstat(fd, &now) != 0 || now.st_size < before->st_size ||
	       (now.st_size == before->st_size && !same_time(&now.st_mtim, &before->st_mtim));
}

/* Whether an entry says what was read; of one that was not read before only its stat can tell. */
static bool is_as_said(const struct manifest_entry *en, const struct manifest_entry *is,
		       const struct stat *st)
{
	if (is->size != en->size)
		return false;
	return en->unread ? st->st_mtim.tv_sec == en->mtime &&
				(uint32_t)st->st_mtim.tv_nsec == en->mtime_ns
			  : digest_equal(&is->digest, &en->digest);
}

/* The entry becomes what was read. */
static void take_changed(struct gather_run *x, struct manifest_entry *en,
			 const struct manifest_entry *is, const struct stat *st)
{
	char *shown SCOPED(mem_freep) = manifest_shown(en->path);
	bool as_said = is_as_said(en, is, st);

	en->unread = false;
	if (as_said) {
		en->digest = is->digest;
		return;
	}
	en->size = is->size;
	en->digest = is->digest;
	en->mode = st->st_mode & 07777;
	en->mtime = st->st_mtim.tv_sec;
	en->mtime_ns = (uint32_t)st->st_mtim.tv_nsec;
	en->holes = 0;
	(void)pthread_mutex_lock(&x->lock);
	if (x->g->changed++ < TOLD)
		log_warn("%s changed meanwhile: the snapshot has what was read last", shown);
	(void)pthread_mutex_unlock(&x->lock);
}

/* For the next snapshot, unless somebody touched it. */
static void remember(const struct gather_run *x, int fd, const struct stat *before,
		     const struct digest *d)
{
	const struct manifest_opts *m = x->g->o->manifest;
	struct stat now;

	if (m != NULL && m->seen != NULL && fstat(fd, &now) == 0 &&
	    now.st_size == before->st_size && same_time(&now.st_mtim, &before->st_mtim) &&
	    same_time(&now.st_ctim, &before->st_ctim))
		manifest_seen_note(m->seen, before, d);
}

static int read_open(struct gather_run *x, struct filler *f, struct ids *ids, int fd,
		     struct manifest_entry *en, struct err *e)
{
	struct buf item SCOPED(buf_release) = BUF_INIT(ITEM_MAX);
	struct reading from = {.fd = fd, .path = en->path};
	struct manifest_entry is;
	struct stat st;
	uint8_t *own;

	for (unsigned tries = 0; tries == 0 || (tries < TRIES && is_torn(&st, fd)); tries++) {
		if (fstat(fd, &st) != 0 || lseek(fd, 0, SEEK_SET) != 0)
			return err_sys(e, "read %s", en->path);
		memset(ids, 0, sizeof(*ids));
		from.limit = (uint64_t)st.st_size;
		if (read_blocks(x, f, ids, &from, &is, e) != 0)
			return -1;
	}
	take_changed(x, en, &is, &st);
	remember(x, fd, &st, &is.digest);
	buf_add(&item, en->digest.b, DIGEST_BYTES);
	if (ids_end(ids, f, &item, e) != 0)
		return -1;
	own = mem_resize(NULL, item.len, 1);
	memcpy(own, item.data, item.len);
	(void)pthread_mutex_lock(&x->lock);
	items_add(&x->g->mine, own);
	(void)pthread_mutex_unlock(&x->lock);
	return 0;
}

/* 1: it is not there any more. */
static int read_file(struct gather_run *x, struct filler *f, struct ids *ids, size_t i,
		     struct err *e)
{
	struct manifest_entry *en = &x->m->v[i];
	int fd SCOPED(fd_closep) = -1;
	int rc = open_entry(x->g->dirfd, en->path, &fd, e);

	if (rc != 0)
		return rc;
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	return read_open(x, f, ids, fd, en, e);
}

static void run_job(void *ctx, size_t n)
{
	struct gather_run *x = ctx;
	const struct job *j = &x->jobs[n];
	struct filler *f = writer_take(x->g->w);
	struct ids *ids SCOPED(mem_freep) = mem_zalloc(sizeof(*ids));

	for (size_t i = 0; i < j->n; i++) {
		struct err e = ERR_INIT;
		int rc = x->failed ? 0 : read_file(x, f, ids, x->todo[j->first + i], &e);

		if (rc == 0)
			continue;
		(void)pthread_mutex_lock(&x->lock);
		if (rc == 1)
			x->g->gone++;
		else if (!x->failed)
			x->err = e;
		x->failed |= rc < 0;
		(void)pthread_mutex_unlock(&x->lock);
	}
	writer_give(x->g->w, f);
}

int gather_files(struct gather *g, struct manifest *m, struct err *e)
{
	struct gather_run x = {.g = g, .m = m, .err = ERR_INIT};

	(void)pthread_mutex_init(&x.lock, NULL);
	g->gone = 0;
	items_sort(&g->mine);
	find_todo(&x);
	make_jobs(&x);
	par_each(x.jobs_n, g->o->manifest != NULL ? g->o->manifest->threads : 0, run_job, &x);
	items_sort(&g->mine);
	free(x.todo);
	free(x.jobs);
	(void)pthread_mutex_destroy(&x.lock);
	if (!x.failed)
		return 0;
	*e = x.err;
	return -1;
}

void gather_settle(const struct gather *g, struct manifest *m, bool drop)
{
	size_t n = 0;

	m->files = m->bytes = 0;
	for (size_t i = 0; i < m->n; i++) {
		struct manifest_entry en = m->v[i];
		/* what is before it is settled, and stays in order */
		const struct manifest settled = {.v = m->v, .n = n};
		const struct manifest_entry *first =
		    en.same_as != NULL ? manifest_find(&settled, en.same_as) : NULL;

		if (drop && ((en.same_as != NULL && first == NULL) ||
			     (has_content(&en) && wants_reading(g, &en)))) {
			m->gone++;
			continue;
		}
		if (first != NULL && en.type == MANIFEST_FILE) {
			en.size = first->size;
			en.digest = first->digest;
			en.mode = first->mode;
			en.mtime = first->mtime;
			en.mtime_ns = first->mtime_ns;
			en.holes = first->holes;
		}
		m->files += has_content(&en);
		m->bytes += has_content(&en) ? en.size : 0;
		m->v[n++] = en;
	}
	m->n = n;
}
