#include "build/contents.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The first entry from `from` on that does not come before the path. */
static size_t place_of(const struct contents_view *view, size_t from, const char *path)
{
	size_t lo = from, hi = view->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(view->v[mid].en->path, path) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Marks all that lies below the path as gone: it is a run, as '0' comes after '/'. */
static void hide_below(const struct contents_view *view, const char *path, bool *gone)
{
	char *from SCOPED(mem_freep) = mem_format("%s/", path);
	char *to SCOPED(mem_freep) = mem_format("%s0", path);
	size_t end = place_of(view, 0, to);

	for (size_t i = place_of(view, 0, from); i < end; i++)
		gone[i] = true;
}

static bool is_at(const struct contents_view *view, size_t i, const char *path)
{
	return i < view->n && strcmp(view->v[i].en->path, path) == 0;
}

/* What the tree on top removed, directories that it emptied and those that it has something else
 * in the place of. */
static void hide(const struct contents_view *view, const struct contents *top, bool *gone)
{
	for (size_t i = 0; i < top->hidden.cap; i++) {
		const struct map_slot *slot = &top->hidden.slots[i];
		size_t at = slot->key != NULL ? place_of(view, 0, slot->key) : 0;

		if (slot->key == NULL)
			continue;
		hide_below(view, slot->key, gone);
		if (slot->val == NULL && is_at(view, at, slot->key))
			gone[at] = true;
	}
	for (size_t b = 0, a = 0; b < top->tree.n && view->n > 0; b++) {
		const struct tree_entry *en = &top->tree.v[b];

		a = place_of(view, a, en->path);
		if (!is_at(view, a, en->path))
			continue;
		gone[a] = true; /* the one on top is seen */
		if (!S_ISDIR(en->mode) && S_ISDIR(view->v[a].en->mode))
			hide_below(view, en->path, gone);
	}
}

/* Adds what is left of a part of the view. */
static void add_left(const struct contents_view *view, size_t from, size_t to, const bool *gone,
		     struct contents_view *ret)
{
	for (size_t i = from; i < to; i++)
		if (!gone[i])
			ret->v[ret->n++] = view->v[i];
}

void contents_lay(const struct contents_view *below, const struct contents *top, size_t number,
		  struct contents_view *ret)
{
	bool *gone SCOPED(mem_freep) = mem_zalloc(below->n + 1);
	struct contents_view view = {
	    .v = mem_zalloc((below->n + top->tree.n + 1) * sizeof(*view.v))};
	size_t a = 0;

	hide(below, top, gone);
	for (size_t b = 0; b < top->tree.n; b++) {
		size_t to = place_of(below, a, top->tree.v[b].path);

		add_left(below, a, to, gone, &view);
		view.v[view.n++] = (struct contents_seen){number, &top->tree.v[b]};
		a = to;
	}
	add_left(below, a, below->n, gone, &view);
	*ret = view;
}

void contents_view_release(struct contents_view *view)
{
	free(view->v);
	*view = (struct contents_view){0};
}

static struct tree_entry copy(const struct tree_entry *en)
{
	struct tree_entry c = *en;

	c.path = mem_strdup(en->path);
	c.link = en->link != NULL ? mem_strdup(en->link) : NULL;
	c.xattrs = en->xattrs_n > 0 ? mem_zalloc(en->xattrs_n * sizeof(*c.xattrs)) : NULL;
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
static void number_links(const struct contents_view *view, const struct contents *v, size_t n,
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

void contents_merge(const struct contents *v, size_t n, struct tree *ret)
{
	struct contents_view view SCOPED(contents_view_release) = {0};
	struct tree t = {0};

	for (size_t i = 0; i < n; i++) {
		struct contents_view below SCOPED(contents_view_release) = view;

		contents_lay(&below, &v[i], i, &view);
	}
	t.v = mem_zalloc((view.n + 1) * sizeof(*t.v));
	t.cap = view.n + 1;
	for (; t.n < view.n; t.n++)
		t.v[t.n] = copy(view.v[t.n].en);
	number_links(&view, v, n, &t);
	*ret = t;
}
