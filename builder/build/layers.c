#include "build/job.h"

#include "base/glob.h"
#include "sys/fs.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Layers from the one that changes least: "os" is what the packages made, then the recipe's pins,
 * "app" is what steps made, "config" everything else. A patch month re-sends "os"; a changed
 * overlay only "config". */
enum { LAYER_OS = 0 };

static size_t layer_app(const struct job *j)
{
	return 1 + j->r->pins_n;
}

static size_t layer_config(const struct job *j)
{
	return layer_app(j) + 1;
}

const char *job_layer_name(const struct job *j, size_t layer)
{
	if (layer == LAYER_OS)
		return "os";
	if (layer == layer_app(j))
		return "app";
	return layer == layer_config(j) ? "config" : j->r->pins[layer - 1].name;
}

/* Whether stage tree i has its own say about the entry, and does not only lead to what it says. */
static bool speaks(const struct job *j, size_t i, const struct tree_entry *en)
{
	char *path SCOPED(mem_freep) = fs_join(j->trees.v[i], en->path);
	struct stat st;

	if (lstat(path, &st) != 0 || (st.st_mode & S_IFMT) != (en->mode & S_IFMT))
		return false;
	return !S_ISDIR(en->mode) ||
	       (st.st_mode == en->mode && st.st_uid == en->uid && st.st_gid == en->gid);
}

/* Of files the topmost tree that has it speaks; of directories the lowest that already has the
 * final owner and mode. */
static size_t origin(const struct job *j, const struct tree_entry *en)
{
	if (S_ISDIR(en->mode)) {
		for (size_t i = 0; i < j->trees.n; i++)
			if (speaks(j, i, en))
				return i;
	} else {
		for (size_t i = j->trees.n; i-- > 0;)
			if (speaks(j, i, en))
				return i;
	}
	return j->trees.n - 1;
}

static bool pinned(const struct job *j, const struct tree_entry *en, size_t *ret)
{
	char *path SCOPED(mem_freep) = mem_format("/%s", en->path);

	for (size_t i = 0; i < j->r->pins_n; i++)
		for (size_t k = 0; k < j->r->pins[i].match.n; k++)
			if (glob_match(j->r->pins[i].match.v[k], path)) {
				*ret = 1 + i;
				return true;
			}
	return false;
}

static size_t choose(const struct job *j, const struct tree_entry *en, size_t from)
{
	size_t layer;

	if (pinned(j, en, &layer))
		return layer;
	if (from == 0)
		return LAYER_OS;
	if (j->plan->v[from].kind == PLAN_STEP)
		return layer_app(j);
	return layer_config(j);
}

/* What dpkg unpacked keeps its time; what this build made or changed gets the image's, and so do
 * directories, whose times only tell when something in them was last touched. */
static int64_t time_of(const struct job *j, const struct tree_entry *en, size_t from)
{
	bool package = from == 0 && !S_ISDIR(en->mode) && en->mtime <= j->l->epoch;

	return package ? en->mtime : j->l->epoch;
}

int job_layers(struct job *j, struct tree *t, size_t *ret_n, struct err *e)
{
	if (t->n == 0)
		return err_set(e, ERR_STEP, "the image is empty");
	free(j->origins);
	j->origins = mem_zalloc(t->n * sizeof(*j->origins));
	for (size_t i = 0; i < t->n; i++) {
		struct tree_entry *en = &t->v[i];
		size_t from = origin(j, en);

		j->origins[i] = from;
		en->mtime = time_of(j, en, from);
		en->layer = (int)choose(j, en, from);
	}
	*ret_n = layer_config(j) + 1;
	return 0;
}
