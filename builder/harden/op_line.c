/* op_line.c - lines by regular expression, for files that have no better reader. */
#include "harden/kv.h"
#include "harden/lines.h"
#include "harden/op.h"

#include <regex.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct line {
	struct strv files;   /* patterns */
	char *absent;        /* no line may match (extended regular expression) */
	char *present;       /* some line must match */
	char *add;           /* what a fix appends for `present`, to the first of files */
	char *comment;       /* what a fix puts in front of an `absent` line; default "# " */
	struct yaml *follow; /* "sudoers": what such files include is looked at too */
	bool icase;
	bool cut;      /* a fix cuts the first group of `absent` out of the line instead */
	char *instead; /* what it puts in the place of that; default nothing */
	regex_t re;
	bool re_set;
};

static const struct field line_op_fields[] = {
    {"files", FIELD_PATHS, offsetof(struct line, files), true},
    {"absent", FIELD_TEXT, offsetof(struct line, absent), false},
    {"present", FIELD_TEXT, offsetof(struct line, present), false},
    {"add", FIELD_TEXT, offsetof(struct line, add), false},
    {"comment", FIELD_TEXT, offsetof(struct line, comment), false},
    {"cut", FIELD_BOOL, offsetof(struct line, cut), false},
    {"instead", FIELD_TEXT, offsetof(struct line, instead), false},
    {"follow", FIELD_NODE, offsetof(struct line, follow), false},
    {"ignore-case", FIELD_BOOL, offsetof(struct line, icase), false},
    {0},
};

static int line_finish(void *want, const struct yaml *at, struct err *e)
{
	static const char *const follows[] = {"sudoers", NULL};
	struct line *w = want;
	const char *text = w->absent != NULL ? w->absent : w->present;

	if ((w->absent == NULL) == (w->present == NULL))
		return yaml_err(at, e, "wants either absent or present");
	if ((w->present != NULL) != (w->add != NULL))
		return yaml_err(at, e, "present and add go together");
	if (w->follow != NULL && spec_word(w->follow, follows, e) < 0)
		return -1;
	if (regcomp(&w->re, text, REG_EXTENDED | (w->icase ? REG_ICASE : 0)) != 0)
		return yaml_err(at, e, "\"%s\" is not an extended regular expression", text);
	w->re_set = true;
	if (w->cut && w->re.re_nsub == 0)
		return yaml_err(at, e, "cut wants a group in absent");
	if (w->instead != NULL && !w->cut)
		return yaml_err(at, e, "instead wants cut");
	return 0;
}

static void line_release(void *want)
{
	struct line *w = want;

	if (w->re_set)
		regfree(&w->re);
}

static bool matches(const struct line *w, const char *line)
{
	return regexec(&w->re, line, 0, NULL, 0) == 0;
}

static int find_files(const struct op_run *r, const struct line *w, struct strv *ret, struct err *e)
{
	struct strv named SCOPED(strv_release) = {0};

	if (w->follow == NULL)
		return root_globs(r->rootfd, &w->files, ret, e);
	if (root_globs(r->rootfd, &w->files, &named, e) != 0)
		return -1;
	for (size_t i = 0; i < named.n; i++)
		if (!strv_has(ret, named.v[i]) && sudoers_files(r->rootfd, named.v[i], ret, e) != 0)
			return -1;
	return 0;
}

static int line_check(const struct op_run *r, const void *want, struct err *e)
{
	const struct line *w = want;
	struct strv paths SCOPED(strv_release) = {0};
	bool seen = false;

	if (find_files(r, w, &paths, e) != 0)
		return -1;
	for (size_t i = 0; i < paths.n; i++) {
		struct strv lines SCOPED(strv_release) = {0};

		if (lines_read(r->rootfd, paths.v[i], &lines, NULL, e) != 0)
			return -1;
		for (size_t k = 0; k < lines.n; k++) {
			if (!matches(w, lines.v[k]))
				continue;
			seen = true;
			if (w->absent != NULL)
				strv_addf(r->found, "/%s:%zu: %s", paths.v[i], k + 1, lines.v[k]);
		}
	}
	if (w->present != NULL && !seen)
		strv_addf(r->found, "/%s: has no line like \"%s\"", w->files.v[0], w->add);
	return 0;
}

/* The line as a fix leaves it; the caller owns it. */
static char *mended(const struct line *w, const char *line)
{
	char *rest SCOPED(mem_freep) = mem_strdup(line);
	regmatch_t m[2];

	if (!w->cut)
		return mem_format("%s%s", w->comment == NULL ? "# " : w->comment, line);
	/* what stands instead may match too: a check then says so */
	for (size_t left = strlen(line); left > 0; left--) {
		char *other;

		if (regexec(&w->re, rest, 2, m, 0) != 0 || m[1].rm_eo <= m[1].rm_so)
			break;
		other = mem_format("%.*s%s%s", (int)m[1].rm_so, rest,
				   w->instead == NULL ? "" : w->instead, rest + m[1].rm_eo);
		free(rest);
		rest = other;
	}
	return STEAL(rest);
}

static int mend_file(const struct op_run *r, const struct line *w, const char *path, struct err *e)
{
	struct strv lines SCOPED(strv_release) = {0};
	size_t n = 0;

	if (lines_read(r->rootfd, path, &lines, NULL, e) != 0)
		return -1;
	for (size_t k = 0; k < lines.n; k++) {
		char *text SCOPED(mem_freep) = NULL;

		if (!matches(w, lines.v[k]))
			continue;
		text = mended(w, lines.v[k]);
		lines_replace(&lines, k, text);
		n++;
	}
	if (n == 0)
		return 0;
	strv_addf(r->done, "/%s: %zu line%s mended", path, n, n == 1 ? "" : "s");
	return lines_write(r->rootfd, path, &lines, 0644, e);
}

static int add_line(const struct op_run *r, const struct line *w, struct err *e)
{
	struct strv lines SCOPED(strv_release) = {0};

	if (lines_read(r->rootfd, w->files.v[0], &lines, NULL, e) != 0)
		return -1;
	strv_add(&lines, w->add);
	strv_addf(r->done, "/%s: line added", w->files.v[0]);
	return lines_write(r->rootfd, w->files.v[0], &lines, 0644, e);
}

static int line_fix(const struct op_run *r, const void *want, struct err *e)
{
	const struct line *w = want;
	struct strv paths SCOPED(strv_release) = {0};

	if (w->present != NULL)
		return add_line(r, w, e);
	if (find_files(r, w, &paths, e) != 0)
		return -1;
	for (size_t i = 0; i < paths.n; i++)
		if (mend_file(r, w, paths.v[i], e) != 0)
			return -1;
	return 0;
}

const struct op_kind op_line = {
    .name = "line",
    .size = sizeof(struct line),
    .fields = line_op_fields,
    .finish = line_finish,
    .check = line_check,
    .fix = line_fix,
    .release = line_release,
};
