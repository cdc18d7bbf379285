#include "recipe/lock.h"

#include "recipe/lock_parts.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

char *lock_path(const char *recipe_path)
{
	const char *slash = strrchr(recipe_path, '/');
	const char *dot = strrchr(slash == NULL ? recipe_path : slash + 1, '.');
	size_t n = strlen(recipe_path);

	if (dot != NULL && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0))
		n = (size_t)(dot - recipe_path);
	return mem_format("%.*s.lock", (int)n, recipe_path);
}

int lock_compare(const struct lock_package *a, const struct lock_package *b)
{
	int c = strcmp(a->name, b->name);

	return c != 0 ? c : strcmp(a->arch, b->arch);
}

static int by_name(const void *a, const void *b)
{
	const struct lock_package *const *x = a, *const *y = b;

	return lock_compare(*x, *y);
}

const struct lock_package **lock_sorted(const struct lock *l)
{
	const struct lock_package **v = mem_zalloc((l->packages_n + 1) * sizeof(*v));

	for (size_t i = 0; i < l->packages_n; i++)
		v[i] = &l->packages[i];
	qsort(v, l->packages_n, sizeof(*v), by_name);
	return v;
}

struct digest lock_digest(const struct lock *l)
{
	struct buf text = BUF_INIT(LOCK_TEXT_MAX);
	struct digest d;

	if (l->is_known)
		return l->known;
	lock_write(l, &text);
	d = digest_of(text.data, text.len);
	buf_release(&text);
	return d;
}

void lock_know(struct lock *l)
{
	l->known = lock_digest(l);
	l->is_known = true;
}

struct lock lock_with(const struct lock *l, struct lock_recorded *recorded, size_t n)
{
	struct lock with = *l;

	with.is_known = l->is_known && n == 0 && l->recorded_n == 0;
	with.recorded = recorded;
	with.recorded_n = n;
	return with;
}

int lock_save(const struct lock *l, const char *path, struct err *e)
{
	struct buf text = BUF_INIT(LOCK_TEXT_MAX);
	int rc;

	lock_write(l, &text);
	if (buf_over(&text))
		rc = err_set(e, ERR_FAIL, "%s: a lock larger than %d bytes", path, LOCK_TEXT_MAX);
	else
		rc = fs_put_path(path, text.data, text.len, 0644, e);
	buf_release(&text);
	return rc;
}

struct digest lock_question(const struct recipe *r)
{
	static const char *const lists[] = {"install", "exclude", "recommends"};
	struct jval *o SCOPED(jval_freep) = jval_object();
	struct buf b SCOPED(buf_release) = BUF_INIT(LOCK_TEXT_MAX);
	const struct jval *packages = jval_get(r->resolved, "packages");

	jval_put(o, "base", jval_ref(jval_get(r->resolved, "base")));
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		if (jval_get(packages, lists[i]) != NULL)
			jval_put(o, lists[i], jval_ref(jval_get(packages, lists[i])));
	jval_write(o, &b);
	return digest_of(b.data, b.len);
}

struct digest lock_steps(const struct recipe *r)
{
	struct jval *o SCOPED(jval_freep) = jval_object();
	struct buf b SCOPED(buf_release) = BUF_INIT(LOCK_TEXT_MAX);

	jval_put(o, "steps", jval_ref(jval_get(r->resolved, "steps")));
	jval_put(o, "media", jval_ref(jval_get(r->resolved, "media")));
	jval_write(o, &b);
	return digest_of(b.data, b.len);
}

int lock_check(const struct lock *l, const struct recipe *r, const char *path, struct err *e)
{
	if (digest_equal(&l->recipe, &r->digest))
		return 0;
	err_set(e, ERR_RECIPE, "%s: made from another state of the recipe %s", path, r->file);
	return err_hint(e, "Run \"posmedia lock %.160s\" and review what changes.", r->file);
}

const struct lock_package *lock_find(const struct lock *l, const char *name)
{
	for (size_t i = 0; i < l->packages_n; i++)
		if (strcmp(l->packages[i].name, name) == 0)
			return &l->packages[i];
	return NULL;
}

char *lock_source_name(const struct lock_package *p)
{
	return mem_strndup(p->source, strcspn(p->source, " "));
}

char *lock_source_version(const struct lock_package *p)
{
	const char *blank = strchr(p->source, ' ');

	return mem_strdup(blank != NULL ? blank + 1 : p->version);
}

void lock_set_layers(struct lock *l, struct lock_layer *v, size_t n)
{
	for (size_t i = 0; i < l->layers_n; i++)
		strv_release(&l->layers[i].sources);
	free(l->layers);
	l->layers = v;
	l->layers_n = n;
}

static void free_packages(struct lock *l)
{
	for (size_t i = 0; i < l->packages_n; i++) {
		struct lock_package *p = &l->packages[i];

		free(p->name);
		free(p->version);
		free(p->arch);
		free(p->source);
		free(p->repository);
		free(p->path);
	}
	free(l->packages);
}

void lock_release(struct lock *l)
{
	for (size_t i = 0; i < l->repositories_n; i++) {
		free(l->repositories[i].id);
		free(l->repositories[i].mirror);
		free(l->repositories[i].release);
	}
	for (size_t i = 0; i < l->batches_n; i++)
		strv_release(&l->batches[i].names);
	for (size_t i = 0; i < l->media_n; i++) {
		free(l->media[i].name);
		free(l->media[i].url);
	}
	free_packages(l);
	lock_recorded_free(l->recorded, l->recorded_n);
	lock_set_layers(l, NULL, 0);
	free(l->repositories);
	free(l->batches);
	free(l->media);
	free(l->recipe_name);
	free(l->solver);
	*l = (struct lock){0};
}

void lock_free(struct lock *l)
{
	if (l != NULL)
		lock_release(l);
	free(l);
}

void lock_freep(struct lock **l)
{
	lock_free(*l);
	*l = NULL;
}
