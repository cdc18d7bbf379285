#include "base/map.h"
#include "recipe/grammar.h"
#include "recipe/lock_parts.h"
#include "recipe/schema.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The last second of the year 9999: what RFC 3339 can write. */
static const int64_t date_max = INT64_C(253402300799);

/* Where in the lock we are, for messages: "FILE: packages[3]: ...". */
struct where {
	const char *file;
	const char *list; /* NULL at the top */
	size_t i;
	struct err *e;
};

PRINTF(2, 3) static int refuse(const struct where *w, const char *fmt, ...)
{
	char what[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	if (w->list == NULL)
		err_set(w->e, ERR_RECIPE, "%s: %s", w->file, what);
	else
		err_set(w->e, ERR_RECIPE, "%s: %s[%zu]: %s", w->file, w->list, w->i, what);
	return err_hint(w->e, "A lock is not edited by hand: run \"posmedia lock\" again.");
}

struct keys {
	const struct where *w;
	const char *const *known;
};

static int check_key(void *ctx, const char *key, struct jval *val)
{
	const struct keys *k = ctx;

	(void)val;
	for (const char *const *known = k->known; *known != NULL; known++)
		if (strcmp(*known, key) == 0)
			return 0;
	return refuse(k->w, "unknown key \"%s\"", schema_show(key).s);
}

/* o must be an object with none but these keys. */
static int check_keys(const struct jval *o, const char *const *known, const struct where *w)
{
	struct keys k = {w, known};

	if (!jval_is_object(o))
		return refuse(w, "not an object");
	return jval_each(o, check_key, &k);
}

static int get_word(const struct jval *o, const char *key, const struct grammar *g,
		    const struct where *w, char **ret)
{
	const char *s = jval_get_str(o, key);

	if (s == NULL)
		return refuse(w, "\"%s\" is missing or no text", key);
	if (!grammar_ok(g, s))
		return refuse(w, "\"%s\" wants %s, not \"%s\"", key, g->what, schema_show(s).s);
	*ret = mem_strdup(s);
	return 0;
}

static int get_int(const struct jval *o, const char *key, int64_t max, const struct where *w,
		   int64_t *ret)
{
	int64_t v;

	if (jval_get_int(o, key, &v) != 0 || v < 0 || v > max)
		return refuse(w, "\"%s\" wants a number from 0 to %lld", key, (long long)max);
	*ret = v;
	return 0;
}

static int get_size(const struct jval *o, const struct where *w, uint64_t *ret)
{
	int64_t v = 0;

	if (get_int(o, "size", LOCK_SIZE_MAX, w, &v) != 0)
		return -1;
	*ret = (uint64_t)v;
	return 0;
}

static int get_digest(const struct jval *o, const char *key, const struct where *w,
		      struct digest *ret)
{
	const char *s = jval_get_str(o, key);

	if (s == NULL || digest_parse_hex(s, ret) != 0)
		return refuse(w, "\"%s\" wants 64 lower-case hex digits", key);
	return 0;
}

/* The list of that name, of at most max items, into *w and *ret. */
static int get_list(const struct jval *o, const char *key, size_t max, struct where *w,
		    const struct jval **ret)
{
	const struct jval *list = jval_get(o, key);

	if (!jval_is_array(list))
		return refuse(w, "\"%s\" is missing or no list", key);
	if (jval_len(list) > max)
		return refuse(w, "\"%s\" has more than %zu items", key, max);
	w->list = key;
	*ret = list;
	return 0;
}

static void map_freep(struct map *m)
{
	map_release(m, NULL);
}

static int read_repositories(const struct jval *o, struct lock *l, struct where w)
{
	static const char *const known[] = {"id", "mirror", "release", "date", NULL};
	struct map seen SCOPED(map_freep) = {0};
	const struct jval *list;
	struct digest release;

	if (get_list(o, "repositories", LOCK_REPOSITORIES_MAX, &w, &list) != 0)
		return -1;
	l->repositories = mem_zalloc((jval_len(list) + 1) * sizeof(*l->repositories));
	for (w.i = 0; w.i < jval_len(list); w.i++) {
		struct lock_repository *r = &l->repositories[l->repositories_n++];
		const struct jval *item = jval_at(list, w.i);

		if (check_keys(item, known, &w) != 0 ||
		    get_word(item, "id", &grammar_name, &w, &r->id) != 0 ||
		    get_word(item, "mirror", &grammar_locked_mirror, &w, &r->mirror) != 0 ||
		    get_digest(item, "release", &w, &release) != 0 ||
		    get_int(item, "date", date_max, &w, &r->date) != 0)
			return -1;
		r->release = mem_strdup(digest_hex(&release).s);
		if (map_put(&seen, r->id, r) != NULL)
			return refuse(&w, "duplicate \"%s\"", r->id);
	}
	return 0;
}

static bool has_repository(const struct lock *l, const char *id)
{
	for (size_t i = 0; i < l->repositories_n; i++)
		if (strcmp(l->repositories[i].id, id) == 0)
			return true;
	return false;
}

static int read_package(const struct jval *o, const struct lock *l, struct lock_package *p,
			const struct where *w)
{
	static const char *const known[] = {"name", "version", "arch",   "source",    "repository",
					    "path", "size",    "sha256", "essential", NULL};

	if (check_keys(o, known, w) != 0 ||
	    get_word(o, "name", &grammar_locked_package, w, &p->name) != 0 ||
	    get_word(o, "version", &grammar_locked_version, w, &p->version) != 0 ||
	    get_word(o, "arch", &grammar_locked_arch, w, &p->arch) != 0 ||
	    get_word(o, "source", &grammar_source, w, &p->source) != 0 ||
	    get_word(o, "repository", &grammar_name, w, &p->repository) != 0 ||
	    get_word(o, "path", &grammar_pool_path, w, &p->path) != 0 ||
	    get_size(o, w, &p->size) != 0 || get_digest(o, "sha256", w, &p->digest) != 0)
		return -1;
	p->essential = jval_get_bool(o, "essential");
	if (jval_get(o, "essential") != NULL && !p->essential)
		return refuse(w, "\"essential\" is true or absent");
	if (p->size == 0)
		return refuse(w, "\"size\" is 0");
	if (!has_repository(l, p->repository))
		return refuse(w, "no repository \"%s\"", p->repository);
	return 0;
}

static int read_packages(const struct jval *o, struct lock *l, struct where w)
{
	const struct jval *list;

	if (get_list(o, "packages", LOCK_PACKAGES_MAX, &w, &list) != 0)
		return -1;
	l->packages = mem_zalloc((jval_len(list) + 1) * sizeof(*l->packages));
	for (w.i = 0; w.i < jval_len(list); w.i++) {
		struct lock_package *p = &l->packages[l->packages_n++];

		if (read_package(jval_at(list, w.i), l, p, &w) != 0)
			return -1;
		if (w.i > 0 && lock_compare(p - 1, p) >= 0)
			return refuse(&w, "\"%s\" is out of order or twice", p->name);
	}
	return 0;
}

/* A batch may name only what is locked. */
static int read_batch(const struct jval *o, const struct map *packages, struct lock_batch *b,
		      const struct where *w)
{
	static const char *const known[] = {"configure", "unpack", NULL};
	const struct jval *names;

	if (check_keys(o, known, w) != 0)
		return -1;
	b->configure = jval_get(o, "configure") != NULL;
	names = jval_get(o, b->configure ? "configure" : "unpack");
	if (jval_len(o) != 1 || !jval_is_array(names))
		return refuse(w, "wants one list, \"unpack\" or \"configure\"");
	if (jval_len(names) > LOCK_PACKAGES_MAX)
		return refuse(w, "more than %d packages", LOCK_PACKAGES_MAX);
	for (size_t i = 0; i < jval_len(names); i++) {
		const char *s = jval_str(jval_at(names, i));
		char *name SCOPED(mem_freep) = NULL;

		if (s == NULL || !grammar_ok(&grammar_package_arch, s))
			return refuse(w, "wants package names");
		name = mem_strndup(s, strcspn(s, ":"));
		if (!map_has(packages, name))
			return refuse(w, "\"%s\" is not among the packages", name);
		strv_add(&b->names, s);
	}
	return 0;
}

static int read_batches(const struct jval *o, struct lock *l, struct where w)
{
	struct map packages SCOPED(map_freep) = {0};
	const struct jval *list;

	if (get_list(o, "batches", LOCK_BATCHES_MAX, &w, &list) != 0)
		return -1;
	for (size_t i = 0; i < l->packages_n; i++)
		map_put(&packages, l->packages[i].name, l);
	l->batches = mem_zalloc((jval_len(list) + 1) * sizeof(*l->batches));
	for (w.i = 0; w.i < jval_len(list); w.i++)
		if (read_batch(jval_at(list, w.i), &packages, &l->batches[l->batches_n++], &w) != 0)
			return -1;
	return 0;
}

static int read_media_list(const struct jval *o, struct lock *l, struct where w)
{
	static const char *const known[] = {"name", "url", "size", "sha256", NULL};
	struct map seen SCOPED(map_freep) = {0};
	const struct jval *list;

	if (get_list(o, "media", LOCK_MEDIA_MAX, &w, &list) != 0)
		return -1;
	l->media = mem_zalloc((jval_len(list) + 1) * sizeof(*l->media));
	for (w.i = 0; w.i < jval_len(list); w.i++) {
		struct lock_media *m = &l->media[l->media_n++];
		const struct jval *item = jval_at(list, w.i);

		if (check_keys(item, known, &w) != 0 ||
		    get_word(item, "name", &grammar_name, &w, &m->name) != 0 ||
		    get_word(item, "url", &grammar_media_url, &w, &m->url) != 0 ||
		    get_size(item, &w, &m->size) != 0 ||
		    get_digest(item, "sha256", &w, &m->digest) != 0)
			return -1;
		if (map_put(&seen, m->name, m) != NULL)
			return refuse(&w, "duplicate \"%s\"", m->name);
	}
	return 0;
}

/* The sources of the packages, each not seen yet. */
static void note_sources(const struct lock *l, struct map *ret)
{
	for (size_t i = 0; i < l->packages_n; i++) {
		char *name SCOPED(mem_freep) = lock_source_name(&l->packages[i]);

		(void)map_put(ret, name, (void *)(uintptr_t)l);
	}
}

static int read_layer(const struct jval *names, struct map *left, struct lock_layer *y,
		      const struct where *w)
{
	if (!jval_is_array(names) || jval_len(names) == 0 || jval_len(names) > LOCK_PACKAGES_MAX)
		return refuse(w, "wants a list of sources");
	for (size_t i = 0; i < jval_len(names); i++) {
		const char *s = jval_str(jval_at(names, i));

		if (s == NULL || map_get(left, s) == NULL)
			return refuse(w, "\"%s\" is no source of the packages, or is twice",
				      s != NULL ? schema_show(s).s : "");
		(void)map_put(left, s, NULL);
		strv_add(&y->sources, s);
	}
	strv_sort(&y->sources);
	return 0;
}

/* A lock may say nothing of layers, or of every source in which one it is. */
static int read_layers(const struct jval *o, struct lock *l, struct where w)
{
	struct map left SCOPED(map_freep) = {0};
	const struct jval *list;
	size_t named = 0;

	if (jval_get(o, "layers") == NULL)
		return 0;
	if (get_list(o, "layers", LOCK_LAYERS_MAX, &w, &list) != 0)
		return -1;
	note_sources(l, &left);
	l->layers = mem_zalloc((jval_len(list) + 1) * sizeof(*l->layers));
	for (w.i = 0; w.i < jval_len(list); w.i++) {
		struct lock_layer *y = &l->layers[l->layers_n++];

		if (read_layer(jval_at(list, w.i), &left, y, &w) != 0)
			return -1;
		named += y->sources.n;
	}
	w.list = NULL;
	return named == left.n ? 0 : refuse(&w, "\"layers\" leaves sources out");
}

static int read_steps(const struct jval *o, struct lock *l, const struct where *w)
{
	static const char *const known[] = {"date", "sha256", NULL};
	const struct jval *s = jval_get(o, "steps");

	if (s == NULL)
		return 0;
	if (check_keys(s, known, w) != 0 || get_digest(s, "sha256", w, &l->steps) != 0)
		return -1;
	return get_int(s, "date", date_max, w, &l->steps_date);
}

static int read_head(const struct jval *o, struct lock *l, const struct where *w)
{
	static const char *const known[] = {"posmedia-lock", "recipe",   "solver",  "epoch",
					    "repositories",  "packages", "batches", "media",
					    "recorded",      "layers",   "steps",   NULL};
	static const char *const recipe[] = {"name", "sha256", "solved", NULL};
	const struct jval *r = jval_get(o, "recipe");
	int64_t version;

	if (check_keys(o, known, w) != 0)
		return -1;
	if (jval_get_int(o, "posmedia-lock", &version) != 0 || version != 1)
		return refuse(w, "\"posmedia-lock\" wants the version 1");
	if (check_keys(r, recipe, w) != 0 ||
	    get_word(r, "name", &grammar_image_name, w, &l->recipe_name) != 0 ||
	    get_digest(r, "sha256", w, &l->recipe) != 0 ||
	    get_digest(r, "solved", w, &l->solved) != 0)
		return -1;
	if (get_word(o, "solver", &grammar_line, w, &l->solver) != 0)
		return -1;
	return get_int(o, "epoch", date_max, w, &l->epoch);
}

/* Absent where no step has recorded anything. */
static int read_recorded(const struct jval *o, struct lock *l, const struct where *w)
{
	const struct jval *list = jval_get(o, "recorded");

	if (list == NULL)
		return 0;
	if (jval_len(list) == 0)
		return refuse(w, "\"recorded\" is empty or no list");
	return lock_recorded_parse(list, w->file, &l->recorded, &l->recorded_n, w->e);
}

int lock_parse(const char *path, const struct buf *text, struct lock **ret, struct err *e)
{
	struct jval *o SCOPED(jval_freep) = NULL;
	struct lock *l SCOPED(lock_freep) = mem_zalloc(sizeof(*l));
	const struct where w = {path, NULL, 0, e};

	if (jval_parse(text->data, text->len, path, &o, e) != 0)
		return err_hint(e, "Take the lock from version control, or lock again.");
	if (read_head(o, l, &w) != 0 || read_repositories(o, l, w) != 0 ||
	    read_packages(o, l, w) != 0 || read_batches(o, l, w) != 0 ||
	    read_media_list(o, l, w) != 0 || read_recorded(o, l, &w) != 0 ||
	    read_layers(o, l, w) != 0 || read_steps(o, l, &w) != 0)
		return -1;
	*ret = STEAL(l);
	return 0;
}

int lock_load(const char *path, struct lock **ret, struct err *e)
{
	struct buf text = BUF_INIT(LOCK_TEXT_MAX);
	struct stat st;
	int rc;

	if (stat(path, &st) != 0) {
		err_sys(e, "%s", path);
		e->kind = ERR_RECIPE;
		return err_hint(e, "Make it with \"posmedia lock RECIPE\".");
	}
	if (!S_ISREG(st.st_mode)) {
		err_set(e, ERR_RECIPE, "%s: not a file", path);
		return err_hint(e, "Make it with \"posmedia lock RECIPE\".");
	}
	rc = fs_get(AT_FDCWD, path, &text, e);
	if (rc == 0)
		rc = lock_parse(path, &text, ret, e);
	buf_release(&text);
	return rc;
}
