#include "build/job.h"

#include "base/glob.h"
#include "build/owner.h"
#include "oci/oci.h"
#include "sys/fs.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Layers from the one that changes least, for "plan: history": those of packages ("os-1" to
 * "os-N"), "state" for what installing them left behind and every update changes (dpkg's status,
 * caches), the recipe's pins, "app" for what steps made, "config" for everything else. "manual" has
 * "rest" and the pins, "single" only "image". */
enum { FIRST = 0 };

static bool plan_is(const struct job *j, const char *plan)
{
	return strcmp(j->r->layer_plan, plan) == 0;
}

static size_t layer_state(const struct job *j)
{
	return j->layering.n;
}

static size_t layer_pin(const struct job *j, size_t pin)
{
	return (plan_is(j, "manual") ? 1 : layer_state(j) + 1) + pin;
}

static size_t layer_app(const struct job *j)
{
	return layer_pin(j, j->r->pins_n);
}

static size_t layer_config(const struct job *j)
{
	return layer_app(j) + 1;
}

static size_t layers_n(const struct job *j)
{
	if (plan_is(j, "single"))
		return 1;
	return plan_is(j, "manual") ? layer_app(j) : layer_config(j) + 1;
}

char *job_layer_name(const struct job *j, size_t layer)
{
	if (plan_is(j, "single"))
		return mem_strdup("image");
	if (layer >= layer_pin(j, 0) && layer < layer_app(j))
		return mem_strdup(j->r->pins[layer - layer_pin(j, 0)].name);
	if (plan_is(j, "manual"))
		return mem_strdup("rest");
	if (layer < layer_state(j))
		return layering_name(&j->layering, layer);
	if (layer == layer_state(j))
		return mem_strdup("state");
	return mem_strdup(layer == layer_app(j) ? "app" : "config");
}

char *job_layer_why(const struct job *j, size_t layer)
{
	if (plan_is(j, "single"))
		return mem_strdup("the recipe wants one layer");
	if (layer >= layer_pin(j, 0) && layer < layer_app(j))
		return mem_strdup("the recipe pins these paths");
	if (plan_is(j, "manual"))
		return mem_strdup("what no pin matches");
	if (layer < layer_state(j))
		return layering_why(&j->layering, layer);
	if (layer == layer_state(j))
		return mem_strdup("what installing the packages left behind");
	return mem_strdup(layer == layer_app(j) ? "what the steps made"
						: "users, overlays, hardening");
}

/* Where each stage's tree is while the entries of the image are gone through in their order, which
 * is that of the trees. */
struct places {
	const struct job *j;
	size_t *at;
};

/* What stage tree i has at the path, or NULL. */
static const struct tree_entry *own_entry(const struct places *p, size_t i, const char *path)
{
	const struct tree *t = &p->j->contents[i].tree;
	size_t *at = &p->at[i];
	int c = -1;

	while (*at < t->n && (c = strcmp(t->v[*at].path, path)) < 0)
		++*at;
	return *at < t->n && c == 0 ? &t->v[*at] : NULL;
}

/* Whether a stage's own entry has its say about that of the image, and does not only lead to what
 * it says. */
static bool speaks(const struct tree_entry *own, const struct tree_entry *en)
{
	if (own == NULL || (own->mode & S_IFMT) != (en->mode & S_IFMT))
		return false;
	return !S_ISDIR(en->mode) ||
	       (own->mode == en->mode && own->uid == en->uid && own->gid == en->gid);
}

/* Of files the topmost tree that has it speaks; of directories the lowest that already has the
 * final owner and mode. */
static struct origin origin(const struct places *p, const struct tree_entry *en)
{
	size_t n = p->j->trees.n;

	for (size_t k = 0; k < n; k++) {
		size_t i = S_ISDIR(en->mode) ? k : n - 1 - k;
		const struct contents *c = &p->j->contents[i];
		const struct tree_entry *own = own_entry(p, i, en->path);

		if (speaks(own, en))
			return (struct origin){i, S_ISREG(en->mode) ? &c->digests[own - c->tree.v]
								    : NULL};
	}
	return (struct origin){n - 1, NULL};
}

/* Whether an absolute path's pattern matches the path, which has no leading slash. */
static bool matches(const char *pattern, const char *path)
{
	char *full SCOPED(mem_freep) = NULL;

	if (pattern[0] == '/')
		return glob_match(pattern + 1, path);
	full = mem_format("/%s", path);
	return glob_match(pattern, full);
}

static bool pinned(const struct job *j, const struct tree_entry *en, size_t *ret)
{
	for (size_t i = 0; i < j->r->pins_n; i++)
		for (size_t k = 0; k < j->r->pins[i].match.n; k++)
			if (matches(j->r->pins[i].match.v[k], en->path)) {
				*ret = layer_pin(j, i);
				return true;
			}
	return false;
}

/* Whether a stage only installs packages. */
static bool from_packages(const struct job *j, size_t from)
{
	return j->plan->v[from].kind == PLAN_BASE;
}

static size_t choose(const struct job *j, const struct tree_entry *en, size_t from,
		     const struct owner *o)
{
	size_t layer;

	if (plan_is(j, "single"))
		return FIRST;
	if (pinned(j, en, &layer))
		return layer;
	if (plan_is(j, "manual"))
		return FIRST;
	if (from_packages(j, from))
		return o != NULL && layering_find(&j->layering, o->package->source, &layer)
			   ? layer
			   : layer_state(j);
	if (j->plan->v[from].kind == PLAN_STEP)
		return layer_app(j);
	return layer_config(j);
}

/* A directory of another's image has the time that it has there, whatever was touched in it, or
 * our layer would have all of them again. */
static int64_t directory_time(const struct job *j, const struct tree_entry *en)
{
	const struct tree_entry *was =
	    j->below != NULL ? tree_find(&j->contents[0].tree, en->path) : NULL;

	return was != NULL && S_ISDIR(was->mode) ? was->mtime : JOB_DIRECTORY_TIME;
}

/* What dpkg unpacked keeps its time. What this build made or changed gets the image's, or, if it
 * follows from one package alone, that package's, or, from a step, the one that the lock keeps for
 * it: the image's time moves with every lock, and would change layers in which nothing else does.
 * For the same reason directories, whose times only tell when something in them was last touched,
 * all have one that never moves. */
static int64_t time_of(const struct job *j, const struct tree_entry *en, size_t from,
		       const struct owner *o)
{
	if (S_ISDIR(en->mode))
		return directory_time(j, en);
	if (j->below != NULL && from == 0)
		return en->mtime;
	if (j->plan->v[from].kind == PLAN_STEP && j->l->steps_date != 0)
		return j->l->steps_date;
	/* an archive of a whole tree is like one package */
	if (j->r->plain != NULL && from == 0 && en->mtime < j->l->epoch)
		return en->mtime;
	if (!from_packages(j, from) || o == NULL)
		return j->l->epoch;
	return o->derived || en->mtime > j->l->epoch ? o->package->newest : en->mtime;
}

/* All names of a file lie in the layer of the first, or it would become several files. */
static void join_links(struct tree *t)
{
	int *layer SCOPED(mem_freep) = mem_zalloc((t->n + 1) * sizeof(*layer));

	for (size_t i = 0; i < t->n; i++) {
		struct tree_entry *en = &t->v[i];

		if (en->inode == 0 || en->inode > t->n)
			continue;
		if (layer[en->inode] == 0)
			layer[en->inode] = en->layer + 1;
		en->layer = layer[en->inode] - 1;
	}
}

/* What a step or an overlay wrote has a time that says nothing of the package. */
static void find_origins(struct job *j, const struct tree *t, const struct owners *owners)
{
	size_t *at SCOPED(mem_freep) = mem_zalloc((j->trees.n + 1) * sizeof(*at));
	const struct places places = {j, at};

	free(j->origins);
	j->origins = mem_zalloc(t->n * sizeof(*j->origins));
	for (size_t i = 0; i < t->n; i++) {
		const struct tree_entry *en = &t->v[i];

		j->origins[i] = origin(&places, en);
		if (owners->v[i] != NULL && from_packages(j, j->origins[i].tree) &&
		    S_ISREG(en->mode) && en->mtime <= j->l->epoch)
			owner_note(owners->v[i], en->mtime);
	}
}

int job_layers(struct job *j, const char *root, struct tree *t, size_t *ret_n, struct err *e)
{
	struct owners owners SCOPED(owners_release) = {0};
	const struct map *files;

	if (t->n == 0)
		return err_set(e, ERR_STEP, "the image is empty");
	if (job_owned(j, root, &files, e) != 0)
		return -1;
	owners_find(files, j->l, t, &owners);
	layering_release(&j->layering);
	layering_of(j->l, j->r->layer_budget, &j->layering);
	find_origins(j, t, &owners);
	for (size_t i = 0; i < t->n; i++) {
		struct tree_entry *en = &t->v[i];
		size_t from = j->origins[i].tree;
		const struct owner *o = owners.v[i];

		en->mtime = time_of(j, en, from, o);
		en->layer = (int)choose(j, en, from, o);
	}
	join_links(t);
	*ret_n = layers_n(j);
	return 0;
}
