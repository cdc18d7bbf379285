/* op_unit_runs.c - what a unit runs, with its drop-ins: one of some programs, which is there. */
#include "harden/conf_dirs.h"
#include "harden/lines.h"
#include "harden/op.h"

#include <stddef.h>
#include <string.h>

struct unit_runs {
	char *unit;
	struct strv programs; /* kept without the leading slash; empty: any that is there */
};

static const struct field unit_runs_fields[] = {
    {"unit", FIELD_TEXT, offsetof(struct unit_runs, unit), true},
    {"programs", FIELD_PATHS, offsetof(struct unit_runs, programs), false},
    {0},
};

static int unit_runs_finish(void *want, const struct yaml *at, struct err *e)
{
	const struct unit_runs *w = want;

	return strchr(w->unit, '/') == NULL ? 0 : yaml_err(at, e, "unit is the name of a unit");
}

/* Its file, and its drop-ins in their order. */
static int unit_files(const struct op_run *r, const char *unit, struct strv *ret, struct err *e)
{
	static const char *const tops[] = {"etc", "run", "usr/local/lib", "usr/lib"};
	char *dropins SCOPED(mem_freep) = mem_format("systemd/system/%s.d", unit);

	for (size_t i = 0; i < sizeof(tops) / sizeof(tops[0]) && ret->n == 0; i++) {
		char *path SCOPED(mem_freep) = mem_format("%s/systemd/system/%s", tops[i], unit);

		if (root_has(r->rootfd, path))
			strv_add(ret, path);
	}
	return ret->n == 0 ? 0 : conf_dirs_list(r->rootfd, dropins, ".conf", ret, e);
}

/* Takes ExecStart= of a file; an empty one forgets those before it. */
static int take_file(const struct op_run *r, const char *path, struct strv *ret, struct err *e)
{
	struct strv lines SCOPED(strv_release) = {0};

	if (lines_read(r->rootfd, path, &lines, NULL, e) != 0)
		return -1;
	for (size_t i = 0; i < lines.n; i++) {
		char *s = line_trim(lines.v[i]);

		if (strncmp(s, "ExecStart", 9) != 0 || (s[9] != '=' && s[9] != ' '))
			continue;
		s = strchr(s, '=');
		if (s == NULL)
			continue;
		s = line_trim(s + 1);
		if (*s == '\0')
			strv_release(ret);
		else
			strv_add(ret, s);
	}
	return 0;
}

static void look(const struct op_run *r, const struct unit_runs *w, const char *command)
{
	/* systemd.service(5): what may stand before the path */
	const char *path = command + strspn(command, "@-:+!");
	char *program SCOPED(mem_freep) = mem_strndup(path, strcspn(path, " \t"));
	bool wanted = w->programs.n == 0;

	for (size_t i = 0; i < w->programs.n; i++)
		wanted = wanted || strcmp(program + strspn(program, "/"), w->programs.v[i]) == 0;
	if (!wanted)
		strv_addf(r->found, "unit %s runs \"%s\"", w->unit, command);
	else if (*program != '/' || !root_has(r->rootfd, program + 1))
		strv_addf(r->found, "unit %s runs %s, which is not there", w->unit, program);
	else if (r->held != NULL)
		strv_addf(r->held, "unit %s runs \"%s\"", w->unit, command);
}

static int unit_runs_check(const struct op_run *r, const void *want, struct err *e)
{
	const struct unit_runs *w = want;
	struct strv files SCOPED(strv_release) = {0}, commands SCOPED(strv_release) = {0};

	if (unit_files(r, w->unit, &files, e) != 0)
		return -1;
	for (size_t i = 0; i < files.n; i++)
		if (take_file(r, files.v[i], &commands, e) != 0)
			return -1;
	for (size_t i = 0; i < commands.n; i++)
		look(r, w, commands.v[i]);
	if (commands.n == 0)
		strv_addf(r->found, "unit %s runs nothing", w->unit);
	return 0;
}

const struct op_kind op_unit_runs = {
    .name = "unit-runs",
    .size = sizeof(struct unit_runs),
    .fields = unit_runs_fields,
    .finish = unit_runs_finish,
    .check = unit_runs_check,
};
