/* op_time.c - where chronyd takes the time from, and as whom it runs. */
#include "base/glob.h"
#include "harden/chrony.h"
#include "harden/conf_dirs.h"
#include "harden/lines.h"
#include "harden/op.h"

#include <stddef.h>
#include <string.h>

struct time_want {
	char *path;
	struct opt sources;  /* at least so many */
	struct strv refused; /* patterns of names of servers */
	struct strv users;   /* one of these, when it says one; a fix writes the first */
	struct strv options; /* files of the options that it is started with */
};

static const struct field time_fields[] = {
    {"path", FIELD_PATH, offsetof(struct time_want, path), true},
    {"at-least", FIELD_INT, offsetof(struct time_want, sources), false},
    {"refused", FIELD_LIST, offsetof(struct time_want, refused), false},
    {"users", FIELD_LIST, offsetof(struct time_want, users), false},
    {"options", FIELD_PATHS, offsetof(struct time_want, options), false},
    {0},
};

static bool is_refused(const struct time_want *w, const char *server)
{
	for (size_t i = 0; i < w->refused.n; i++)
		if (glob_match(w->refused.v[i], server))
			return true;
	return false;
}

/* Why a line is not as wanted; NULL when it is. */
static const char *fault(const struct time_want *w, const struct chrony_line *l)
{
	if (chrony_is_source(l) && is_refused(w, l->value))
		return "is no approved source of time";
	if (w->users.n > 0 && strcmp(l->word, "user") == 0 && !strv_has(&w->users, l->value))
		return "is not whom chronyd may run as";
	return NULL;
}

/* "-u root" and "-uroot" among the options that a script of the shell sets. */
static void look_options(const struct op_run *r, const struct time_want *w, const char *path,
			 const struct strv *lines)
{
	for (size_t i = 0; i < lines->n; i++) {
		const char *line = lines->v[i] + strspn(lines->v[i], " \t");
		const char *u = *line == '#' ? NULL : strstr(line, "-u");
		char *name SCOPED(mem_freep) = NULL;

		if (u == NULL || u == line || strchr(" \t\"'", u[-1]) == NULL)
			continue;
		u += 2 + strspn(u + 2, " \t");
		name = mem_strndup(u, strcspn(u, " \t\"'"));
		if (!strv_has(&w->users, name))
			strv_addf(r->found, "/%s:%zu: chronyd is started as %s", path, i + 1, name);
	}
}

static int look_start(const struct op_run *r, const struct time_want *w, struct err *e)
{
	for (size_t i = 0; i < w->options.n; i++) {
		struct strv lines SCOPED(strv_release) = {0};

		if (lines_read(r->rootfd, w->options.v[i], &lines, NULL, e) != 0)
			return -1;
		look_options(r, w, w->options.v[i], &lines);
	}
	return 0;
}

static int time_check(const struct op_run *r, const void *want, struct err *e)
{
	const struct time_want *w = want;
	struct chrony c SCOPED(chrony_release) = {0};
	int64_t sources = 0;

	if (chrony_read(r->rootfd, w->path, &c, e) != 0)
		return -1;
	for (size_t i = 0; i < c.n; i++) {
		const char *why = fault(w, &c.v[i]);

		if (why != NULL)
			strv_addf(r->found, "/%s:%zu: %s %s", c.v[i].file, c.v[i].line,
				  c.v[i].value, why);
		else if (chrony_is_source(&c.v[i])) {
			sources++;
			if (r->held != NULL && w->sources.set)
				strv_addf(r->held, "/%s:%zu: %s", c.v[i].file, c.v[i].line,
					  c.v[i].value);
		}
	}
	if (w->sources.set && sources < w->sources.v)
		strv_addf(r->found, "/%s: %lld sources of time, wants at least %lld", w->path,
			  (long long)sources, (long long)w->sources.v);
	return look_start(r, w, e);
}

static int time_fix(const struct op_run *r, const void *want, struct err *e)
{
	const struct time_want *w = want;
	struct chrony c SCOPED(chrony_release) = {0};

	if (chrony_read(r->rootfd, w->path, &c, e) != 0)
		return -1;
	for (size_t i = 0; i < c.n; i++) {
		if (fault(w, &c.v[i]) == NULL)
			continue;
		if (conf_comment_out(r->rootfd, c.v[i].file, c.v[i].line, e) != 0)
			return -1;
		strv_addf(r->done, "/%s:%zu: commented out", c.v[i].file, c.v[i].line);
	}
	return 0;
}

const struct op_kind op_time = {
    .name = "time",
    .size = sizeof(struct time_want),
    .fields = time_fields,
    .check = time_check,
    .fix = time_fix,
};
