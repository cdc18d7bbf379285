/* Which packages wait for which, from their own relations (Debian policy, section 7.2): apt's plan
 * is right but interleaves; dpkg is started far less often when all that may be unpacked together
 * is. */
#include "package/set.h"

#include <stdlib.h>
#include <string.h>

/* Relations as indexes into the set. */
struct edges {
	size_t *to;
	size_t n, cap;
};

struct graph {
	const struct set *set;
	struct map provided; /* virtual name -> the first set_package that provides it */
	struct edges *pre;   /* Pre-Depends of each package */
	struct edges *all;   /* Pre-Depends and Depends */
	size_t *level;       /* the unpack run of each package */
	bool *seen;          /* scratch of closure() */
};

static void graph_release(struct graph *g)
{
	for (size_t i = 0; g->set != NULL && i < g->set->n; i++) {
		free(g->pre[i].to);
		free(g->all[i].to);
	}
	free(g->pre);
	free(g->all);
	free(g->level);
	free(g->seen);
	map_release(&g->provided, NULL);
}

/* Takes the next package name off a relation field; *ret_more: an alternative ("|") follows. */
static char *next_name(const char **at, bool *ret_more)
{
	const char *p = *at + strspn(*at, " \t\n,|");
	size_t n = strcspn(p, " \t\n,|:([<");
	size_t rest = n + strcspn(p + n, ",|");

	*ret_more = p[rest] == '|';
	*at = p + rest;
	return n == 0 ? NULL : mem_strndup(p, n);
}

static void add_edge(struct edges *l, size_t to)
{
	if (l->n == l->cap) {
		l->cap = l->cap != 0 ? l->cap * 2 : 8;
		l->to = mem_resize(l->to, l->cap, sizeof(*l->to));
	}
	l->to[l->n++] = to;
}

static const struct set_package *satisfier(const struct graph *g, const char *name)
{
	const struct set_package *p = set_find(g->set, name);

	return p != NULL ? p : map_get(&g->provided, name);
}

/* One edge for each group of alternatives: to the first that is in the set. The solver has already
 * seen to versions. */
static void add_edges(const struct graph *g, const char *field, struct edges *l)
{
	bool more, done = false;

	for (const char *at = field; at != NULL && *at != '\0';) {
		char *name SCOPED(mem_freep) = next_name(&at, &more);
		const struct set_package *p = NULL;

		if (name != NULL && !done)
			p = satisfier(g, name);
		if (p != NULL)
			add_edge(l, (size_t)(p - g->set->v));
		done = more && (done || p != NULL);
	}
}

static void graph_make(const struct set *s, struct graph *g)
{
	*g = (struct graph){.set = s,
			    .pre = mem_zalloc((s->n + 1) * sizeof(*g->pre)),
			    .all = mem_zalloc((s->n + 1) * sizeof(*g->all)),
			    .level = mem_zalloc((s->n + 1) * sizeof(*g->level)),
			    .seen = mem_zalloc((s->n + 1) * sizeof(*g->seen))};
	for (size_t i = 0; i < s->n; i++)
		for (const char *at = s->v[i].provides; at != NULL && *at != '\0';) {
			bool more;
			char *name SCOPED(mem_freep) = next_name(&at, &more);

			if (name != NULL && !map_has(&g->provided, name))
				(void)map_put(&g->provided, name, &s->v[i]);
		}
	for (size_t i = 0; i < s->n; i++) {
		add_edges(g, s->v[i].pre_depends, &g->pre[i]);
		add_edges(g, s->v[i].pre_depends, &g->all[i]);
		add_edges(g, s->v[i].depends, &g->all[i]);
	}
}

/* Adds i and all that it needs to g->seen. */
static void reach(struct graph *g, size_t i)
{
	struct edges todo = {0};

	add_edge(&todo, i);
	while (todo.n > 0) {
		size_t at = todo.to[--todo.n];

		if (g->seen[at])
			continue;
		g->seen[at] = true;
		for (size_t k = 0; k < g->all[at].n; k++)
			add_edge(&todo, g->all[at].to[k]);
	}
	free(todo.to);
}

static void forget(struct graph *g)
{
	memset(g->seen, 0, g->set->n * sizeof(*g->seen));
}

void set_mark_essential(struct set *s)
{
	struct graph g SCOPED(graph_release) = {0};

	graph_make(s, &g);
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].is_essential)
			reach(&g, i);
	for (size_t i = 0; i < s->n; i++)
		s->v[i].lock.essential = g.seen[i];
}

/* The first run that may unpack i, as levels stand: after the run that unpacks the last of what
 * its Pre-Depends need to be configured. */
static size_t level_of(struct graph *g, size_t i)
{
	const struct set_package *v = g->set->v;
	size_t level = 0;

	forget(g);
	for (size_t k = 0; k < g->pre[i].n; k++)
		if (!v[g->pre[i].to[k]].lock.essential)
			reach(g, g->pre[i].to[k]);
	for (size_t j = 0; j < g->set->n; j++)
		if (g->seen[j] && !v[j].lock.essential && level <= g->level[j])
			level = g->level[j] + 1;
	return level;
}

static int find_levels(struct graph *g, size_t *ret_max, struct err *e)
{
	const struct set *s = g->set;
	bool changed = true;
	size_t max = 0;

	while (changed) {
		changed = false;
		for (size_t i = 0; i < s->n; i++) {
			size_t level = s->v[i].lock.essential ? 0 : level_of(g, i);

			if (level > s->n)
				return err_set(e, ERR_RECIPE, "%s pre-depends on itself",
					       s->v[i].lock.name);
			changed = changed || level != g->level[i];
			g->level[i] = level;
			max = level > max ? level : max;
		}
	}
	*ret_max = max;
	return 0;
}

static struct lock_batch *add_batch(struct lock *l, bool configure)
{
	l->batches = mem_resize(l->batches, l->batches_n + 1, sizeof(*l->batches));
	l->batches[l->batches_n] = (struct lock_batch){.configure = configure};
	return &l->batches[l->batches_n++];
}

static void unpack_batch(const struct graph *g, size_t level, struct lock *l)
{
	struct lock_batch *b = add_batch(l, false);

	for (size_t i = 0; i < g->set->n; i++)
		if (!g->set->v[i].lock.essential && g->level[i] == level)
			strv_add(&b->names, g->set->v[i].lock.name);
}

static int by_configured(const void *a, const void *b)
{
	const struct set_package *const *x = a, *const *y = b;

	return (*x)->configured < (*y)->configured ? -1 : 1;
}

/* What stands in g->seen and is not configured yet, in apt's order. */
static void configure_batch(const struct graph *g, bool *done, struct lock *l)
{
	const struct set *s = g->set;
	const struct set_package **sorted = mem_zalloc((s->n + 1) * sizeof(void *));
	struct lock_batch *b;
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		if (g->seen[i] && !s->v[i].lock.essential && !done[i]) {
			sorted[n++] = &s->v[i];
			done[i] = true;
		}
	if (n > 0) {
		qsort(sorted, n, sizeof(*sorted), by_configured);
		b = add_batch(l, true);
		for (size_t i = 0; i < n; i++)
			strv_add(&b->names, sorted[i]->lock.name);
	}
	free(sorted);
}

/* Marks what the packages of a level need configured. */
static void reach_level(struct graph *g, size_t level)
{
	forget(g);
	for (size_t i = 0; i < g->set->n; i++)
		for (size_t k = 0; g->level[i] == level && k < g->pre[i].n; k++)
			reach(g, g->pre[i].to[k]);
}

int set_batches(const struct set *s, struct lock *l, struct err *e)
{
	struct graph g SCOPED(graph_release) = {0};
	bool *done SCOPED(mem_freep) = mem_zalloc((s->n + 1) * sizeof(*done));
	size_t max = 0, left = 0;

	for (size_t i = 0; i < s->n; i++)
		left += s->v[i].lock.essential ? 0 : 1;
	if (left == 0)
		return 0;
	graph_make(s, &g);
	if (find_levels(&g, &max, e) != 0)
		return -1;
	for (size_t level = 0; level <= max; level++) {
		unpack_batch(&g, level, l);
		if (level < max) {
			reach_level(&g, level + 1);
			configure_batch(&g, done, l);
		}
	}
	memset(g.seen, 1, s->n * sizeof(*g.seen));
	configure_batch(&g, done, l);
	return 0;
}
