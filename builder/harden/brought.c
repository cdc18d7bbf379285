#include "harden/brought.h"

#include <string.h>

/* posmedia-reproducible.7 */
#define RECIPE_PATH  "usr/share/posmedia/recipe.json"
#define PROJECT_PATH "usr/share/posmedia/project"

enum { RECIPE_MAX = 1 << 20 };

void brought_release(struct brought *b)
{
	strv_release(&b->from);
	strv_release(&b->to);
	strv_release(&b->writes);
}

/* "/" and "/opt/" are "" and "opt". */
static void add_place(struct strv *l, const char *path)
{
	size_t n;

	path += strspn(path, "/");
	n = strlen(path);
	while (n > 0 && path[n - 1] == '/')
		n--;
	strv_take(l, mem_strndup(path, n));
}

static void of_recipe(const struct recipe *r, struct brought *ret)
{
	for (size_t i = 0; i < r->overlays_n; i++) {
		strv_add(&ret->from, r->overlays[i].from);
		add_place(&ret->to, r->overlays[i].to);
	}
	for (size_t i = 0; i < r->steps_n; i++)
		for (size_t k = 0; k < r->steps[i].writes.n; k++)
			add_place(&ret->writes, r->steps[i].writes.v[k]);
}

static void of_json(const struct jval *v, struct brought *ret)
{
	const struct jval *overlays = jval_get(v, "overlays"), *steps = jval_get(v, "steps");

	ret->inside = true;
	for (size_t i = 0; i < jval_len(overlays); i++) {
		const char *from = jval_get_str(jval_at(overlays, i), "from");
		const char *to = jval_get_str(jval_at(overlays, i), "to");

		if (from == NULL || to == NULL)
			continue;
		strv_addf(&ret->from, PROJECT_PATH "/%s", from);
		add_place(&ret->to, to);
	}
	for (size_t i = 0; i < jval_len(steps); i++) {
		const struct jval *writes = jval_get(jval_at(steps, i), "writes");

		for (size_t k = 0; k < jval_len(writes); k++)
			if (jval_str(jval_at(writes, k)) != NULL)
				add_place(&ret->writes, jval_str(jval_at(writes, k)));
	}
}

int brought_read(const struct op_run *r, struct brought *ret, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(RECIPE_MAX);
	struct jval *v SCOPED(jval_freep) = NULL;
	bool there;

	if (r->c->recipe != NULL) {
		of_recipe(r->c->recipe, ret);
		ret->vouched = true;
		return 0;
	}
	if (root_read(r->rootfd, RECIPE_PATH, &text, &there, e) != 0)
		return -1;
	if (!there)
		return 0;
	if (jval_parse(text.data, text.len, RECIPE_PATH, &v, e) != 0)
		return -1;
	of_json(v, ret);
	ret->vouched = r->c->image != NULL && r->c->image->signatures > 0;
	return 0;
}

/* What of the path lies below the place, or NULL. */
static const char *below(const char *place, const char *path)
{
	size_t n = strlen(place);

	if (n == 0)
		return path;
	return strncmp(path, place, n) == 0 && path[n] == '/' ? path + n + 1 : NULL;
}

static bool names(const struct op_run *r, const struct brought *b, const char *path)
{
	struct stat st;

	for (size_t i = 0; i < b->writes.n; i++)
		if (*b->writes.v[i] != '\0' && below(b->writes.v[i], path) != NULL)
			return true;
	for (size_t i = 0; i < b->from.n; i++) {
		const char *rest = below(b->to.v[i], path);
		char *from SCOPED(mem_freep) = NULL;

		if (rest == NULL)
			continue;
		from = mem_format("%s/%s", b->from.v[i], rest);
		if (b->inside ? root_stat(r->rootfd, from, false, &st) == 1 : lstat(from, &st) == 0)
			return true;
	}
	return false;
}

bool brought_has(const struct op_run *r, const struct brought *b, const char *path)
{
	return b->vouched && names(r, b, path);
}

const char *brought_claim(const struct op_run *r, const struct brought *b, const char *path)
{
	return !b->vouched && names(r, b, path)
		   ? ", but of the recipe inside, for which no --recipe and no --key vouches"
		   : "";
}
