#include "build/image.h"

#include "base/map.h"
#include "oci/unpack.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK = 1 << 16, ADDED = 0, LEFT_OUT = -1 };

/* The image below as a tree, beside the one that is to come about. */
struct below {
	struct tree tree;
	int fd;
};

static void below_release(struct below *b)
{
	tree_release(&b->tree);
	fd_closep(&b->fd);
}

void delta_release(struct delta *d)
{
	oci_desc_release(&d->base);
	oci_manifest_release(&d->below);
	jval_free(d->config);
	*d = (struct delta){0};
}

char *delta_why(const struct delta *d)
{
	return mem_format("what is new since %s", digest_text(&d->base.digest).s);
}

static bool same_metadata(const struct tree_entry *a, const struct tree_entry *b)
{
	return a->mode == b->mode && a->uid == b->uid && a->gid == b->gid && a->size == b->size &&
	       a->mtime == b->mtime &&
	       strcmp(a->link != NULL ? a->link : "", b->link != NULL ? b->link : "") == 0 &&
	       tree_same_xattrs(a, b);
}

static ssize_t read_full(int fd, char *p, size_t n)
{
	size_t got = 0;

	while (got < n) {
		ssize_t r = read(fd, p + got, n - got);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return r < 0 ? -1 : (ssize_t)got;
		got += (size_t)r;
	}
	return (ssize_t)got;
}

static int same_bytes(int a, int b, bool *ret, struct err *e)
{
	char *x SCOPED(mem_freep) = mem_zalloc(CHUNK), *y SCOPED(mem_freep) = mem_zalloc(CHUNK);

	while (true) {
		ssize_t n = read_full(a, x, CHUNK), m = read_full(b, y, CHUNK);

		if (n < 0 || m < 0)
			return err_sys(e, "read");
		*ret = n == m && memcmp(x, y, (size_t)n) == 0;
		if (!*ret || n == 0)
			return 0;
	}
}

/* Both paths come from an index of real directories that nobody writes to. */
static int same_content(int fd_a, int fd_b, const char *path, bool *ret, struct err *e)
{
	static const int how = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	int a SCOPED(fd_closep) = openat(fd_a, path, how);
	int b SCOPED(fd_closep) = openat(fd_b, path, how);

	if (a < 0 || b < 0)
		return err_sys(e, "open %s", path);
	if (same_bytes(a, b, ret, e) != 0)
		return err_in(e, "%s", path);
	return 0;
}

/* The name a file's other names are told by: its first one, or "" when it has no others. */
static const char *first_name(const struct tree_entry *en, struct map *seen)
{
	char *key SCOPED(mem_freep) = NULL;
	const char *first;

	if (en->inode == 0)
		return "";
	key = mem_format("%llx", (unsigned long long)en->inode);
	first = map_get(seen, key);
	if (first == NULL) {
		(void)map_put(seen, key, en->path);
		first = en->path;
	}
	return first;
}

/* path -> the first name of its file, for all files with several names. */
static void note_links(const struct tree *t, struct map *ret)
{
	struct map seen = {0};

	for (size_t i = 0; i < t->n; i++) {
		const char *first = first_name(&t->v[i], &seen);

		if (first[0] != '\0')
			(void)map_put(ret, t->v[i].path, (void *)(uintptr_t)first);
	}
	map_release(&seen, NULL);
}

static bool same_first(const struct map *a, const struct map *b, const char *path)
{
	const char *x = map_get(a, path), *y = map_get(b, path);

	return strcmp(x != NULL ? x : "", y != NULL ? y : "") == 0;
}

/* Names of one file come all or none: a link can only be made to a name of its own layer. */
static void join_links(struct tree *t)
{
	struct map added = {0};

	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < t->n; i++) {
			struct tree_entry *en = &t->v[i];
			char *key SCOPED(mem_freep) =
			    mem_format("%llx", (unsigned long long)en->inode);

			if (en->inode == 0)
				continue;
			if (pass == 0 && en->layer == ADDED)
				(void)map_put(&added, key, en);
			else if (pass == 1 && map_has(&added, key))
				en->layer = ADDED;
		}
	map_release(&added, NULL);
}

/* Leaves in the layer what the tree below has not, or has otherwise. */
static int choose(struct packing *p, const struct below *b, struct err *e)
{
	struct map is = {0}, was = {0};
	int rc = 0;

	note_links(&p->tree, &is);
	note_links(&b->tree, &was);
	for (size_t i = 0; i < p->tree.n && rc == 0; i++) {
		struct tree_entry *en = &p->tree.v[i];
		const struct tree_entry *old = tree_find(&b->tree, en->path);
		bool same =
		    old != NULL && same_metadata(en, old) && same_first(&is, &was, en->path);

		if (same && S_ISREG(en->mode))
			rc = same_content(p->rootfd, b->fd, en->path, &same, e);
		en->layer = same ? LEFT_OUT : ADDED;
	}
	map_release(&is, NULL);
	map_release(&was, NULL);
	join_links(&p->tree);
	return rc;
}

/* Whether the directory of a path is still one; what was below it is gone with it if not. */
static bool parent_stays(const struct tree *t, const char *path)
{
	char *dir SCOPED(mem_freep) = fs_dirname(path);
	const struct tree_entry *en;

	if (strchr(path, '/') == NULL)
		return true;
	en = tree_find(t, dir);
	return en != NULL && S_ISDIR(en->mode);
}

/* The whiteouts stand between the entries that origins were found for, and have none. */
static void spread_origins(struct job *j, const struct tree *t)
{
	struct origin *origins = j->origins != NULL ? mem_zalloc(t->n * sizeof(*origins)) : NULL;

	for (size_t i = 0, k = 0; origins != NULL && i < t->n; i++)
		if (!t->v[i].whiteout)
			origins[i] = j->origins[k++];
	free(j->origins);
	j->origins = origins;
}

/* A whiteout for each path that is gone, the topmost only. What another type replaces needs none:
 * the new entry takes the place of the old, and of all below it. */
static void hide(struct packing *p, const struct tree *was)
{
	struct strv gone SCOPED(strv_release) = {0};

	for (size_t i = 0; i < was->n; i++)
		if (tree_find(&p->tree, was->v[i].path) == NULL &&
		    parent_stays(&p->tree, was->v[i].path))
			strv_add(&gone, was->v[i].path);
	for (size_t i = 0; i < gone.n; i++)
		tree_hide(&p->tree, gone.v[i], ADDED);
	tree_sort(&p->tree);
	spread_origins(p->j, &p->tree);
}

static int read_below(struct packing *p, const char *dir, struct below *ret, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);

	oci_desc_copy(p->from, &p->delta.base);
	if (oci_unpack(p->layout, p->from, dir, &p->delta.below, e) != 0 ||
	    oci_layout_read(p->layout, &p->delta.below.config.digest, &text, e) != 0 ||
	    jval_parse(text.data, text.len, "image config", &p->delta.config, e) != 0 ||
	    fs_open_dir(AT_FDCWD, dir, &ret->fd, e) != 0 ||
	    tree_scan(ret->fd, &ret->tree, NULL, e) != 0)
		return -1;
	if (p->delta.below.layers_n >= OCI_LAYERS_MAX) {
		(void)err_set(e, ERR_FAIL, "it has %zu layers already, and %d are the most",
			      p->delta.below.layers_n, OCI_LAYERS_MAX);
		return err_hint(e, "build a whole image, and deltas from that one");
	}
	return 0;
}

static int copy(int fd, const struct sink *to, struct err *e)
{
	char *chunk SCOPED(mem_freep) = mem_zalloc(CHUNK);
	ssize_t n;

	while ((n = read_full(fd, chunk, CHUNK)) > 0)
		if (sink_write(to, chunk, (size_t)n, e) != 0)
			return -1;
	return n == 0 ? 0 : err_sys(e, "read");
}

/* The store then has all of the new image, as of any other. */
static int take_layers(struct packing *p, struct err *e)
{
	for (size_t i = 0; i < p->delta.below.layers_n; i++) {
		const struct oci_desc *d = &p->delta.below.layers[i];
		struct store_put *put SCOPED(store_put_freep) = NULL;
		int fd SCOPED(fd_closep) = -1;
		struct sink to;

		if (store_has(p->j->s, &d->digest, NULL))
			continue;
		if (oci_layout_blob(p->layout, &d->digest, &fd, NULL, e) != 0 ||
		    store_put_begin(p->j->s, &put, e) != 0)
			return -1;
		to = store_put_sink(put);
		if (copy(fd, &to, e) != 0 || store_put_commit(put, &d->digest, NULL, NULL, e) != 0)
			return -1;
	}
	return 0;
}

int delta_make(struct packing *p, struct err *e)
{
	struct below b SCOPED(below_release) = {.fd = -1};
	char *dir SCOPED(mem_freep) = mem_format("%s/below", p->j->scratch);
	int rc;

	if (mkdir(dir, 0755) != 0)
		return err_sys(e, "make directory %s", dir);
	rc = read_below(p, dir, &b, e);
	if (rc == 0)
		rc = choose(p, &b, e);
	if (rc == 0) {
		hide(p, &b.tree);
		rc = take_layers(p, e);
	}
	return rc == 0 ? 0 : err_in(e, "delta from %s", digest_text(&p->delta.base.digest).s);
}
