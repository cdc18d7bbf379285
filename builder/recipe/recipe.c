#include "recipe/recipe.h"

#include "recipe/answers.h"
#include "recipe/merge.h"
#include "recipe/sections.h"
#include "sys/fs.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RESOLVED_MAX = 64 << 20 };

char *recipe_pos_text(const struct recipe_pos *p)
{
	return mem_format("%s:%u:%u", p->file, p->line, p->col);
}

int recipe_err(const struct recipe_pos *p, struct err *e, const char *fmt, ...)
{
	char what[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	return err_set(e, ERR_RECIPE, "%s:%u:%u: %s", p->file, p->line, p->col, what);
}

const struct recipe_media *recipe_media_find(const struct recipe *r, const char *name)
{
	for (size_t i = 0; i < r->media_n; i++)
		if (strcmp(r->media[i].name, name) == 0)
			return &r->media[i];
	return NULL;
}

int recipe_root(const char *path, char **ret, struct err *e)
{
	char *dir SCOPED(mem_freep) = fs_dirname(path);
	char *own SCOPED(mem_freep) = realpath(dir, NULL);
	char *at SCOPED(mem_freep) = NULL;

	if (own == NULL)
		return err_sys(e, "%s", dir);
	at = mem_strdup(own);
	for (char *slash; (slash = strrchr(at, '/')) != NULL; *slash = '\0') {
		if (strcmp(slash, "/recipes") != 0)
			continue;
		slash[slash == at ? 1 : 0] = '\0';
		*ret = STEAL(at);
		return 0;
	}
	*ret = STEAL(own);
	return 0;
}

static void set_default(char **text, const char *value)
{
	if (*text == NULL)
		*text = mem_strdup(value);
}

static int resolve(struct recipe *r, struct err *e)
{
	struct buf text = BUF_INIT(RESOLVED_MAX);

	r->resolved = recipe_resolved(r);
	jval_write(r->resolved, &text);
	if (buf_over(&text)) {
		buf_release(&text);
		return err_set(e, ERR_RECIPE, "%s: too large", r->file);
	}
	r->digest = digest_of(text.data, text.len);
	buf_release(&text);
	return 0;
}

static int take_root(const char *root, char **ret, struct err *e)
{
	*ret = realpath(root, NULL);
	return *ret != NULL ? 0 : err_sys(e, "%s", root);
}

int recipe_load(const char *path, struct recipe **ret, struct err *e)
{
	return recipe_load_in(path, NULL, ret, e);
}

int recipe_load_in(const char *path, const char *root, struct recipe **ret, struct err *e)
{
	struct yaml *y SCOPED(yaml_freep) = NULL;
	struct recipe *r SCOPED(recipe_freep) = mem_zalloc(sizeof(*r));

	r->file = mem_strdup(path);
	if (merge_load(path, &y, e) != 0)
		return -1;
	if ((root != NULL ? take_root(root, &r->root, e) : recipe_root(path, &r->root, e)) != 0)
		return -1;
	if (schema_map(r->root, y, recipe_fields, r, e) != 0)
		return -1;
	recipe_base_medium(r);
	set_default(&r->fail_on, "high");
	set_default(&r->target, "container");
	set_default(&r->compression, "gzip");
	set_default(&r->layer_plan, "history");
	if (r->layer_budget == 0)
		r->layer_budget = RECIPE_LAYER_BUDGET;
	set_default(&r->user, "");
	set_default(&r->workdir, "");
	set_default(&r->stop_signal, "");
	if (recipe_check(r, y, e) != 0 || resolve(r, e) != 0)
		return -1;
	*ret = STEAL(r);
	return 0;
}

static void free_people(struct recipe *r)
{
	for (size_t i = 0; i < r->groups_n; i++)
		free(r->groups[i].name);
	for (size_t i = 0; i < r->users_n; i++) {
		free(r->users[i].name);
		free(r->users[i].shell);
		free(r->users[i].home);
		free(r->users[i].gecos);
		strv_release(&r->users[i].groups);
	}
	free(r->groups);
	free(r->users);
}

static void free_step(struct recipe_step *s)
{
	for (size_t i = 0; i < s->mounts_n; i++) {
		free(s->mounts[i].media);
		free(s->mounts[i].at);
	}
	free(s->mounts);
	free(s->name);
	free(s->answers);
	recipe_answers_free(s->dialogue);
	recipe_expects_release(&s->expects);
	strv_release(&s->secrets);
	strv_release(&s->run);
	strv_release(&s->writes);
	strv_release(&s->allow);
}

static void free_work(struct recipe *r)
{
	for (size_t i = 0; i < r->overlays_n; i++) {
		free(r->overlays[i].from);
		free(r->overlays[i].to);
	}
	for (size_t i = 0; i < r->media_n; i++) {
		free(r->media[i].name);
		free(r->media[i].url);
		free(r->media[i].file);
		strv_release(&r->media[i].inside);
	}
	for (size_t i = 0; i < r->steps_n; i++)
		free_step(&r->steps[i]);
	for (size_t i = 0; i < r->tests_n; i++) {
		free(r->tests[i].name);
		strv_release(&r->tests[i].run);
		strv_release(&r->tests[i].reads);
	}
	free(r->overlays);
	free(r->media);
	free(r->steps);
	for (size_t i = 0; i < r->fixers_n; i++) {
		free(r->fixers[i].name);
		strv_release(&r->fixers[i].run);
	}
	free(r->tests);
	free(r->fixers);
}

static void free_policy(struct recipe *r)
{
	for (size_t i = 0; i < r->waivers_n; i++) {
		free(r->waivers[i].control);
		free(r->waivers[i].reason);
		free(r->waivers[i].by);
		free(r->waivers[i].until);
	}
	for (size_t i = 0; i < r->pins_n; i++) {
		free(r->pins[i].name);
		strv_release(&r->pins[i].match);
	}
	free(r->waivers);
	for (size_t i = 0; i < r->allow_n; i++) {
		free(r->allow[i].cls);
		free(r->allow[i].reason);
		free(r->allow[i].until);
	}
	free(r->allow);
	free(r->pins);
	free(r->ports);
	free(r->fail_on);
	free(r->target);
	strv_release(&r->units);
	strv_release(&r->data);
	free(r->compression);
	free(r->layer_plan);
}

void recipe_free(struct recipe *r)
{
	if (r == NULL)
		return;
	struct strv *lists[] = {&r->install,  &r->exclude,    &r->remove, &r->langs,
				&r->enable,   &r->disable,    &r->mask,   &r->start_order,
				&r->profiles, &r->entrypoint, &r->cmd,    &r->env,
				&r->volumes};

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		strv_release(lists[i]);
	recipe_base_release(r);
	free_people(r);
	free_work(r);
	free_policy(r);
	jval_free(r->resolved);
	free(r->file);
	free(r->root);
	free(r->name);
	free(r->version);
	free(r->user);
	free(r->workdir);
	free(r->stop_signal);
	free(r);
}

void recipe_freep(struct recipe **r)
{
	recipe_free(*r);
	*r = NULL;
}
