/* op_enabled.c - the units that are enabled are those that the recipe and the profile name.
 *
 * What a package links below /usr/lib is its own wiring; what is enabled is a link in /etc or
 * /usr/local/lib, what a drop-in of a target there names, or a script of the old kind that has no
 * unit. */
#include "harden/lines.h"
#include "harden/op.h"
#include "harden/unit_links.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct enabled {
	struct strv allow; /* patterns */
	bool services;     /* those of the recipe are enabled, too */
};

static const struct field enabled_fields[] = {
    {"allow", FIELD_LIST, offsetof(struct enabled, allow), false},
    {"services", FIELD_BOOL, offsetof(struct enabled, services), false},
    {0},
};

/* A name of the recipe with its kind; the caller owns it. */
static char *with_suffix(const char *name)
{
	static const char *const kinds[] = {".service", ".socket", ".timer", ".target",
					    ".path",    ".mount",  ".swap",  ".automount"};
	const char *dot = strrchr(name, '.');

	for (size_t i = 0; dot != NULL && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(dot, kinds[i]) == 0)
			return mem_strdup(name);
	return mem_format("%s.service", name);
}

static bool in_list(const struct strv *list, const char *unit)
{
	for (size_t i = 0; i < list->n; i++) {
		char *one SCOPED(mem_freep) = with_suffix(list->v[i]);

		if (root_match(one, unit))
			return true;
	}
	return false;
}

static bool allowed(const struct op_run *r, const struct enabled *w, const char *unit)
{
	const struct recipe *recipe = r->c->recipe;

	return in_list(&w->allow, unit) || (recipe != NULL && (in_list(&recipe->enable, unit) ||
							       in_list(&recipe->units, unit)));
}

static bool is_masked(const struct op_run *r, const char *unit)
{
	char *path SCOPED(mem_freep) = mem_format("etc/systemd/system/%s", unit);
	char target[16];
	const char *name;
	int fd SCOPED(fd_closep) = root_parent(r->rootfd, path, &name);
	ssize_t n = fd < 0 ? -1 : readlinkat(fd, name, target, sizeof(target));

	return n == (ssize_t)strlen("/dev/null") && strncmp(target, "/dev/null", (size_t)n) == 0;
}

/* "S01apache2" of a run level is apache2.service by systemd's generator, unless there is a unit. */
static int old_scripts(const struct op_run *r, struct strv *ret, struct err *e)
{
	struct strv links SCOPED(strv_release) = {0};

	if (root_glob(r->rootfd, "etc/rc[2345].d/S[0-9][0-9]*", &links, e) != 0)
		return -1;
	for (size_t i = 0; i < links.n; i++) {
		const char *name = strrchr(links.v[i], '/') + 1 + strlen("S01");
		char *unit SCOPED(mem_freep) = mem_format("%s.service", name);
		char *own SCOPED(mem_freep) = mem_format("etc/systemd/system/%s", unit);
		char *packaged SCOPED(mem_freep) = mem_format("usr/lib/systemd/system/%s", unit);
		struct stat st;

		if (root_stat(r->rootfd, own, false, &st) != 1 &&
		    root_stat(r->rootfd, packaged, false, &st) != 1)
			strv_add(ret, links.v[i]);
	}
	return 0;
}

/* The paths that enable what nobody asked for. */
static int unasked(const struct op_run *r, const struct enabled *w, struct strv *ret, struct err *e)
{
	struct strv links SCOPED(strv_release) = {0}, scripts SCOPED(strv_release) = {0};

	if (unit_links(r->rootfd, "*", &links, e) != 0 || old_scripts(r, &scripts, e) != 0)
		return -1;
	for (size_t i = 0; i < links.n; i++) {
		const char *unit = strrchr(links.v[i], '/') + 1;

		if (!allowed(r, w, unit) && !is_masked(r, unit))
			strv_add(ret, links.v[i]);
	}
	for (size_t i = 0; i < scripts.n; i++) {
		char *unit SCOPED(mem_freep) =
		    mem_format("%s.service", strrchr(scripts.v[i], '/') + 1 + strlen("S01"));

		if (!allowed(r, w, unit))
			strv_add(ret, scripts.v[i]);
	}
	return 0;
}

/* A fix leaves them: a drop-in may say more. */
static int look_pulled(const struct op_run *r, const struct enabled *w, struct err *e)
{
	struct strv units SCOPED(strv_release) = {0}, where SCOPED(strv_release) = {0};

	if (unit_pulled(r->rootfd, &units, &where, e) != 0)
		return -1;
	for (size_t i = 0; i < units.n; i++)
		if (!allowed(r, w, units.v[i]) && !is_masked(r, units.v[i]))
			strv_addf(r->found, "/%s: starts %s, which is not on the list", where.v[i],
				  units.v[i]);
	return 0;
}

/* At a first start systemd enables by its presets whatever it finds. */
static int look_presets(const struct op_run *r, struct err *e)
{
	struct strv lines SCOPED(strv_release) = {0};
	bool there;

	if (lines_read(r->rootfd, "etc/machine-id", &lines, &there, e) != 0)
		return -1;
	if (!there || (lines.n > 0 && strcmp(lines.v[0], "uninitialized") == 0))
		strv_add(r->found, "/etc/machine-id: the first start would enable units by their "
				   "presets");
	return 0;
}

static int enabled_check(const struct op_run *r, const void *want, struct err *e)
{
	const struct enabled *w = want;
	struct strv found SCOPED(strv_release) = {0}, links SCOPED(strv_release) = {0};
	struct strv names SCOPED(strv_release) = {0};

	if (unasked(r, w, &found, e) != 0 || unit_links(r->rootfd, "*", &links, e) != 0 ||
	    look_pulled(r, w, e) != 0 || look_presets(r, e) != 0)
		return -1;
	for (size_t i = 0; i < found.n; i++)
		strv_addf(r->found, "/%s: enabled, and not on the list", found.v[i]);
	for (size_t i = 0; i < links.n; i++)
		strv_add(&names, strrchr(links.v[i], '/') + 1);
	for (size_t i = 0; w->services && r->c->recipe != NULL && i < r->c->recipe->enable.n; i++) {
		char *unit SCOPED(mem_freep) = with_suffix(r->c->recipe->enable.v[i]);

		if (!strv_has(&names, unit) || is_masked(r, unit))
			strv_addf(r->found, "unit %s of the recipe is not enabled", unit);
	}
	return 0;
}

static int enabled_fix(const struct op_run *r, const void *want, struct err *e)
{
	struct strv found SCOPED(strv_release) = {0};

	if (unasked(r, want, &found, e) != 0)
		return -1;
	for (size_t i = 0; i < found.n; i++) {
		if (root_remove(r->rootfd, found.v[i], e) != 0)
			return -1;
		strv_addf(r->done, "/%s: removed", found.v[i]);
	}
	return 0;
}

const struct op_kind op_enabled = {
    .name = "enabled-units",
    .size = sizeof(struct enabled),
    .fields = enabled_fields,
    .check = enabled_check,
    .fix = enabled_fix,
};
