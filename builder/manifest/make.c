/* make.c - the manifest of a directory: what is there, which names are one file's, and in which
 * order it is read best. */
#include "manifest/making.h"

#include "sys/clock.h"
#include "sys/fs.h"
#include "sys/intr.h"
#include "sys/par.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LARGE = 1 << 20 };

static int type_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return MANIFEST_DIR;
	case S_IFREG:
		return MANIFEST_FILE;
	case S_IFLNK:
		return MANIFEST_LINK;
	case S_IFIFO:
		return MANIFEST_FIFO;
	case S_IFCHR:
		return MANIFEST_CHAR;
	case S_IFBLK:
		return MANIFEST_BLOCK;
	default:
		return -1;
	}
}

static void add(struct making *k, const char *path, int type, const struct stat *st)
{
	struct manifest_entry *en = entries_add(&k->m, &k->cap);
	struct item *it;

	if (k->m.n > k->items_cap) {
		k->items_cap = k->cap;
		k->items = mem_resize(k->items, k->items_cap, sizeof(*k->items));
	}
	it = &k->items[k->m.n - 1];
	*it = (struct item){.many = !S_ISDIR(st->st_mode) && st->st_nlink > 1};
	en->path = it->path = strings_copy(k->m.strings, path, strlen(path));
	en->type = (enum manifest_type)type;
	making_stat(k, en, it, st);
}

static int found(void *ctx, const struct fs_entry *f, struct err *e)
{
	struct making *k = ctx;
	uint64_t max = k->o->entries_max > 0 ? k->o->entries_max : ENTRIES_MAX;
	int type = type_of(f->st.st_mode);

	if (intr_pending())
		return intr_err(e);
	if (type < 0) {
		k->m.left_out++;
		return 0;
	}
	if (k->o->wants != NULL && !k->o->wants(k->o->ctx, f->path, (enum manifest_type)type)) {
		k->m.excluded++;
		return 1;
	}
	if (k->m.n >= max)
		return err_set(e, ERR_FAIL, "the tree has more than %llu entries",
			       (unsigned long long)max);
	add(k, f->path, type, &f->st);
	return 0;
}

static int entry_by_path(const void *a, const void *b)
{
	const struct manifest_entry *x = a, *y = b;

	return strcmp(x->path, y->path);
}

static int item_by_path(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	return strcmp(x->path, y->path);
}

static int look(struct making *k, struct err *e)
{
	struct stat st;

	if (fstat(k->dirfd, &st) != 0)
		return err_sys(e, "stat the root of the tree");
	add(k, "", MANIFEST_DIR, &st);
	if ((k->o->unsteady != NULL ? fs_walk_living : fs_walk)(k->dirfd, found, k, e) != 0)
		return -1;
	/* the walk's order is per directory: it puts "a/b" before "a-b" */
	qsort(k->m.v, k->m.n, sizeof(*k->m.v), entry_by_path);
	qsort(k->items, k->m.n, sizeof(*k->items), item_by_path);
	return 0;
}

static int by_inode(const void *a, const void *b)
{
	const struct item *const *x = a, *const *y = b;
	const struct seen_file *f = &(*x)->file, *g = &(*y)->file;
	int c = (f->dev > g->dev) - (f->dev < g->dev);

	if (c == 0)
		c = (f->ino > g->ino) - (f->ino < g->ino);
	return c != 0 ? c : (*x > *y) - (*x < *y);
}

/* Of the names of one file the first in order of paths is the file, and the others say so. */
static void link_names(struct making *k)
{
	const struct item **many SCOPED(mem_freep) = mem_resize(NULL, k->m.n + 1, sizeof(*many));
	size_t n = 0;

	for (size_t i = 0; i < k->m.n; i++) {
		k->m.v[i].same_as = NULL;
		if (k->items[i].many)
			many[n++] = &k->items[i];
	}
	qsort(many, n, sizeof(*many), by_inode);
	for (size_t i = 1, first = 0; i < n; i++)
		if (many[i]->file.dev == many[first]->file.dev &&
		    many[i]->file.ino == many[first]->file.ino)
			k->m.v[many[i] - k->items].same_as = many[first]->path;
		else
			first = i;
}

struct turn {
	uint64_t dev, ino, size; /* size 0 = it is not large */
	size_t i;
	bool is_dir;
};

/* Large files first, the largest before all, so that the threads end together; then as they lie on
 * the disk; and directories last, so that one that changed meanwhile is found to have. */
static int by_turn(const void *a, const void *b)
{
	const struct turn *x = a, *y = b;
	int c = x->is_dir - y->is_dir;

	if (c == 0)
		c = (x->size < y->size) - (x->size > y->size);
	if (c == 0)
		c = (x->dev > y->dev) - (x->dev < y->dev);
	return c != 0 ? c : (x->ino > y->ino) - (x->ino < y->ino);
}

static void put_in_order(struct making *k)
{
	struct turn *turns SCOPED(mem_freep) = mem_resize(NULL, k->m.n + 1, sizeof(*turns));

	k->order_n = k->next = 0;
	for (size_t i = 0; i < k->m.n; i++) {
		const struct manifest_entry *en = &k->m.v[i];

		if (k->items[i].done || en->same_as != NULL)
			continue;
		turns[k->order_n++] = (struct turn){
		    .dev = k->items[i].file.dev,
		    .ino = k->items[i].file.ino,
		    .size = en->type == MANIFEST_FILE && en->size >= LARGE ? en->size : 0,
		    .i = i,
		    .is_dir = en->type == MANIFEST_DIR,
		};
	}
	qsort(turns, k->order_n, sizeof(*turns), by_turn);
	k->order = mem_resize(k->order, k->order_n + 1, sizeof(*k->order));
	for (size_t n = 0; n < k->order_n; n++)
		k->order[n] = turns[n].i;
}

/* Whether the directory of an entry is one of those that are left. */
static bool has_parent(const struct manifest *m, const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir SCOPED(mem_freep) = mem_strndup(path, slash == NULL ? 0 : (size_t)(slash - path));

	return path[0] == '\0' || manifest_find(m, dir) != NULL;
}

/* Drops what went away, with all that was below it. */
static void drop_gone(struct making *k)
{
	struct manifest left = {.v = k->m.v};

	for (size_t i = 0; i < k->m.n; i++) {
		if (k->items[i].gone || !has_parent(&left, k->items[i].path)) {
			k->m.gone++;
			continue;
		}
		k->m.v[left.n] = k->m.v[i];
		k->items[left.n++] = k->items[i];
	}
	k->m.n = left.n;
}

static void count(struct making *k)
{
	k->p = (struct manifest_progress){0};
	for (size_t n = 0; n < k->order_n; n++) {
		const struct manifest_entry *en = &k->m.v[k->order[n]];

		k->p.files_total += en->type == MANIFEST_FILE ? 1 : 0;
		k->p.bytes_total += en->size;
	}
}

/* Once, but for a first name of several that went away: then the next has to be read. */
static int read_contents(struct making *k, struct err *e)
{
	const unsigned threads = k->o->threads > 0 ? k->o->threads : par_cpus();

	for (bool again = false;; again = true) {
		link_names(k);
		put_in_order(k);
		if (k->order_n == 0)
			return 0;
		if (!again)
			count(k);
		par_each(threads, threads, making_read, k);
		if (k->stop) {
			*e = k->err;
			return -1;
		}
		drop_gone(k);
	}
}

static void finish(struct making *k)
{
	struct seen_file *files SCOPED(mem_freep) = NULL;
	size_t n = 0;

	for (size_t i = 0; i < k->m.n; i++) {
		struct manifest_entry *en = &k->m.v[i];
		char *path = en->path, *same_as = en->same_as;

		if (same_as != NULL) {
			*en = *manifest_find(&k->m, same_as);
			en->path = path;
			en->same_as = same_as;
			en->acl = NULL;
			en->xattrs = NULL;
			en->xattrs_n = 0;
		} else if (en->type == MANIFEST_FILE) {
			k->m.files++;
			k->m.bytes += en->size;
		}
	}
	if (!k->settled)
		return;
	files = mem_resize(NULL, k->m.files + 1, sizeof(*files));
	for (size_t i = 0; i < k->m.n; i++) {
		const struct manifest_entry *en = &k->m.v[i];

		if (en->type != MANIFEST_FILE || en->same_as != NULL || en->unread ||
		    k->items[i].unsteady)
			continue;
		files[n] = k->items[i].file;
		files[n++].digest = en->digest;
	}
	seen_add(k->o->seen, files, n);
}

void manifest_settle(struct manifest *m)
{
	for (size_t i = 0; i < m->n; i++) {
		const struct manifest_entry *first =
		    m->v[i].same_as != NULL ? manifest_find(m, m->v[i].same_as) : NULL;

		if (first == NULL)
			continue;
		m->v[i].digest = first->digest;
		m->v[i].unread = first->unread;
	}
}

int manifest_make(int dirfd, const struct manifest_opts *o, struct manifest *ret, struct err *e)
{
	struct manifest_names *host = NULL;
	struct making k = {
	    .dirfd = dirfd,
	    .o = o,
	    .begun_s = clock_wall_s(),
	    .m = {.strings = strings_new()},
	    .lock = PTHREAD_MUTEX_INITIALIZER,
	    .err = ERR_INIT,
	};
	int rc = o->names != NULL ? 0 : manifest_names_host(&host, e);

	k.names = o->names != NULL ? o->names : host;
	/* else a store to a page that is mapped and dirty leaves the ctime as it is */
	k.settled = o->seen != NULL && syncfs(dirfd) == 0;
	if (o->seen != NULL)
		seen_begin(o->seen, k.begun_s, k.settled);
	if (rc == 0)
		rc = look(&k, e);
	if (rc == 0 && o->names_only)
		link_names(&k);
	else if (rc == 0)
		rc = read_contents(&k, e);
	if (rc == 0) {
		finish(&k);
		*ret = k.m;
	} else {
		manifest_release(&k.m);
	}
	(void)pthread_mutex_destroy(&k.lock);
	free(k.items);
	free(k.order);
	manifest_names_free(host);
	return rc;
}
