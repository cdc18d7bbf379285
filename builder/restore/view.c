/* view.c - a part of a manifest as a manifest. */
#include "restore/parts.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct building {
	const struct restore_part *p;
	struct restore_view v;
	struct map gone; /* directories that are not in the part, by their paths in it */
	struct map
	    first; /* by the path of the whole that a file has first: where it is in the part */
};

static void building_release(struct building *b)
{
	map_release(&b->gone, NULL);
	map_release(&b->first, NULL);
	restore_view_release(&b->v);
}

/* The path in the part, or NULL when it is not below. */
static char *inside(const struct restore_part *p, char *path)
{
	size_t n = strlen(p->below);

	if (n == 0)
		return path;
	if (strncmp(path, p->below, n) != 0 || (path[n] != '/' && path[n] != '\0'))
		return NULL;
	return path[n] == '/' ? path + n + 1 : path + n;
}

static bool below_gone(const struct building *b, const char *path)
{
	const char *slash = strrchr(path, '/');
	char *parent SCOPED(mem_freep) = NULL;

	if (slash == NULL)
		return false;
	parent = mem_strndup(path, (size_t)(slash - path));
	return map_has(&b->gone, parent);
}

static bool dropped(const struct building *b, const char *path, enum manifest_type type)
{
	if (path[0] == '\0')
		return false;
	if (b->p->drop != NULL && map_has(b->p->drop, path))
		return true;
	if (b->p->filter == NULL)
		return false;
	return b->p->again ? !restore_filter_passes(b->p->filter, path, type)
			   : !restore_filter_wants(b->p->filter, path, type);
}

static void push(struct building *b, const struct manifest_entry *one, size_t from)
{
	struct restore_view *v = &b->v;

	v->m.v[v->m.n] = *one;
	v->from[v->m.n++] = from;
	if (one->type != MANIFEST_FILE || one->same_as != NULL)
		return;
	v->m.files++;
	v->m.bytes += one->size;
}

/* Another name: of the first name of its file that is in the part; when there is none it is that
 * itself. */
static int push_link(struct building *b, const struct manifest_entry *of, struct err *e)
{
	const struct manifest *all = b->p->of;
	const struct manifest_entry *leader = manifest_find(all, of->same_as);
	struct manifest_entry one = *of;
	size_t from;
	void *at;

	if (leader == NULL || leader->same_as != NULL)
		return err_set(e, ERR_VERIFY, "%s is another name of nothing", of->path);
	from = (size_t)(leader - all->v);
	at = map_get(&b->first, of->same_as);
	one.path = inside(b->p, of->path);
	if (at != NULL) {
		one.same_as = b->v.m.v[(size_t)(uintptr_t)at - 1].path;
		push(b, &one, from);
		return 0;
	}
	(void)map_put(&b->first, of->same_as, (void *)(uintptr_t)(b->v.m.n + 1));
	one = *leader;
	one.path = inside(b->p, of->path);
	push(b, &one, from);
	return 0;
}

static int add(struct building *b, size_t i, struct err *e)
{
	const struct manifest_entry *of = &b->p->of->v[i];
	char *path = inside(b->p, of->path);
	struct manifest_entry one = *of;

	if (path == NULL)
		return 0;
	if (below_gone(b, path) || dropped(b, path, of->type)) {
		(void)map_put(&b->gone, path, NULL);
		b->v.m.excluded++;
		return 0;
	}
	if (of->same_as != NULL)
		return push_link(b, of, e);
	one.path = path;
	if (of->type != MANIFEST_DIR)
		(void)map_put(&b->first, of->path, (void *)(uintptr_t)(b->v.m.n + 1));
	push(b, &one, i);
	return 0;
}

static int open_one(void *ctx, size_t i, void **ret, struct err *e)
{
	const struct restore_view *v = ctx;

	return v->whole->open(v->whole->ctx, v->from[i], ret, e);
}

static void close_one(void *ctx, void *handle)
{
	const struct restore_view *v = ctx;

	v->whole->close(v->whole->ctx, handle);
}

static void learnt_one(void *ctx, void *handle, size_t i, const struct digest *d)
{
	struct restore_view *v = ctx;

	v->m.v[i].digest = *d;
	v->m.v[i].unread = false;
	if (v->whole->learnt != NULL)
		v->whole->learnt(v->whole->ctx, handle, v->from[i], d);
}

int restore_view_make(const struct restore_part *p, struct restore_view *ret, struct err *e)
{
	struct building b SCOPED(building_release) = {.p = p};

	b.v.m.v = mem_resize(NULL, p->of->n + 1, sizeof(*b.v.m.v));
	b.v.from = mem_resize(NULL, p->of->n + 1, sizeof(*b.v.from));
	for (size_t i = 0; i < p->of->n; i++)
		if (add(&b, i, e) != 0)
			return -1;
	if (b.v.m.n == 0 || b.v.m.v[0].path[0] != '\0' || b.v.m.v[0].type != MANIFEST_DIR)
		return err_set(e, ERR_VERIFY, "there is no directory %s", p->below);
	b.v.m.left_out = p->of->left_out;
	b.v.m.remembered = p->of->remembered;
	b.v.m.excluded += p->of->excluded;
	b.v.whole = p->content;
	*ret = b.v;
	ret->content = (struct apply_content){.open = open_one,
					      .read = p->content->read,
					      .close = close_one,
					      .learnt = learnt_one,
					      .ctx = ret,
					      .living = p->content->living};
	b.v = (struct restore_view){0};
	return 0;
}

static bool is_root(const char *name)
{
	return strcmp(name, "root") == 0 || strcmp(name, "0") == 0;
}

static bool strip_mode(struct manifest_entry *en)
{
	mode_t off = (is_root(en->user) ? S_ISUID : 0) | (is_root(en->group) ? S_ISGID : 0);

	off &= en->mode;
	en->mode &= ~off;
	return off != 0;
}

static bool strip_capability(struct restore_view *v, struct manifest_entry *en)
{
	struct manifest_xattr *left;
	size_t n = 0;

	for (size_t i = 0; i < en->xattrs_n; i++)
		n += strcmp(en->xattrs[i].name, "security.capability") != 0;
	if (n == en->xattrs_n)
		return false;
	left = mem_resize(NULL, n + 1, sizeof(*left));
	n = 0;
	for (size_t i = 0; i < en->xattrs_n; i++)
		if (strcmp(en->xattrs[i].name, "security.capability") != 0)
			left[n++] = en->xattrs[i];
	en->xattrs = left;
	en->xattrs_n = n;
	v->own = mem_resize(v->own, v->own_n + 1, sizeof(*v->own));
	v->own[v->own_n++] = left;
	return true;
}

void restore_view_strip(struct restore_view *v, struct restore_filter *f)
{
	for (size_t i = 0; i < v->m.n; i++) {
		struct manifest_entry *en = &v->m.v[i];
		bool mode, capability;

		if (en->type != MANIFEST_FILE)
			continue;
		mode = strip_mode(en);
		capability = strip_capability(v, en);
		if (mode || capability)
			restore_filter_note(f, RESTORE_PRIVILEGES, en->path);
	}
}

void restore_view_release(struct restore_view *v)
{
	for (size_t i = 0; i < v->own_n; i++)
		free(v->own[i]);
	free(v->own);
	free(v->m.v);
	free(v->from);
	*v = (struct restore_view){0};
}
