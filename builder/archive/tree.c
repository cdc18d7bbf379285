#include "archive/tree.h"

#include "base/strv.h"
#include "sys/fs.h"
#include "sys/intr.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

/* A name of a file that has several, until all of them are known. */
struct name {
	dev_t dev;
	ino_t ino;
	const char *path; /* borrowed from the entry */
};

struct scan {
	struct tree tree;
	struct name *names;
	size_t names_n, names_cap;
	dev_t dev; /* of the root */
	size_t left_out;
	bool (*keeps)(const char *name); /* which attributes */
};

static void scan_release(struct scan *s)
{
	tree_release(&s->tree);
	free(s->names);
}

static int by_path(const void *a, const void *b)
{
	const struct tree_entry *x = a, *y = b;

	return strcmp(x->path, y->path);
}

static int by_inode_and_path(const void *a, const void *b)
{
	const struct name *x = a, *y = b;

	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	return strcmp(x->path, y->path);
}

static struct tree_entry *add_entry(struct tree *t)
{
	if (t->n == t->cap) {
		t->cap = t->cap ? t->cap * 2 : 1024;
		t->v = mem_resize(t->v, t->cap, sizeof(*t->v));
	}
	t->v[t->n] = (struct tree_entry){0};
	return &t->v[t->n++];
}

static void add_name(struct scan *s, const struct stat *st, const char *path)
{
	if (s->names_n == s->names_cap) {
		s->names_cap = s->names_cap ? s->names_cap * 2 : 64;
		s->names = mem_resize(s->names, s->names_cap, sizeof(*s->names));
	}
	s->names[s->names_n++] = (struct name){st->st_dev, st->st_ino, path};
}

bool tree_keeps_xattr(const char *name)
{
	if (strncmp(name, "user.overlay.", 13) == 0)
		return false;
	return strcmp(name, "security.capability") == 0 || strncmp(name, "user.", 5) == 0;
}

/* What an overlay says of its own layers is true nowhere else. */
static bool keeps_all(const char *name)
{
	return strncmp(name, "user.overlay.", 13) != 0 &&
	       strncmp(name, "trusted.overlay.", 16) != 0;
}

static int read_xattr(int fd, const char *name, struct tree_entry *en, struct err *e)
{
	ssize_t n = fgetxattr(fd, name, NULL, 0);
	uint8_t *val = n < 0 ? NULL : mem_zalloc((size_t)n + 1);

	if (n >= 0)
		n = fgetxattr(fd, name, val, (size_t)n);
	if (n < 0) {
		free(val);
		return err_sys(e, "read attribute %s of %s", name, en->path);
	}
	en->xattrs = mem_resize(en->xattrs, en->xattrs_n + 1, sizeof(*en->xattrs));
	en->xattrs[en->xattrs_n++] =
	    (struct tree_xattr){.name = mem_strdup(name), .val = val, .len = (size_t)n};
	return 0;
}

static int read_xattrs(const struct scan *s, const struct fs_entry *f, struct tree_entry *en,
		       struct err *e)
{
	int fd SCOPED(fd_closep) =
	    openat(f->parent_fd, f->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char *list SCOPED(mem_freep) = NULL;
	struct strv names SCOPED(strv_release) = {0};
	ssize_t n;

	if (fd < 0)
		return err_sys(e, "open %s", f->path);
	n = flistxattr(fd, NULL, 0);
	if (n == 0 || (n < 0 && errno == ENOTSUP))
		return 0;
	list = mem_zalloc(n < 0 ? 1 : (size_t)n + 1);
	if (n > 0)
		n = flistxattr(fd, list, (size_t)n);
	if (n < 0)
		return err_sys(e, "list the attributes of %s", f->path);
	for (const char *at = list; at < list + n; at += strlen(at) + 1)
		if (s->keeps(at))
			strv_add(&names, at);
	strv_sort(&names);
	for (size_t i = 0; i < names.n; i++)
		if (read_xattr(fd, names.v[i], en, e) != 0)
			return -1;
	return 0;
}

static int read_link(const struct fs_entry *f, struct tree_entry *en, struct err *e)
{
	size_t room = (size_t)f->st.st_size + 1;
	ssize_t n;

	en->link = mem_zalloc(room + 1);
	n = readlinkat(f->parent_fd, f->name, en->link, room);
	if (n < 0)
		return err_sys(e, "read link %s", f->path);
	if ((size_t)n >= room)
		return err_set(e, ERR_FAIL, "%s changed while it was read", f->path);
	return 0;
}

static int scan_one(void *ctx, const struct fs_entry *f, struct err *e)
{
	struct scan *s = ctx;
	struct tree_entry *en;

	if (intr_pending())
		return intr_err(e);
	if (!S_ISREG(f->st.st_mode) && !S_ISDIR(f->st.st_mode) && !S_ISLNK(f->st.st_mode)) {
		s->left_out++;
		return 0;
	}
	en = add_entry(&s->tree);
	en->path = mem_strdup(f->path);
	en->mode = f->st.st_mode;
	en->uid = f->st.st_uid;
	en->gid = f->st.st_gid;
	en->mtime = f->st.st_mtim.tv_sec;
	if (S_ISLNK(en->mode))
		return read_link(f, en, e);
	if (S_ISREG(en->mode)) {
		en->size = (uint64_t)f->st.st_size;
		if (f->st.st_nlink > 1)
			add_name(s, &f->st, en->path);
	}
	if (read_xattrs(s, f, en, e) != 0)
		return -1;
	return S_ISDIR(en->mode) && f->st.st_dev != s->dev ? 1 : 0;
}

/* Gives the names of one file one number: the place of the first of them in the index, so that it
 * does not depend on the file system. */
static void number_links(struct scan *s)
{
	size_t from = 0;

	if (s->names_n > 1)
		qsort(s->names, s->names_n, sizeof(*s->names), by_inode_and_path);
	while (from < s->names_n) {
		const struct name *first = &s->names[from];
		size_t to = from + 1;
		uint64_t number;

		while (to < s->names_n && s->names[to].dev == first->dev &&
		       s->names[to].ino == first->ino)
			to++;
		number = (uint64_t)(tree_find(&s->tree, first->path) - s->tree.v) + 1;
		for (size_t i = from; to - from > 1 && i < to; i++)
			tree_find(&s->tree, s->names[i].path)->inode = number;
		from = to;
	}
}

void tree_sort(struct tree *t)
{
	if (t->n > 1)
		qsort(t->v, t->n, sizeof(*t->v), by_path);
}

void tree_hide(struct tree *t, const char *path, int layer)
{
	const char *slash = strrchr(path, '/');
	size_t dir = slash == NULL ? 0 : (size_t)(slash - path) + 1;
	struct tree_entry *en = add_entry(t);

	en->path = mem_format("%.*s.wh.%s", (int)dir, path, path + dir);
	en->mode = S_IFREG;
	en->whiteout = true;
	en->layer = layer;
}

static int scan_tree(int rootfd, bool (*keeps)(const char *), struct tree *ret,
		     size_t *ret_left_out, struct err *e)
{
	struct scan s SCOPED(scan_release) = {.keeps = keeps};
	struct stat st;

	if (fstat(rootfd, &st) != 0)
		return err_sys(e, "stat the root of the tree");
	s.dev = st.st_dev;
	if (fs_walk(rootfd, scan_one, &s, e) != 0)
		return -1;
	/* the walk's order is per directory: it puts "a/b" before "a-b" */
	tree_sort(&s.tree);
	number_links(&s);
	*ret = s.tree;
	s.tree = (struct tree){0};
	if (ret_left_out != NULL)
		*ret_left_out = s.left_out;
	return 0;
}

int tree_scan(int rootfd, struct tree *ret, size_t *ret_left_out, struct err *e)
{
	return scan_tree(rootfd, tree_keeps_xattr, ret, ret_left_out, e);
}

int tree_scan_all(int rootfd, struct tree *ret, size_t *ret_left_out, struct err *e)
{
	return scan_tree(rootfd, keeps_all, ret, ret_left_out, e);
}

bool tree_same_xattrs(const struct tree_entry *a, const struct tree_entry *b)
{
	if (a->xattrs_n != b->xattrs_n)
		return false;
	for (size_t i = 0; i < a->xattrs_n; i++) {
		const struct tree_xattr *x = &a->xattrs[i], *y = &b->xattrs[i];

		if (strcmp(x->name, y->name) != 0 || x->len != y->len ||
		    memcmp(x->val, y->val, x->len) != 0)
			return false;
	}
	return true;
}

struct tree_entry *tree_find(const struct tree *t, const char *path)
{
	size_t lo = 0, hi = t->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = strcmp(path, t->v[mid].path);

		if (c == 0)
			return &t->v[mid];
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

void tree_release(struct tree *t)
{
	for (size_t i = 0; i < t->n; i++) {
		struct tree_entry *en = &t->v[i];

		for (size_t k = 0; k < en->xattrs_n; k++) {
			free(en->xattrs[k].name);
			free(en->xattrs[k].val);
		}
		free(en->xattrs);
		free(en->link);
		free(en->path);
	}
	free(t->v);
	*t = (struct tree){0};
}
