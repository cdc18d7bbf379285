#include "restore/survey.h"

#include "restore/scanned.h"
#include <stdlib.h>
#include <string.h>

static const char permfile[] = "-perms.txt";

/* Where the source has a directory of the site. */
static const char *below_of(const struct survey_of *o, const struct site_data *d)
{
	return o->src->by_name ? d->name : d->at + 1;
}

/* Whether a path is that directory or in it. */
static bool is_in(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return n == 0 || (strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0'));
}

static const struct site_data *claim(const struct survey_of *o, const char *path)
{
	for (size_t i = 0; o->site != NULL && i < o->site->data_n; i++)
		if (is_in(path, below_of(o, &o->site->data[i])))
			return &o->site->data[i];
	return NULL;
}

static bool leads_to_claim(const struct survey_of *o, const char *path)
{
	for (size_t i = 0; i < o->site->data_n; i++)
		if (is_in(below_of(o, &o->site->data[i]), path))
			return true;
	return false;
}

/* What is ours or was used up: the records beside another site's data, and permfiles. */
static bool is_own(const struct source *src, const char *path)
{
	size_t n = strlen(path);

	if (src->kind == SOURCE_SITE && is_in(path, ".posmedia"))
		return true;
	return src->perms != NULL && strchr(path, '/') == NULL && n > strlen(permfile) &&
	       strcmp(path + n - strlen(permfile), permfile) == 0;
}

static bool wants(void *ctx, const char *path, enum manifest_type type)
{
	const struct survey_of *o = ctx;

	(void)type;
	if (is_own(o->src, path))
		return false;
	return o->env != SITE_PROD || claim(o, path) == NULL;
}

/* The reading says so, when it meets the same. */
static void went(void *ctx, const char *path)
{
	(void)ctx;
	(void)path;
}

static int list(const struct survey_of *o, struct manifest *ret, struct err *e)
{
	const struct manifest_opts how = {.names = o->src->names,
					  .wants = wants,
					  .unsteady = o->living ? went : NULL,
					  .names_only = true,
					  .ctx = (void *)(uintptr_t)o};

	return manifest_make(o->src->rootfd, &how, ret, e) == 0 ? 0 : err_in(e, "%s", o->src->text);
}

/* Where its machine has a path of the source, without the first slash. */
static char *place_of(const struct survey_of *o, const char *path)
{
	const struct site_data *d = o->src->by_name ? claim(o, path) : NULL;

	return d != NULL ? mem_format("%s%s", d->at + 1, path + strlen(d->name)) : mem_strdup(path);
}

static void find_links(const struct survey_of *o, const struct manifest *all, struct survey *s)
{
	struct restore_name *v = mem_zalloc((all->n + 1) * sizeof(*v));
	char **full = mem_zalloc((all->n + 1) * sizeof(*full));

	for (size_t i = 0; i < all->n; i++) {
		char *place SCOPED(mem_freep) = place_of(o, all->v[i].path);

		full[i] = mem_format("/%s", place);
		v[i] = (struct restore_name){all->v[i].path, full[i], all->v[i].same_as};
	}
	restore_filter_find_links(s->judge, v, all->n);
	for (size_t i = 0; i < all->n; i++)
		free(full[i]);
	free(full);
	free(v);
}

/* The first directory above it that has nothing of the site in it, or itself. */
static char *part_of(const struct survey_of *o, const char *path)
{
	for (const char *end = path; end != NULL;) {
		char *above SCOPED(mem_freep) = NULL;

		end = strchr(end + 1, '/');
		above = end != NULL ? mem_strndup(path, (size_t)(end - path)) : mem_strdup(path);
		if (!leads_to_claim(o, above))
			return STEAL(above);
	}
	return NULL;
}

static void count(const struct survey_of *o, const struct manifest_entry *en, struct survey *s)
{
	char *path SCOPED(mem_freep) = NULL;
	struct survey_part *p;

	if (en->path[0] == '\0' || claim(o, en->path) != NULL || is_own(o->src, en->path))
		return;
	path = part_of(o, en->path);
	if (path == NULL)
		return;
	p = map_get(&s->parts, path);
	if (p == NULL) {
		p = mem_zalloc(sizeof(*p));
		(void)map_add(&s->parts, path, p);
	}
	p->entries++;
	if (en->type != MANIFEST_FILE || en->same_as != NULL)
		return;
	p->files++;
	p->bytes += en->size;
}

void survey_release(struct survey *s)
{
	restore_filter_free(s->judge);
	map_release(&s->parts, free);
	*s = (struct survey){0};
}

int survey_make(const struct survey_of *o, struct survey *ret, struct err *e)
{
	struct manifest made SCOPED(manifest_release) = {0};
	const struct manifest *all = &made;
	bool counts = o->site != NULL && !o->claimed;

	survey_release(ret);
	if (!counts && o->env == SITE_PROD)
		return 0;
	if (o->src->snapshot != NULL)
		all = source_snapshot_manifest(o->src->snapshot);
	else if (list(o, &made, e) != 0)
		return -1;
	if (o->env != SITE_PROD) {
		ret->judge = restore_filter_new(o->env, NULL, "");
		find_links(o, all, ret);
	}
	for (size_t i = 0; counts && i < all->n; i++)
		count(o, &all->v[i], ret);
	return 0;
}

void survey_report(const struct survey *s, struct jval *o)
{
	const char **keys SCOPED(mem_freep) = map_keys(&s->parts);
	struct jval *list = jval_array();
	uint64_t n = 0;

	for (size_t i = 0; i < s->parts.n; i++) {
		const struct survey_part *p = map_get(&s->parts, keys[i]);
		char *told SCOPED(mem_freep) = restore_told(keys[i]);
		char *path SCOPED(mem_freep) = mem_format("/%s", told);
		struct jval *one = jval_object();

		jval_put_text(one, "path", path);
		jval_put_int(one, "entries", (int64_t)p->entries);
		jval_put_int(one, "files", (int64_t)p->files);
		jval_put_int(one, "bytes", (int64_t)p->bytes);
		jval_push(list, one);
		n += p->entries;
	}
	jval_put(o, "unclaimed", list);
	jval_put_int(o, "unclaimed-entries", (int64_t)n);
}
