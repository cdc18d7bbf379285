#include "diff/compare.h"

#include "harden/root.h"
#include "sys/intr.h"
#include <fcntl.h>
#include <string.h>

static struct diff_item *add_item(struct diff_list *l, const char *name)
{
	l->v = mem_resize(l->v, l->n + 1, sizeof(*l->v));
	l->v[l->n] = (struct diff_item){.name = mem_strdup(name)};
	return &l->v[l->n++];
}

static void compare_fact(struct diff_list *l, const char *name, const struct fact *was,
			 const struct fact *is)
{
	bool same = was != NULL && is != NULL && strcmp(was->text, is->text) == 0;
	bool proven = same && digest_equal(&was->proof, &is->proof);
	const struct fact *any = is != NULL ? is : was;
	struct diff_item *item;

	if (proven)
		return;
	item = add_item(l, name);
	item->was = was != NULL ? mem_strdup(was->text) : NULL;
	item->is = is != NULL ? mem_strdup(is->text) : NULL;
	if (same)
		item->note = mem_strdup("the password is another one");
	else if (any->note != NULL)
		item->note = mem_strdup(any->note);
}

static void compare_topic(const struct map *was, const struct map *is, struct diff_list *l)
{
	const char **a SCOPED(mem_freep) = map_keys(was), **b SCOPED(mem_freep) = map_keys(is);
	size_t i = 0, k = 0;

	while (i < was->n || k < is->n) {
		int c = i == was->n ? 1 : k == is->n ? -1 : strcmp(a[i], b[k]);
		const char *name = c <= 0 ? a[i] : b[k];

		compare_fact(l, name, c <= 0 ? map_get(was, name) : NULL,
			     c >= 0 ? map_get(is, name) : NULL);
		i += c <= 0;
		k += c >= 0;
	}
}

void compare_facts(const struct side *was, const struct side *is, struct diff *ret)
{
	for (int t = 0; t < DIFF_TOPICS; t++) {
		ret->lists[t].unknown = was->unknown[t] || is->unknown[t];
		if (!ret->lists[t].unknown)
			compare_topic(&was->facts[t], &is->facts[t], &ret->lists[t]);
	}
}

static int hash_entry(const struct side *s, const char *path, struct digest *ret, struct err *e)
{
	int fd SCOPED(fd_closep) = root_open(s->fd, path, O_RDONLY | O_NOFOLLOW);

	if (fd < 0)
		return err_sys(e, "%s: %s", s->in->object, path);
	return digest_fd(fd, ret, NULL, e);
}

static int same_content(const struct side *was, const struct side *is, const struct tree_entry *en,
			bool *ret, struct err *e)
{
	struct digest a, b;

	if (hash_entry(was, en->path, &a, e) != 0 || hash_entry(is, en->path, &b, e) != 0)
		return -1;
	*ret = digest_equal(&a, &b);
	return 0;
}

/* What is different about an entry that both have. */
static int compare_entry(const struct side *was, const struct side *is, const struct tree_entry *a,
			 const struct tree_entry *b, unsigned *ret, struct err *e)
{
	bool same = true;
	unsigned how = 0;

	if (a->uid != b->uid || a->gid != b->gid)
		how |= DIFF_OWNER;
	if ((a->mode & S_IFMT) != (b->mode & S_IFMT)) {
		*ret = how | DIFF_TYPE;
		return 0;
	}
	if ((a->mode & 07777) != (b->mode & 07777))
		how |= DIFF_MODE;
	if (!tree_same_xattrs(a, b))
		how |= DIFF_XATTRS;
	if (a->link != NULL && strcmp(a->link, b->link) != 0)
		how |= DIFF_LINK;
	if (S_ISREG(a->mode) && a->size == b->size && same_content(was, is, a, &same, e) != 0)
		return -1;
	if (!same || a->size != b->size)
		how |= DIFF_CONTENT;
	*ret = how;
	return 0;
}

static struct diff_meta meta_of(const struct tree_entry *en)
{
	if (en == NULL)
		return (struct diff_meta){0};
	return (struct diff_meta){
	    .mode = en->mode,
	    .uid = en->uid,
	    .gid = en->gid,
	    .size = en->size,
	    .link = en->link != NULL ? mem_strdup(en->link) : NULL,
	};
}

/* The changes of packages by name without architecture, as dpkg's lists of files are read. */
static void changed_packages(const struct diff_list *l, struct map *ret)
{
	for (size_t i = 0; i < l->n; i++) {
		char *name SCOPED(mem_freep) =
		    mem_strndup(l->v[i].name, strcspn(l->v[i].name, ":"));

		if (!map_has(ret, name))
			(void)map_put(ret, name, &l->v[i]);
	}
}

struct files {
	const struct side *was, *is;
	struct map packages; /* those that changed -> struct diff_item */
	struct diff *ret;
	size_t cap;
};

static void add_file(struct files *f, const struct tree_entry *a, const struct tree_entry *b,
		     unsigned how)
{
	const char *path = b != NULL ? b->path : a->path;
	const char *package = map_get(&f->is->owner, path);
	struct diff *d = f->ret;
	struct diff_item *change;
	struct diff_file *file;

	if (package == NULL)
		package = map_get(&f->was->owner, path);
	change = package != NULL ? map_get(&f->packages, package) : NULL;
	if (d->files_n == f->cap) {
		f->cap = f->cap == 0 ? 256 : f->cap * 2;
		d->files = mem_resize(d->files, f->cap, sizeof(*d->files));
	}
	file = &d->files[d->files_n++];
	*file = (struct diff_file){
	    .path = mem_strdup(path),
	    .how = how,
	    .package = package != NULL ? mem_strdup(package) : NULL,
	    .folded = change != NULL,
	    .was = meta_of(a),
	    .is = meta_of(b),
	};
	if (change != NULL)
		change->files++;
}

static int merge(struct files *f, struct err *e)
{
	const struct tree *x = &f->was->tree, *y = &f->is->tree;
	size_t i = 0, k = 0;

	while (i < x->n || k < y->n) {
		int c = i == x->n ? 1 : k == y->n ? -1 : strcmp(x->v[i].path, y->v[k].path);
		const struct tree_entry *a = c <= 0 ? &x->v[i] : NULL;
		const struct tree_entry *b = c >= 0 ? &y->v[k] : NULL;
		unsigned how = c < 0 ? DIFF_REMOVED : DIFF_ADDED;

		if (intr_pending())
			return intr_err(e);
		if (c == 0 && compare_entry(f->was, f->is, a, b, &how, e) != 0)
			return -1;
		if (how != 0)
			add_file(f, a, b, how);
		i += c <= 0;
		k += c >= 0;
	}
	return 0;
}

int compare_files(const struct side *was, const struct side *is, struct diff *ret, struct err *e)
{
	struct files f = {.was = was, .is = is, .ret = ret};
	int rc;

	changed_packages(&ret->lists[DIFF_PACKAGES], &f.packages);
	rc = merge(&f, e);
	map_release(&f.packages, NULL);
	return rc;
}
