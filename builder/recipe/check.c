#include "base/map.h"
#include "recipe/answers.h"
#include "recipe/sections.h"
#include <string.h>

static void map_freep(struct map *m)
{
	map_release(m, NULL);
}

static int unknown_medium(const struct recipe *r, const struct yaml_pair *mount, struct err *e)
{
	const struct yaml at = schema_key(mount);
	const char **known = mem_zalloc((r->media_n + 1) * sizeof(*known));
	const char *near;

	for (size_t i = 0; i < r->media_n; i++)
		known[i] = r->media[i].name;
	near = yaml_nearest(mount->key, known);
	yaml_err(&at, e, "\"mount\": no medium \"%s\"", schema_show(mount->key).s);
	if (near != NULL)
		err_hint(e, "Did you mean \"%s\"?", near);
	else
		err_hint(e, "Declare it under \"media\".");
	mem_freep(&known);
	return -1;
}

static int check_mounts(const struct recipe *r, const struct yaml *y, struct err *e)
{
	const struct yaml *steps = yaml_get(y, "steps");

	for (size_t i = 0; steps != NULL && i < steps->n; i++) {
		const struct yaml *mount = yaml_get(steps->items[i], "mount");

		for (size_t k = 0; mount != NULL && k < mount->n; k++)
			if (recipe_media_find(r, mount->pairs[k].key) == NULL)
				return unknown_medium(r, &mount->pairs[k], e);
	}
	return 0;
}

/* Remembers the words of a list that are not yet in `seen`; one that another list has put there
 * is refused. */
static int check_list(struct map *seen, const struct yaml *list, const char *what, struct err *e)
{
	struct map own SCOPED(map_freep) = {0};

	for (size_t i = 0; list != NULL && i < list->n; i++) {
		struct yaml *item = list->items[i];
		const struct yaml *first = map_get(seen, item->text);

		if (first == NULL || map_has(&own, item->text)) {
			map_put(&own, item->text, item);
			map_put(seen, item->text, item);
			continue;
		}
		return schema_refuse(
		    item, e, "Keep one of the two.", "\"%s\": \"%s\" is also at %s:%u:%u", what,
		    schema_show(item->text).s, first->file, first->line, first->col);
	}
	return 0;
}

/* A word may stand in only one of the lists of a section. */
static int check_once(const struct yaml *section, const char *const *lists, struct err *e)
{
	struct map seen SCOPED(map_freep) = {0};

	for (; *lists != NULL; lists++)
		if (check_list(&seen, yaml_get(section, *lists), *lists, e) != 0)
			return -1;
	return 0;
}

static int check_root(const struct recipe *r, struct err *e)
{
	for (size_t i = 0; i < r->users_n; i++) {
		const struct recipe_user *u = &r->users[i];

		if ((u->uid == 0) == (strcmp(u->name, "root") == 0))
			continue;
		recipe_err(&u->pos, e, "user \"%s\" cannot have uid %u", u->name, u->uid);
		return err_hint(e, "The uid 0 is root's alone.");
	}
	return 0;
}

/* A user without groups gets one of its own name whose gid is the uid. */
static int check_own_group(const struct recipe *r, const struct recipe_user *u, struct err *e)
{
	for (size_t i = 0; i < r->groups_n; i++) {
		const struct recipe_group *g = &r->groups[i];
		bool same_name = strcmp(g->name, u->name) == 0;

		if (same_name || g->gid != u->uid)
			continue;
		recipe_err(&g->pos, e,
			   "group \"%s\" has the gid %u of user \"%s\"'s own group, %s:%u:%u",
			   g->name, g->gid, u->name, u->pos.file, u->pos.line, u->pos.col);
		return err_hint(e, "Take another gid, or give the user \"groups\".");
	}
	return 0;
}

/* What a dialogue types must be declared where the step is. */
static int check_typed(const struct recipe_step *s, struct err *e)
{
	for (size_t i = 0; s->dialogue != NULL && i < s->dialogue->n; i++) {
		const struct recipe_answer *a = &s->dialogue->v[i];

		if (a->secret == NULL || strv_has(&s->secrets, a->secret))
			continue;
		recipe_err(&a->pos, e, "the step at %s:%u:%u does not have the secret \"%s\"",
			   s->pos.file, s->pos.line, s->pos.col, a->secret);
		return err_hint(e, "Add \"secrets: [%s]\" to the step.", a->secret);
	}
	return 0;
}

/* Packages of a tree that we know nothing of are its own affair, and a step's. */
static int check_plain(const struct recipe *r, const struct yaml *y, struct err *e)
{
	const struct yaml *packages = yaml_get(y, "packages"), *media = yaml_get(y, "media");

	if (r->plain == NULL)
		return 0;
	if (r->install.n + r->exclude.n + r->remove.n > 0)
		return schema_refuse(
		    packages, e, "Install them in a step, or take base.apt or base.dnf.",
		    "\"packages\" does not go with base.%s", recipe_base_name(r->base));
	for (size_t i = 0; media != NULL && i < media->n; i++)
		if (strncmp(media->pairs[i].key, "base.", 5) == 0)
			return schema_refuse(media->pairs[i].val, e, "Rename it.",
					     "names that begin with \"base.\" are the base's own");
	return 0;
}

int recipe_check(const struct recipe *r, const struct yaml *y, struct err *e)
{
	static const char *const services[] = {"enable", "disable", "mask", NULL};
	static const char *const packages[] = {"install", "exclude", NULL};
	static const char *const removed[] = {"install", "remove", NULL};

	if (check_plain(r, y, e) != 0 || check_mounts(r, y, e) != 0 || check_root(r, e) != 0)
		return -1;
	for (size_t i = 0; i < r->steps_n; i++)
		if (check_typed(&r->steps[i], e) != 0)
			return -1;
	for (size_t i = 0; i < r->users_n; i++)
		if (r->users[i].groups.n == 0 && check_own_group(r, &r->users[i], e) != 0)
			return -1;
	if (check_once(yaml_get(y, "services"), services, e) != 0)
		return -1;
	if (check_once(yaml_get(y, "packages"), packages, e) != 0)
		return -1;
	return check_once(yaml_get(y, "packages"), removed, e);
}
