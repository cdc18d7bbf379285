#include "archive/pack.h"

#include "archive/beneath.h"
#include "archive/tarw.h"
#include "base/map.h"
#include "sys/intr.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK = 1 << 18 };

struct layer {
	const struct tree *tree;
	const struct pack_opts *opts;
	bool *in;            /* per entry of the tree: it is written */
	struct map first;    /* number of a file with several names -> the first one's entry */
	struct beneath dirs; /* where files are read */
	char *chunk;
	struct sink out;
};

static void layer_release(struct layer *l)
{
	map_release(&l->first, NULL);
	beneath_release(&l->dirs);
	free(l->chunk);
	free(l->in);
}

/* Marks the directories above an entry, from the bottom, up to one that is marked already. */
static int mark_parents(struct layer *l, const char *path, struct err *e)
{
	char *dir SCOPED(mem_freep) = mem_strdup(path);
	char *slash;

	while ((slash = strrchr(dir, '/')) != NULL) {
		const struct tree_entry *en;

		*slash = '\0';
		en = tree_find(l->tree, dir);
		if (en == NULL || !S_ISDIR(en->mode))
			return err_set(e, ERR_FAIL, "%s: its directory is not in the index", path);
		if (l->in[en - l->tree->v])
			return 0;
		l->in[en - l->tree->v] = true;
	}
	return 0;
}

static int choose(struct layer *l, struct err *e)
{
	const struct tree *t = l->tree;

	l->in = mem_zalloc(t->n + 1);
	for (size_t i = 0; i < t->n; i++) {
		if (t->v[i].layer != l->opts->layer)
			continue;
		l->in[i] = true;
		if (mark_parents(l, t->v[i].path, e) != 0)
			return -1;
	}
	return 0;
}

static int changed(const struct tree_entry *en, struct err *e)
{
	(void)err_set(e, ERR_FAIL, "%s changed since it was indexed", en->path);
	return err_hint(e, "Nothing may write to the tree while its layers are made.");
}

static int open_file(struct layer *l, const struct tree_entry *en, int *ret_fd, struct err *e)
{
	const char *name;
	struct stat st;
	int dir, fd;

	if (beneath_parent(&l->dirs, en->path, &dir, &name, e) != 0)
		return changed(en, e);
	fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ELOOP ? changed(en, e)
							 : err_sys(e, "open %s", en->path);
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != en->size) {
		(void)close(fd);
		return changed(en, e);
	}
	*ret_fd = fd;
	return 0;
}

static ssize_t read_some(int fd, void *p, size_t n)
{
	ssize_t r;

	do
		r = read(fd, p, n);
	while (r < 0 && errno == EINTR && !intr_pending());
	return r;
}

static int check(const struct tree_entry *en, const struct digest *want, struct hash *h,
		 struct err *e)
{
	struct digest is = hash_final(h);

	if (digest_equal(&is, want))
		return 0;
	return err_set(e, ERR_VERIFY, "%s is not what was written: it has %s", en->path,
		       digest_text(&is).s);
}

/* The next piece of a file of which so much is left; none at its end. */
static int read_piece(struct layer *l, const struct tree_entry *en, int fd, uint64_t left,
		      size_t *ret_n, struct err *e)
{
	/* one byte more than is left, to see a file that has grown */
	ssize_t r = read_some(fd, l->chunk, left < CHUNK ? (size_t)left + 1 : CHUNK);

	if (intr_pending())
		return intr_err(e);
	if (r < 0)
		return err_sys(e, "read %s", en->path);
	if ((uint64_t)r > left || (r == 0 && left > 0))
		return changed(en, e);
	*ret_n = (size_t)r;
	return 0;
}

static int write_data(struct layer *l, const struct tree_entry *en, int fd, struct err *e)
{
	const struct pack_opts *o = l->opts;
	size_t i = (size_t)(en - l->tree->v), n = 1;
	const struct digest *right = o->want != NULL ? o->want(o->ctx, i, en) : NULL;
	struct hash *h SCOPED(hash_freep) = right != NULL ? hash_new() : NULL;
	uint64_t left = en->size;

	if (left > CHUNK)
		(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	while (n > 0) {
		if (read_piece(l, en, fd, left, &n, e) != 0 ||
		    (n > 0 && sink_write(&l->out, l->chunk, n, e) != 0))
			return -1;
		if (h != NULL)
			hash_add(h, l->chunk, n);
		left -= n;
	}
	if (h != NULL && check(en, right, h, e) != 0)
		return -1;
	return tarw_pad(&l->out, en->size, e);
}

/* The name under which the file is already in this layer, or NULL. */
static const char *earlier_name(struct layer *l, const struct tree_entry *en)
{
	char *key SCOPED(mem_freep) = NULL;
	const struct tree_entry *first;

	if (en->inode == 0 || !S_ISREG(en->mode))
		return NULL;
	key = mem_format("%llx", (unsigned long long)en->inode);
	first = map_get(&l->first, key);
	if (first == NULL)
		(void)map_put(&l->first, key, (void *)(uintptr_t)en);
	return first == NULL ? NULL : first->path;
}

static int write_entry(struct layer *l, const struct tree_entry *en, struct err *e)
{
	const char *hardlink = earlier_name(l, en);
	int64_t mtime = en->layer == l->opts->layer ? en->mtime : l->opts->epoch;
	int fd SCOPED(fd_closep) = -1;

	if (intr_pending())
		return intr_err(e);
	if (!S_ISREG(en->mode) || hardlink != NULL || en->whiteout)
		return tarw_header(&l->out, en, hardlink, mtime, e);
	if (open_file(l, en, &fd, e) != 0 || tarw_header(&l->out, en, NULL, mtime, e) != 0)
		return -1;
	return write_data(l, en, fd, e);
}

static int write_layer(struct layer *l, size_t *ret_entries, struct err *e)
{
	size_t entries = 0;

	for (size_t i = 0; i < l->tree->n; i++) {
		if (!l->in[i])
			continue;
		if (write_entry(l, &l->tree->v[i], e) != 0)
			return -1;
		entries++;
	}
	*ret_entries = entries;
	return tarw_end(&l->out, e);
}

static void stream_freep(struct pack_stream **s)
{
	pack_stream_free(*s);
}

int pack_layer(int rootfd, const struct tree *t, const struct pack_opts *o, const struct sink *out,
	       struct pack_result *ret, struct err *e)
{
	struct layer l SCOPED(layer_release) = {
	    .tree = t, .opts = o, .dirs = BENEATH_INIT(rootfd, false)};
	struct pack_stream *s SCOPED(stream_freep) = NULL;
	struct pack_result done = {0};

	if (choose(&l, e) != 0 || pack_stream_open(o, out, &s, e) != 0)
		return -1;
	l.chunk = mem_resize(NULL, CHUNK, 1);
	l.out = pack_stream_sink(s);
	if (write_layer(&l, &done.entries, e) != 0 || pack_stream_close(s, &done, e) != 0)
		return -1;
	*ret = done;
	return 0;
}
