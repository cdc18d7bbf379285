#include "build/looked.h"

#include "build/leak.h"
#include "sys/fs.h"
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
	struct contents_view below; /* what the finished stages show */
	char *path;                 /* of the record */
	struct digest_text by;
	struct stage *stages; /* one a finished stage */
	size_t n;
	struct map found;
	struct buf was; /* the record as it was read */
	struct facts_source source;
};

/* Who looked, and for what: this program, and the names of this machine. */
static int identity(const struct job *j, struct digest_text *ret, struct err *e)
{
	int fd SCOPED(fd_closep) = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct hash *h SCOPED(hash_freep) = hash_new();
	struct leak_words w;
	struct digest d;

	if (fd < 0)
		return err_sys(e, "open /proc/self/exe");
	if (digest_fd(fd, &d, NULL, e) != 0)
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
	const char *by;

	if (fs_get_file(AT_FDCWD, l->path, &l->was, &quiet) != 0 ||
	    jval_parse(l->was.data, l->was.len, l->path, &v, &quiet) != 0)
		return;
	by = jval_get_str(v, "by");
	if (by == NULL || strcmp(by, l->by.s) != 0)
		return;
	for (size_t i = 0; i < l->n; i++) {
		struct digest_text output = digest_text(&l->j->contents[i].output);

		take_stage(&l->stages[i], jval_get(jval_get(v, "stages"), output.s));
	}
}

/* The changes so far, and what they show together with the stages below: they are the last. */
struct sight {
	struct contents changes;
	struct contents_view view;
};

static void sight_release(struct sight *s)
{
	contents_view_release(&s->view);
	contents_release(&s->changes);
}

static int look(const struct looked *l, struct sight *ret, struct err *e)
{
	if (contents_look(l->upper, &ret->changes, e) != 0)
		return -1;
	contents_lay(&l->below, &ret->changes, l->n, &ret->view);
	return 0;
}

static bool is_clean(const struct looked *l, const char *path, size_t from)
{
	return from < l->n && l->stages[from].known && !map_has(&l->stages[from].open, path);
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
	return 0;
}

static int list(void *ctx, struct facts_files *ret, struct err *e)
{
	const struct looked *l = ctx;
	struct sight s SCOPED(sight_release) = {0};

	if (look(l, &s, e) != 0)
		return -1;
	for (size_t i = 0; i < s.view.n; i++)
		if (add_entry(l, s.view.v[i].en, s.view.v[i].tree, ret, e) != 0)
			return -1;
	return 0;
}

static void find_below(struct looked *l)
{
	for (size_t i = 0; i < l->n; i++) {
		struct contents_view below SCOPED(contents_view_release) = l->below;

		contents_lay(&below, &l->j->contents[i], i, &l->below);
	}
}

int looked_open(struct job *j, const char *upper, struct looked **ret, struct err *e)
{
	struct looked *l = mem_zalloc(sizeof(*l));

	*l = (struct looked){.j = j, .upper = upper, .n = j->trees.n, .was = BUF_INIT(RECORD_MAX)};
	l->source = (struct facts_source){.list = list, .ctx = l};
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

		if (S_ISDIR(own->v[k].mode) || (seen[k] && !map_has(&l->found, path)))
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
