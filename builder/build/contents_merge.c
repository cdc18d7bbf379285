#include "build/contents.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* An entry of what is visible so far: where it comes from. */
struct seen {
	size_t tree;
	const struct tree_entry *en;
};

struct view {
	struct seen *v; /* by path, as in a tree */
	size_t n;
};

/* Whether a directory above the path was removed by the tree on top, was emptied, or became
 * something else. */
static bool hides_above(const struct contents *top, const char *path)
{
	char *dir SCOPED(mem_freep) = mem_strdup(path);
	char *slash;

	while ((slash = strrchr(dir, '/')) != NULL) {
		const struct tree_entry *en;

		*slash = '\0';
		en = tree_find(&top->tree, dir);
		if (map_has(&top->hidden, dir) || (en != NULL && !S_ISDIR(en->mode)))
			return true;
	}
	return false;
}

/* A tree on top, and the answer for the directory that was last asked about: entries of one
 * directory mostly follow each other. */
struct cover {
	const struct contents *top;
	const char *path; /* NULL = none yet; borrowed, of an entry in that directory */
	size_t dir_n;     /* the length of the directory in it */
	bool hidden;
};

/* Whether the tree on top hides what those below have at the path. */
static bool hides(struct cover *c, const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t n = slash == NULL ? 0 : (size_t)(slash - path);

	if (map_has(&c->top->hidden, path) && map_get(&c->top->hidden, path) == NULL)
		return true;
	if (c->path == NULL || c->dir_n != n || strncmp(c->path, path, n) != 0) {
		c->path = path;
		c->dir_n = n;
		c->hidden = hides_above(c->top, path);
	}
	return c->hidden;
}

static void lay_over(struct view *view, const struct contents *top, size_t number)
{
	struct cover cover = {.top = top};
	struct view out = {.v = mem_zalloc((view->n + top->tree.n + 1) * sizeof(*out.v))};
	size_t a = 0, b = 0;

	while (a < view->n || b < top->tree.n) {
		int c = a == view->n       ? 1
			: b == top->tree.n ? -1
					   : strcmp(view->v[a].en->path, top->tree.v[b].path);

		if (c >= 0)
			out.v[out.n++] = (struct seen){number, &top->tree.v[b++]};
		else if (!hides(&cover, view->v[a].en->path))
			out.v[out.n++] = view->v[a];
		a += c <= 0;
	}
	free(view->v);
	*view = out;
}

static struct tree_entry copy(const struct tree_entry *en)
{
	struct tree_entry c = *en;

	c.path = mem_strdup(en->path);
	c.link = en->link != NULL ? mem_strdup(en->link) : NULL;
	c.xattrs = mem_zalloc((en->xattrs_n + 1) * sizeof(*c.xattrs));
	for (size_t i = 0; i < en->xattrs_n; i++) {
		c.xattrs[i].name = mem_strdup(en->xattrs[i].name);
		c.xattrs[i].len = en->xattrs[i].len;
		c.xattrs[i].val = mem_zalloc(en->xattrs[i].len + 1);
		memcpy(c.xattrs[i].val, en->xattrs[i].val, en->xattrs[i].len);
	}
	return c;
}

/* Names of one file are of one tree, and numbered there by the place of the first: now by its
 * place here; one that is left alone has no number. */
static void number_links(const struct view *view, const struct contents *v, size_t n,
			 struct tree *t)
{
	size_t **first SCOPED(mem_freep) = mem_zalloc((n + 1) * sizeof(*first));

	for (size_t i = 0; i < n; i++)
		first[i] = mem_zalloc((v[i].tree.n + 2) * sizeof(**first));
	for (size_t i = 0; i < t->n; i++) {
		size_t *at = &first[view->v[i].tree][view->v[i].en->inode];

		if (view->v[i].en->inode == 0)
			continue;
		if (*at == 0) {
			*at = i + 1;
			t->v[i].inode = 0;
			continue;
		}
		t->v[*at - 1].inode = *at;
		t->v[i].inode = *at;
	}
	for (size_t i = 0; i < n; i++)
		free(first[i]);
}

void contents_merge(const struct contents *v, size_t n, struct tree *ret, size_t **ret_from)
{
	struct view view = {0};
	struct tree t = {0};

	for (size_t i = 0; i < n; i++)
		lay_over(&view, &v[i], i);
	t.v = mem_zalloc((view.n + 1) * sizeof(*t.v));
	t.cap = view.n + 1;
	for (; t.n < view.n; t.n++)
		t.v[t.n] = copy(view.v[t.n].en);
	number_links(&view, v, n, &t);
	if (ret_from != NULL) {
		*ret_from = mem_zalloc((t.n + 1) * sizeof(**ret_from));
		for (size_t i = 0; i < t.n; i++)
			(*ret_from)[i] = view.v[i].tree;
	}
	free(view.v);
	*ret = t;
}
