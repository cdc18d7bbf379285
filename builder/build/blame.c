#include "build/blame.h"

#include "sys/fs.h"
#include <string.h>
#include <sys/stat.h>

int blame_init(struct blame *b, struct job *j, size_t stages, const char *root, struct err *e)
{
	*b = (struct blame){.j = j, .stages = stages};
	return job_owned(j, root, &b->owned, e);
}

const char *blame_package(const struct blame *b, const char *path)
{
	return map_get(b->owned, path);
}

static bool is_there(const char *dir, const char *path)
{
	char *full SCOPED(mem_freep) = mem_format("%s/%s", dir, path);
	struct stat st;

	return lstat(full, &st) == 0;
}

const struct recipe_overlay *blame_overlay(const struct blame *b, const char *path)
{
	for (size_t i = b->j->r->overlays_n; i-- > 0;) {
		const struct recipe_overlay *o = &b->j->r->overlays[i];
		const char *to = o->to + 1;
		size_t n = strlen(to);

		if (n > 0 && (strncmp(path, to, n) != 0 || path[n] != '/'))
			continue;
		if (is_there(o->from, path + n + (n > 0 ? 1 : 0)))
			return o;
	}
	return NULL;
}

size_t blame_stage(const struct blame *b, const char *path)
{
	for (size_t i = b->stages; i-- > 1;)
		if (is_there(b->j->trees.v[i], path))
			return i;
	return 0;
}

char *blame_words(const struct blame *b, const char *path)
{
	const struct recipe_overlay *o = blame_overlay(b, path);
	const char *package = blame_package(b, path);
	size_t stage = blame_stage(b, path);
	char *by SCOPED(mem_freep) = NULL;

	if (o != NULL)
		by = recipe_path(b->j->r, o->from);
	if (o != NULL)
		return mem_format("overlay %s", by);
	if (stage > 0)
		return mem_format("%s%s%s", b->j->plan->v[stage].name,
				  package != NULL ? ", package " : "",
				  package != NULL ? package : "");
	if (package != NULL)
		return mem_format("package %s", package);
	return mem_strdup(b->stages > 0 && is_there(b->j->trees.v[0], path)
			      ? "a maintainer script"
			      : "services or hardening");
}
