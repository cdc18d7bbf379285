#include "build/looked.h"

#include "build/leak.h"
#include "build/verdict.h"
#include "sys/fs.h"
#include "sys/self.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RECORD_MAX = 64 << 20 };

/* Of a finished stage: whether it was looked into, and the paths of which that is not so. */
struct stage {
	bool known;
	struct map open;
};

struct looked {
	struct job *j;
	const char *upper;
	bool finished;              /* the changes have an index */
	struct contents_view below; /* what the finished stages show */
	char *path;                 /* of the record */
	struct digest_text by;
	struct stage *stages; /* one a finished stage */
	size_t n;
	struct map found;
	struct map touched; /* paths that the changes hold with the bytes of a stage: that */
	struct buf was;     /* the record as it was read */
	bool below_clean;   /* nothing was found in the layers of the image below */
	struct facts_source source;
};

/* Who looked, and for what: this program, the profiles, and the names of this machine. */
static int identity(struct job *j, struct digest_text *ret, struct err *e)
{
	struct hash *h SCOPED(hash_freep) = hash_new();
	struct leak_words w;
	struct digest d;

	if (self_digest(&d, e) != 0)
		return -1;
	hash_add(h, d.b, DIGEST_BYTES);
	if (verdict_digest(j, &d, e) != 0)
		return -1;
	hash_add(h, d.b, DIGEST_BYTES);
	leak_collect(j, &w);
	d = leak_words_digest(&w);
	leak_release(&w);
	hash_add(h, d.b, DIGEST_BYTES);
	d = hash_final(h);
	*ret = digest_text(&d);
	return 0;
}

static void take_stage(struct stage *s, const struct jval *paths)
{
	s->known = jval_is_array(paths);
	for (size_t i = 0; i < jval_len(paths); i++) {
		const char *path = jval_str(jval_at(paths, i));

		if (path != NULL)
			(void)map_put(&s->open, path, NULL);
		else
			s->known = false;
	}
}

/* A record that is not there, is damaged or another's leaves everything to be looked into. */
static void read_record(struct looked *l)
{
	struct jval *v SCOPED(jval_freep) = NULL;
	struct err quiet = ERR_INIT;
	const char *by, *below;

	if (fs_get_file(AT_FDCWD, l->path, &l->was, &quiet) != 0 ||
	    jval_parse(l->was.data, l->was.len, l->path, &v, &quiet) != 0)
		return;
	by = jval_get_str(v, "by");
	if (by == NULL || strcmp(by, l->by.s) != 0)
		return;
	below = jval_get_str(v, "below");
	l->below_clean = l->j->below != NULL && below != NULL &&
			 strcmp(below, digest_text(&l->j->below_image.digest).s) == 0;
	for (size_t i = 0; i < l->n; i++) {
		struct digest_text output = digest_text(&l->j->contents[i].output);

		take_stage(&l->stages[i], jval_get(jval_get(v, "stages"), output.s));
	}
}

/* The changes so far, and what they show together with the stages below: they are the last. */
struct sight {
	struct contents own; /* of changes without an index */
	const struct contents *changes;
	struct contents_view view;
};

/* The digest of the changed file's bytes. */
static int digest_changed(const struct looked *l, int dirfd, const char *path, struct digest *ret)
{
	const struct digest *known =
	    l->finished ? contents_find(&l->j->contents[l->n], path) : NULL;
	struct err quiet = ERR_INIT;
	int fd SCOPED(fd_closep) = -1;

	if (known != NULL)
		return (*ret = *known, 0);
	if (fs_open_in_root(dirfd, path, O_RDONLY | O_CLOEXEC, &fd, &quiet) != 0)
		return -1;
	return digest_fd(fd, ret, NULL, &quiet);
}

/* The stage that has the same bytes below this name, or NULL. */
static struct stage *same_below(const struct looked *l, int dirfd, const struct tree_entry *en)
{
	const struct tree_entry *below = NULL;
	struct digest d;
	size_t i = l->n;

	while (below == NULL && i > 0)
		below = tree_find(&l->j->contents[--i].tree, en->path);
	if (below == NULL || !S_ISREG(below->mode) || below->size != en->size ||
	    digest_changed(l, dirfd, en->path, &d) != 0)
		return NULL;
	return digest_equal(contents_find(&l->j->contents[i], en->path), &d) ? &l->stages[i] : NULL;
}

/* What the hardening gave other modes or owners, and nothing else. */
static int note_touched(struct looked *l, const struct tree *changes, struct err *e)
{
	int dirfd SCOPED(fd_closep) = -1;

	map_release(&l->touched, NULL);
	if (fs_open_dir(AT_FDCWD, l->upper, &dirfd, e) != 0)
		return -1;
	for (size_t k = 0; k < changes->n; k++) {
		struct stage *s =
		    S_ISREG(changes->v[k].mode) ? same_below(l, dirfd, &changes->v[k]) : NULL;

		if (s != NULL)
			(void)map_put(&l->touched, changes->v[k].path, s);
	}
	return 0;
}

static void sight_release(struct sight *s)
{
	contents_view_release(&s->view);
	contents_release(&s->own);
}

static int look(struct looked *l, struct sight *ret, struct err *e)
{
	if (!l->finished && contents_look(l->upper, &ret->own, e) != 0)
		return -1;
	ret->changes = l->finished ? &l->j->contents[l->n] : &ret->own;
	contents_lay(&l->below, ret->changes, l->n, &ret->view);
	return note_touched(l, &ret->changes->tree, e);
}

static bool is_clean(const struct looked *l, const char *path, size_t from)
{
	const struct stage *s = from < l->n ? &l->stages[from] : map_get(&l->touched, path);

	return s != NULL && s->known && !map_has(&s->open, path);
}

static bool is_base(const struct looked *l, const char *path, size_t from)
{
	return from == 0 ? l->n > 0 : from == l->n && map_get(&l->touched, path) == &l->stages[0];
}

static int add_entry(const struct looked *l, const struct tree_entry *en, size_t from,
		     struct facts_files *ret, struct err *e)
{
	struct facts_file *f;

	if (facts_files_add(ret, en->path, &f, e) != 0)
		return -1;
	f->st.st_mode = en->mode;
	f->st.st_uid = en->uid;
	f->st.st_gid = en->gid;
	f->st.st_size = (off_t)en->size;
	f->clean = is_clean(l, en->path, from);
	f->bare = en->xattrs_n == 0;
	f->base = is_base(l, en->path, from);
	return 0;
}

static int list(void *ctx, struct facts_files *ret, struct err *e)
{
	struct looked *l = ctx;
	struct sight s SCOPED(sight_release) = {0};

	if (look(l, &s, e) != 0)
		return -1;
	for (size_t i = 0; i < s.view.n; i++)
		if (add_entry(l, s.view.v[i].en, s.view.v[i].tree, ret, e) != 0)
			return -1;
	return 0;
}

static void found(void *ctx, const char *path)
{
	looked_found(ctx, path);
}

static void find_below(struct looked *l)
{
	for (size_t i = 0; i < l->n; i++) {
		struct contents_view below SCOPED(contents_view_release) = l->below;

		contents_lay(&below, &l->j->contents[i], i, &l->below);
	}
}

int looked_open(struct job *j, size_t n, const char *upper, struct looked **ret, struct err *e)
{
	struct looked *l = mem_zalloc(sizeof(*l));

	*l = (struct looked){.j = j, .upper = upper, .n = n, .was = BUF_INIT(RECORD_MAX)};
	l->source = (struct facts_source){.list = list, .ctx = l, .found = found};
	l->path = mem_format("%s/cache/looked/%s", store_path(j->s), j->r->name);
	l->stages = mem_zalloc((l->n + 1) * sizeof(*l->stages));
	for (size_t i = 0; i < l->n; i++)
		if (job_contents(j, i, e) != 0) {
			looked_free(l);
			return -1;
		}
	if (identity(j, &l->by, e) != 0) {
		looked_free(l);
		return -1;
	}
	if (!j->o->no_cache)
		read_record(l);
	find_below(l);
	*ret = l;
	return 0;
}

void looked_finish(struct looked *l, const char *upper)
{
	l->finished = true;
	l->upper = upper;
}

void looked_free(struct looked *l)
{
	if (l == NULL)
		return;
	for (size_t i = 0; i < l->n; i++)
		map_release(&l->stages[i].open, NULL);
	free(l->stages);
	contents_view_release(&l->below);
	free(l->path);
	map_release(&l->found, NULL);
	map_release(&l->touched, NULL);
	buf_release(&l->was);
	free(l);
}

const struct facts_source *looked_source(const struct looked *l)
{
	return l != NULL ? &l->source : NULL;
}

void looked_found(struct looked *l, const char *path)
{
	if (l != NULL)
		(void)map_put(&l->found, path, NULL);
}

void looked_all_found(const struct looked *l, struct buf *ret)
{
	const char **paths SCOPED(mem_freep) = map_keys(&l->found);

	for (size_t i = 0; paths[i] != NULL; i++)
		buf_add(ret, paths[i], strlen(paths[i]) + 1);
}

bool looked_below(const struct looked *l)
{
	return l != NULL && l->below_clean;
}

void looked_below_clean(struct looked *l)
{
	if (l != NULL)
		l->below_clean = true;
}

/* Of each stage which of its entries are seen. The caller frees them and the array. */
static bool **seen_of(const struct looked *l, const struct contents_view *view)
{
	bool **seen = mem_zalloc((l->n + 1) * sizeof(*seen));

	for (size_t i = 0; i < l->n; i++)
		seen[i] = mem_zalloc(l->j->contents[i].tree.n + 1);
	for (size_t k = 0; k < view->n; k++)
		if (view->v[k].tree < l->n) {
			const struct tree *own = &l->j->contents[view->v[k].tree].tree;

			seen[view->v[k].tree][view->v[k].en - own->v] = true;
		}
	return seen;
}

/* What of stage i was not looked into, because something hides it, or is to be found again; null
 * when a name among them is no text that comes back as it was. */
static struct jval *open_paths(const struct looked *l, size_t i, const bool *seen)
{
	const struct tree *own = &l->j->contents[i].tree;
	struct jval *v = jval_array();

	for (size_t k = 0; k < own->n; k++) {
		const char *path = own->v[k].path;
		struct jval *text;

		if (S_ISDIR(own->v[k].mode) ||
		    (!map_has(&l->found, path) &&
		     (seen[k] || map_get(&l->touched, path) == &l->stages[i])))
			continue;
		text = jval_text(path);
		jval_push(v, text);
		if (strcmp(jval_str(text), path) != 0) {
			jval_free(v);
			return jval_null();
		}
	}
	return v;
}

int looked_keep(struct looked *l, struct err *e)
{
	struct jval *v SCOPED(jval_freep) = jval_object(), *stages = jval_object();
	struct buf b SCOPED(buf_release) = BUF_INIT(RECORD_MAX);
	struct sight s SCOPED(sight_release) = {0};
	bool **seen;

	jval_put(v, "stages", stages);
	jval_put_text(v, "by", l->by.s);
	if (l->below_clean)
		jval_put_text(v, "below", digest_text(&l->j->below_image.digest).s);
	if (look(l, &s, e) != 0)
		return -1;
	seen = seen_of(l, &s.view);
	for (size_t i = 0; i < l->n; i++) {
		jval_put(stages, digest_text(&l->j->contents[i].output).s,
			 open_paths(l, i, seen[i]));
		free(seen[i]);
	}
	free(seen);
	jval_write(v, &b);
	if (b.len == l->was.len && memcmp(b.data, l->was.data, b.len) == 0)
		return 0;
	if (fs_mkdirs(store_fd(l->j->s), "cache/looked", 0700, e) != 0)
		return -1;
	return fs_put_unsynced(l->path, b.data, b.len, 0600, e);
}
