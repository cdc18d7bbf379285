#include "plan/layering.h"

#include "plan/grouping.h"
#include <stdlib.h>
#include <string.h>

#define NOWHERE SIZE_MAX

/* A source of the lock while its layers are planned. */
struct source {
	struct buf bytes; /* what tells whether it changed: its packages and their digests */
	size_t item;
};

/* The sources of a lock, sorted by name, and beside each what its bytes are. */
struct sources {
	struct grouping_item *items;
	size_t n;
	struct map by_name; /* -> struct source, owned */
};

static void free_source(void *p)
{
	struct source *s = p;

	buf_release(&s->bytes);
	free(s);
}

static void sources_release(struct sources *s)
{
	for (size_t i = 0; i < s->n; i++)
		free((char *)(uintptr_t)s->items[i].name);
	free(s->items);
	map_release(&s->by_name, free_source);
}

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && strcmp(s + n - m, end) == 0;
}

/* "…+deb12u5" and "…~deb12u5": 5. The second is a release of upstream's that a stable release took
 * over, as "-0+deb12u5" is: more will come. */
static unsigned stable_updates(const char *version)
{
	unsigned n = 0;

	for (const char *p = strstr(version, "deb"); p != NULL; p = strstr(p + 1, "deb")) {
		const char *u = p + 3 + strspn(p + 3, "0123456789");
		unsigned long times = *u == 'u' && u > p + 3 ? strtoul(u + 1, NULL, 10) : 0;

		if (p == version || (p[-1] != '+' && p[-1] != '~') || times == 0)
			continue;
		n = times < 100 ? (unsigned)times : 100;
		if (p[-1] == '~' || (p - version >= 3 && strncmp(p - 3, "-0+", 3) == 0))
			n += 2;
	}
	return n;
}

unsigned layering_updates(const struct lock_package *p)
{
	char *version SCOPED(mem_freep) = lock_source_version(p);
	/* behind it is the time of a snapshot */
	char *suite SCOPED(mem_freep) = mem_strndup(p->repository, strcspn(p->repository, "_"));
	unsigned n = stable_updates(version);

	/* not in the last release of the whole suite yet */
	if (ends_with(suite, "-security") || ends_with(suite, "-updates"))
		n++;
	return n;
}

static struct source *source_of(struct sources *s, const struct lock_package *p)
{
	char *name SCOPED(mem_freep) = lock_source_name(p);
	struct source *x = map_get(&s->by_name, name);

	if (x == NULL) {
		x = mem_zalloc(sizeof(*x));
		x->bytes = (struct buf)BUF_INIT(64 << 20);
		(void)map_put(&s->by_name, name, x);
	}
	return x;
}

static void sources_read(const struct lock *l, const struct history *h, struct sources *ret)
{
	const char **names SCOPED(mem_freep) = NULL;

	for (size_t i = 0; i < l->packages_n; i++) {
		const struct lock_package *p = &l->packages[i];

		buf_addf(&source_of(ret, p)->bytes, "%s:%s %s ", p->name, p->arch,
			 digest_hex(&p->digest).s);
	}
	names = map_keys(&ret->by_name);
	ret->n = ret->by_name.n;
	ret->items = mem_zalloc((ret->n + 1) * sizeof(*ret->items));
	for (size_t i = 0; i < ret->n; i++) {
		((struct source *)map_get(&ret->by_name, names[i]))->item = i;
		ret->items[i].name = mem_strdup(names[i]);
		ret->items[i].updates = history_updates(h, names[i]);
	}
	for (size_t i = 0; i < l->packages_n; i++) {
		const struct lock_package *p = &l->packages[i];
		struct grouping_item *it = &ret->items[source_of(ret, p)->item];
		unsigned n = layering_updates(p);

		it->size += p->size;
		if (n > it->updates)
			it->updates = n;
	}
}

/* The plan as lists, layers in order without the empty ones. */
static size_t lists_of(const struct sources *s, size_t groups, struct lock_layer **ret)
{
	struct lock_layer *v = mem_zalloc((groups + 1) * sizeof(*v));
	size_t n = 0;

	for (size_t g = 0; g < groups; g++) {
		for (size_t i = 0; i < s->n; i++)
			if (s->items[i].group == g)
				strv_add(&v[n].sources, s->items[i].name);
		n += v[n].sources.n > 0;
	}
	*ret = v;
	return n;
}

static size_t prior(const struct lock *l, size_t most, struct lock_layer **ret)
{
	struct sources s SCOPED(sources_release) = {0};

	sources_read(l, NULL, &s);
	return lists_of(&s, grouping(s.items, s.n, most), ret);
}

static void free_layers(struct lock_layer *v, size_t n)
{
	struct lock none = {.layers = v, .layers_n = n};

	lock_set_layers(&none, NULL, 0);
}

static bool same_layers(const struct lock_layer *a, size_t a_n, const struct lock_layer *b,
			size_t b_n)
{
	if (a_n != b_n)
		return false;
	for (size_t i = 0; i < a_n; i++) {
		if (a[i].sources.n != b[i].sources.n)
			return false;
		for (size_t k = 0; k < a[i].sources.n; k++)
			if (strcmp(a[i].sources.v[k], b[i].sources.v[k]) != 0)
				return false;
	}
	return true;
}

/* The layers from one lock to the next. */
struct next {
	struct sources *is, *was;
	bool *dirty; /* per layer: a client has to fetch it anyway */
	size_t n;
};

static bool changed(const struct next *x, const char *name)
{
	const struct source *a = map_get(&x->was->by_name, name);
	const struct source *b = map_get(&x->is->by_name, name);

	return a == NULL || b == NULL || strcmp(a->bytes.data, b->bytes.data) != 0;
}

/* What a layer is expected to cost with or without an item, wherever that is now. */
static uint64_t cost_with(const struct next *x, size_t layer, size_t item, bool with)
{
	uint64_t size = 0, stays = GROUPING_ONE;

	for (size_t i = 0; i < x->is->n; i++) {
		const struct grouping_item *it = &x->is->items[i];

		if (i == item ? !with : it->group != layer)
			continue;
		size += it->size;
		stays = (stays * grouping_stays(it->updates)) >> 30;
	}
	return grouping_cost(size, stays);
}

/* Where a new source costs least, among the layers that change now if there are any. */
static size_t place(const struct next *x, size_t item)
{
	uint64_t best = UINT64_MAX;
	size_t to = 0;
	bool any = false;

	for (size_t g = 0; g < x->n; g++)
		any = any || x->dirty[g];
	for (size_t g = 0; g < x->n; g++) {
		uint64_t more = cost_with(x, g, item, true) - cost_with(x, g, item, false);

		if ((!any || x->dirty[g]) && more < best) {
			best = more;
			to = g;
		}
	}
	return to;
}

/* A hotter layer for a source that changes, if that saves an eighth of what its own costs. */
static size_t move(const struct next *x, size_t item)
{
	size_t own = x->is->items[item].group, to = own;
	uint64_t with = cost_with(x, own, item, true), less = cost_with(x, own, item, false);
	uint64_t best = with - with / 8;

	for (size_t g = own + 1; g < x->n; g++) {
		uint64_t after = less + cost_with(x, g, item, true) - cost_with(x, g, item, false);

		if (x->dirty[g] && after < best) {
			best = after;
			to = g;
		}
	}
	return to;
}

static void keep_layers(struct next *x, const struct lock_layer *layers)
{
	for (size_t i = 0; i < x->is->n; i++)
		x->is->items[i].group = NOWHERE;
	for (size_t g = 0; g < x->n; g++)
		for (size_t k = 0; k < layers[g].sources.n; k++) {
			const char *name = layers[g].sources.v[k];
			const struct source *s = map_get(&x->is->by_name, name);

			x->dirty[g] = x->dirty[g] || changed(x, name);
			if (s != NULL)
				x->is->items[s->item].group = g;
		}
}

/* The plan that was, with what is new and what changes put where it costs least. */
static void follow(struct sources *is, const struct lock *before, const struct lock_layer *layers,
		   size_t n)
{
	struct sources was SCOPED(sources_release) = {0};
	bool *dirty SCOPED(mem_freep) = mem_zalloc(n * sizeof(*dirty));
	struct next x = {is, &was, dirty, n};

	sources_read(before, NULL, &was);
	keep_layers(&x, layers);
	for (size_t i = 0; i < is->n; i++)
		if (is->items[i].group == NOWHERE) {
			is->items[i].group = place(&x, i);
			dirty[is->items[i].group] = true;
		}
	for (size_t i = 0; i < is->n; i++)
		if (changed(&x, is->items[i].name))
			is->items[i].group = move(&x, i);
}

static size_t plan(struct sources *s, const struct layering_opts *o)
{
	struct lock_layer *made = NULL;
	size_t n = o->before != NULL ? o->before->layers_n : 0, made_n = 0;

	if (o->before == NULL || o->replan || o->before->packages_n == 0 || n > o->most)
		return grouping(s->items, s->n, o->most);
	if (n == 0)
		n = made_n = prior(o->before, o->most, &made);
	follow(s, o->before, made != NULL ? made : o->before->layers, n);
	free_layers(made, made_n);
	return n;
}

void layering_make(struct lock *l, const struct layering_opts *o)
{
	struct sources s SCOPED(sources_release) = {0};
	struct lock_layer *v = NULL, *said = NULL;
	size_t n, said_n;

	sources_read(l, o->history, &s);
	n = lists_of(&s, plan(&s, o), &v);
	said_n = prior(l, o->most, &said);
	if (same_layers(v, n, said, said_n)) {
		free_layers(v, n);
		v = NULL;
		n = 0;
	}
	free_layers(said, said_n);
	lock_set_layers(l, v, n);
}

/* The likelihood of a month in which something of a layer changes, by the prior. */
static void weigh(const struct sources *s, struct layering *y)
{
	uint64_t *stays SCOPED(mem_freep) = mem_zalloc((y->n + 1) * sizeof(*stays));

	for (size_t g = 0; g < y->n; g++)
		stays[g] = GROUPING_ONE;
	for (size_t i = 0; i < s->n; i++) {
		size_t g = 0;

		if (!layering_find(y, s->items[i].name, &g))
			continue;
		y->bytes[g] += s->items[i].size;
		y->sources[g]++;
		stays[g] = (stays[g] * grouping_stays(s->items[i].updates)) >> 30;
	}
	for (size_t g = 0; g < y->n; g++)
		y->chance[g] = (unsigned)(((GROUPING_ONE - stays[g]) * 100) >> 30);
}

void layering_of(const struct lock *l, size_t most, struct layering *ret)
{
	struct sources s SCOPED(sources_release) = {0};
	struct lock_layer *made = NULL;
	const struct lock_layer *v = l->layers;
	size_t n = l->layers_n;
	struct layering y = {0};

	sources_read(l, NULL, &s);
	if (n == 0 || n > most)
		n = prior(l, most, &made);
	if (made != NULL)
		v = made;
	y.n = n;
	y.bytes = mem_zalloc((n + 1) * sizeof(*y.bytes));
	y.sources = mem_zalloc((n + 1) * sizeof(*y.sources));
	y.chance = mem_zalloc((n + 1) * sizeof(*y.chance));
	for (size_t g = 0; g < n; g++)
		for (size_t k = 0; k < v[g].sources.n; k++)
			(void)map_put(&y.of, v[g].sources.v[k], (void *)(g + 1));
	weigh(&s, &y);
	if (made != NULL)
		free_layers(made, n);
	*ret = y;
}

void layering_release(struct layering *y)
{
	map_release(&y->of, NULL);
	free(y->bytes);
	free(y->sources);
	free(y->chance);
	*y = (struct layering){0};
}

bool layering_find(const struct layering *y, const char *source, size_t *ret)
{
	uintptr_t layer = (uintptr_t)map_get(&y->of, source);

	if (layer == 0)
		return false;
	*ret = (size_t)layer - 1;
	return true;
}

char *layering_why(const struct layering *y, size_t layer)
{
	return mem_format("packages of %zu source%s, %u %% likely to change in a month",
			  y->sources[layer], y->sources[layer] == 1 ? "" : "s", y->chance[layer]);
}

char *layering_name(const struct layering *y, size_t layer)
{
	return y->n == 1 ? mem_strdup("os") : mem_format("os-%zu", layer + 1);
}

struct jval *layering_json(const struct lock *l, size_t most)
{
	struct jval *v = jval_array();
	struct layering y = {0};

	layering_of(l, most, &y);
	for (size_t g = 0; g < y.n; g++) {
		char *name SCOPED(mem_freep) = layering_name(&y, g);
		char *why SCOPED(mem_freep) = layering_why(&y, g);
		struct jval *o = jval_object();

		jval_put_text(o, "name", name);
		jval_put_int(o, "sources", (int64_t)y.sources[g]);
		jval_put_int(o, "bytes", (int64_t)y.bytes[g]);
		jval_put_text(o, "why", why);
		jval_push(v, o);
	}
	layering_release(&y);
	return v;
}
