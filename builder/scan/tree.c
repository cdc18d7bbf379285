/* tree.c - every file of a directory tree, by several threads, in the order of the walk. */
#include "scan/gather.h"

#include "harden/root.h"
#include "sys/fs.h"
#include "sys/intr.h"
#include "sys/par.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BATCH = 4096, LARGEST_FIRST = 1 << 20 };

struct item {
	char *path;
	uint64_t size;
	struct found found;
	struct digest sha256;
	bool hashed, failed, empty;
	struct err err;
};

struct walk {
	struct gather *g;
	const struct gather_job *j;
	struct bench *bench;
	struct item *v;
	size_t n;
};

/* Opens a file of the tree, and nothing else: neither link nor pipe, whatever came in its place. */
static int open_file(const struct walk *w, struct item *it)
{
	struct stat st;
	int fd = root_open(w->j->dirfd, it->path,
			   O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	int why = errno;

	/* nothing can be in an empty one, whoever may read it */
	if (fd < 0 && root_stat(w->j->dirfd, it->path, false, &st) == 1 && S_ISREG(st.st_mode) &&
	    st.st_size == 0) {
		it->empty = true;
		return -1;
	}
	if (fd < 0) {
		found_note(&it->found, NULL, strerror(why));
		return -1;
	}
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		(void)close(fd);
		return -1;
	}
	it->size = (uint64_t)st.st_size;
	it->empty = it->size == 0;
	return fd;
}

static void look_at(void *ctx, size_t i)
{
	const struct walk *w = ctx;
	struct item *it = &w->v[i];
	int fd SCOPED(fd_closep) = open_file(w, it);
	struct gather_file file = {.fd = fd, .size = it->size};
	const struct input in = gather_input(&file);
	char *name SCOPED(mem_freep) = NULL;
	struct content *c;

	if (fd < 0 || it->empty || intr_pending())
		return;
	name = found_name(it->path, &it->found);
	c = bench_take(w->bench);
	it->failed = content_scan(c, it->path, it->size, &in, &it->found, &it->err) != 0;
	bench_give(w->bench, c);
	if (!found_any(&it->found) || it->failed)
		return;
	if (lseek(fd, 0, SEEK_SET) == 0)
		it->hashed = digest_fd(fd, &it->sha256, NULL, &it->err) == 0;
}

static int flush(struct walk *w, struct err *e)
{
	int rc = 0;

	par_each(w->n, w->j->threads, look_at, w);
	for (size_t i = 0; i < w->n; i++) {
		struct item *it = &w->v[i];
		const struct found_of of = {.path = it->path,
					    .sha256 = it->hashed ? &it->sha256 : NULL};

		if (it->failed && rc == 0) {
			*e = it->err;
			rc = -1;
		}
		gather_add(w->g, &it->found, &of);
		w->g->files_n += it->empty ? 0 : 1;
		free(it->path);
	}
	w->n = 0;
	if (rc == 0 && intr_pending())
		rc = intr_err(e);
	return rc;
}

static int add_path(struct walk *w, const char *path, struct err *e)
{
	w->v[w->n++] = (struct item){.path = mem_strdup(path), .err = ERR_INIT};
	return w->n == BATCH ? flush(w, e) : 0;
}

static int on_entry(void *ctx, const struct fs_entry *en, struct err *e)
{
	struct walk *w = ctx;

	if (!S_ISREG(en->st.st_mode))
		return 0;
	return add_path(w, en->path, e);
}

static int add_paths(struct walk *w, struct err *e)
{
	for (size_t i = 0; i < w->j->paths_n; i++)
		if (add_path(w, w->j->paths[i], e) != 0)
			return -1;
	return 0;
}

int gather_tree(struct gather *g, const struct gather_job *j, struct err *e)
{
	struct item *v SCOPED(mem_freep) = mem_zalloc(BATCH * sizeof(*v));
	struct walk w = {.g = g, .j = j, .bench = bench_new(), .v = v};
	int rc = j->paths != NULL ? add_paths(&w, e) : fs_walk_types(j->dirfd, on_entry, &w, e);

	if (rc == 0)
		rc = flush(&w, e);
	for (size_t i = 0; i < w.n; i++)
		free(v[i].path);
	g->bytes += bench_freep(&w.bench);
	return rc;
}

int gather_file(struct gather *g, const struct gather_job *j, struct err *e)
{
	struct gather_file file = {.fd = j->fd};
	const struct input in = gather_input(&file);
	int fd = j->fd;
	struct content *c = mem_zalloc(sizeof(*c));
	struct found f = {0};
	struct digest d;
	struct stat st;
	int rc = fstat(fd, &st);

	free(found_name(j->name, &f));
	rc = rc != 0 ? err_sys(e, "stat %s", j->name)
		     : content_scan(c, j->name, (uint64_t)st.st_size, &in, &f, e);
	if (rc == 0 && found_any(&f))
		rc = lseek(fd, 0, SEEK_SET) != 0 ? err_sys(e, "read %s again", j->name)
						 : digest_fd(fd, &d, NULL, e);
	if (rc == 0)
		gather_add(g, &f, &(struct found_of){.path = j->name, .sha256 = &d});
	g->files_n++;
	g->bytes += c->bytes;
	found_release(&f);
	content_release(c);
	free(c);
	return rc;
}
