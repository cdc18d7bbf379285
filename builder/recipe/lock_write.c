#include "recipe/lock_parts.h"

#include <stdlib.h>
#include <string.h>

static struct jval *repositories_json(const struct lock *l)
{
	struct jval *a = jval_array();

	for (size_t i = 0; i < l->repositories_n; i++) {
		const struct lock_repository *r = &l->repositories[i];
		struct jval *o = jval_object();

		jval_put_text(o, "id", r->id);
		jval_put_text(o, "mirror", r->mirror);
		jval_put_text(o, "release", r->release);
		jval_put_int(o, "date", r->date);
		jval_push(a, o);
	}
	return a;
}

static struct jval *packages_json(const struct lock *l)
{
	const struct lock_package **sorted SCOPED(mem_freep) = lock_sorted(l);
	struct jval *a = jval_array();

	for (size_t i = 0; i < l->packages_n; i++) {
		const struct lock_package *p = sorted[i];
		struct jval *o = jval_object();

		jval_put_text(o, "name", p->name);
		jval_put_text(o, "version", p->version);
		jval_put_text(o, "arch", p->arch);
		jval_put_text(o, "source", p->source);
		jval_put_text(o, "repository", p->repository);
		jval_put_text(o, "path", p->path);
		jval_put_int(o, "size", (int64_t)p->size);
		jval_put_text(o, "sha256", digest_hex(&p->digest).s);
		if (p->essential)
			jval_put(o, "essential", jval_bool(true));
		jval_push(a, o);
	}
	return a;
}

static struct jval *batches_json(const struct lock *l)
{
	struct jval *a = jval_array();

	for (size_t i = 0; i < l->batches_n; i++) {
		const struct lock_batch *b = &l->batches[i];
		struct jval *o = jval_object(), *names = jval_array();

		for (size_t k = 0; k < b->names.n; k++)
			jval_push(names, jval_text(b->names.v[k]));
		jval_put(o, b->configure ? "configure" : "unpack", names);
		jval_push(a, o);
	}
	return a;
}

static struct jval *media_json(const struct lock *l)
{
	struct jval *a = jval_array();

	for (size_t i = 0; i < l->media_n; i++) {
		const struct lock_media *m = &l->media[i];
		struct jval *o = jval_object();

		jval_put_text(o, "name", m->name);
		jval_put_text(o, "url", m->url);
		jval_put_int(o, "size", (int64_t)m->size);
		jval_put_text(o, "sha256", digest_hex(&m->digest).s);
		jval_push(a, o);
	}
	return a;
}

static struct jval *steps_json(const struct lock *l)
{
	struct jval *o = jval_object();

	jval_put_int(o, "date", l->steps_date);
	jval_put_text(o, "sha256", digest_hex(&l->steps).s);
	return o;
}

static struct jval *layers_json(const struct lock *l)
{
	struct jval *a = jval_array();

	for (size_t i = 0; i < l->layers_n; i++) {
		const struct strv *s = &l->layers[i].sources;
		struct jval *names = jval_array();

		for (size_t k = 0; k < s->n; k++)
			jval_push(names, jval_text(s->v[k]));
		jval_push(a, names);
	}
	return a;
}

void lock_write(const struct lock *l, struct buf *out)
{
	struct jval *o SCOPED(jval_freep) = jval_object();
	struct jval *recipe = jval_object();

	jval_put_text(recipe, "name", l->recipe_name);
	jval_put_text(recipe, "sha256", digest_hex(&l->recipe).s);
	jval_put_text(recipe, "solved", digest_hex(&l->solved).s);
	jval_put_int(o, "posmedia-lock", 1);
	jval_put(o, "recipe", recipe);
	jval_put_text(o, "solver", l->solver);
	jval_put_int(o, "epoch", l->epoch);
	jval_put(o, "repositories", repositories_json(l));
	jval_put(o, "packages", packages_json(l));
	jval_put(o, "batches", batches_json(l));
	jval_put(o, "media", media_json(l));
	if (l->recorded_n > 0)
		jval_put(o, "recorded", lock_recorded_json(l->recorded, l->recorded_n));
	if (l->steps_date != 0)
		jval_put(o, "steps", steps_json(l));
	if (l->layers_n > 0)
		jval_put(o, "layers", layers_json(l));
	jval_write_pretty(o, out);
}
