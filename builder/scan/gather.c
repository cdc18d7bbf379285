#include "scan/gather.h"

#include "sandbox/sandbox.h"
#include "sys/fs.h"
#include "sys/par.h"
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { REPORT_MAX = 64 << 20 };

struct bench {
	pthread_mutex_t lock;
	struct content **v; /* those not in use */
	size_t n;
	uint64_t bytes; /* looked at by those that were given back */
};

struct bench *bench_new(void)
{
	struct bench *b = mem_zalloc(sizeof(*b));

	(void)pthread_mutex_init(&b->lock, NULL);
	return b;
}

struct content *bench_take(struct bench *b)
{
	struct content *c = NULL;

	(void)pthread_mutex_lock(&b->lock);
	if (b->n > 0)
		c = b->v[--b->n];
	(void)pthread_mutex_unlock(&b->lock);
	return c != NULL ? c : mem_zalloc(sizeof(*c));
}

void bench_give(struct bench *b, struct content *c)
{
	(void)pthread_mutex_lock(&b->lock);
	b->bytes += c->bytes;
	c->bytes = 0;
	b->v = mem_resize(b->v, b->n + 1, sizeof(struct content *));
	b->v[b->n++] = c;
	(void)pthread_mutex_unlock(&b->lock);
}

uint64_t bench_freep(struct bench **b)
{
	uint64_t bytes = (*b)->bytes;

	for (size_t i = 0; i < (*b)->n; i++) {
		content_release((*b)->v[i]);
		free((*b)->v[i]);
	}
	free((*b)->v);
	(void)pthread_mutex_destroy(&(*b)->lock);
	free(*b);
	*b = NULL;
	return bytes;
}

static int file_read(void *ctx, void *p, size_t room, size_t *ret_n, struct err *e)
{
	struct gather_file *f = ctx;
	ssize_t n = 0;

	do
		if (!f->end)
			n = read(f->fd, p, room);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(e, "read");
	f->had += (size_t)n;
	f->end = n == 0 || (f->size > 0 && f->had >= f->size && (size_t)n < room);
	*ret_n = (size_t)n;
	return 0;
}

struct input gather_input(struct gather_file *f)
{
	return (struct input){file_read, f};
}

void gather_add(struct gather *g, struct found *f, const struct found_of *of)
{
	struct found_of limited = *of;

	for (int i = 0; i < SCAN_CLASSES; i++)
		g->counts[i] += f->count[i];
	g->incomplete += f->incomplete != NULL ? 1 : 0;
	if (found_any(f) && jval_len(g->files) >= GATHER_FILES)
		g->more++;
	else if (found_any(f)) {
		limited.places = GATHER_PLACES - g->places;
		g->places += f->n < limited.places ? f->n : limited.places;
		jval_push(g->files, found_json(f, &limited));
	}
	found_release(f);
}

static int report(const struct gather *g, int fd, struct err *e)
{
	struct jval *v SCOPED(jval_freep) = jval_object(), *counts = jval_object();
	struct buf b SCOPED(buf_release) = BUF_INIT(REPORT_MAX);

	for (int i = 0; i < SCAN_CLASSES; i++)
		if (g->counts[i] > 0)
			jval_put_int(counts, found_word((enum scan_class)i), (int64_t)g->counts[i]);
	jval_put(v, "files", jval_ref(g->files));
	jval_put(v, "counts", counts);
	jval_put_int(v, "files-scanned", (int64_t)g->files_n);
	jval_put_int(v, "bytes-scanned", (int64_t)g->bytes);
	if (g->incomplete > 0)
		jval_put_int(v, "files-incomplete", (int64_t)g->incomplete);
	if (g->more > 0)
		jval_put_int(v, "files-not-listed", (int64_t)g->more);
	jval_write(v, &b);
	if (buf_over(&b))
		return err_set(e, ERR_FAIL, "the report is larger than 64 MiB");
	return fs_write_all(fd, b.data, b.len, e);
}

static int work(void *arg, struct err *e)
{
	const struct gather_job *j = arg;
	struct gather g = {.files = jval_array()};
	int rc = 0;

	if (j->fd >= 0)
		rc = gather_file(&g, j, e);
	if (rc == 0 && j->dirfd >= 0)
		rc = gather_tree(&g, j, e);
	if (rc == 0 && j->layers_n > 0)
		rc = gather_layers(&g, j, e);
	if (rc == 0)
		rc = report(&g, j->out, e);
	jval_free(g.files);
	return rc;
}

int gather_run(struct gather_job *j, struct jval **ret, struct err *e)
{
	int out SCOPED(fd_closep) = memfd_create("scan", MFD_CLOEXEC);
	const unsigned threads = j->threads > 0 ? j->threads : par_cpus();
	const struct sandbox_worker_spec s = {
	    .fn = work,
	    .arg = j,
	    .dirs = &j->dirfd,
	    .dirs_n = j->dirfd >= 0 ? 1 : 0,
	    /* address space, of which a thread's heap and stack reserve far more than they use */
	    .memory_max = (UINT64_C(2) << 30) + threads * (UINT64_C(256) << 20)};
	off_t size;

	if (out < 0)
		return err_sys(e, "make a file in memory");
	j->out = out;
	if (sandbox_worker(&s, e) != 0)
		return -1;
	size = lseek(out, 0, SEEK_END);
	if (size < 0 || size > REPORT_MAX || lseek(out, 0, SEEK_SET) != 0)
		return err_set(e, ERR_FAIL, "the worker gave no report");
	{
		char *text SCOPED(mem_freep) = mem_zalloc((size_t)size + 1);

		if (fs_read_all(out, text, (size_t)size, e) != 0)
			return -1;
		return jval_parse(text, (size_t)size, "the worker's report", ret, e);
	}
}
