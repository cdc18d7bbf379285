/* op_aide.c - changes of which files aide(1) would notice. */
#include "harden/aide_config.h"
#include "harden/lines.h"
#include "harden/op.h"

#include <stddef.h>
#include <string.h>

#define GROUP "Posmedia"

struct aide {
	char *config;
	struct strv covers;     /* kept without the leading slash */
	struct strv attributes; /* that are looked at, at least */
};

static const struct field aide_fields[] = {
    {"config", FIELD_PATH, offsetof(struct aide, config), true},
    {"covers", FIELD_PATHS, offsetof(struct aide, covers), true},
    {"attributes", FIELD_LIST, offsetof(struct aide, attributes), true},
    {0},
};

/* What of a rule's attributes is missing, "" when nothing; the caller owns it. */
static char *lacking(const struct aide *w, const struct aide_config *c, const struct aide_rule *r)
{
	struct strv have SCOPED(strv_release) = {0};
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 16);

	aide_attributes(c, r->group, &have);
	for (size_t i = 0; i < w->attributes.n; i++)
		if (!strv_has(&have, w->attributes.v[i]))
			buf_addf(&b, "%s%s", b.len == 0 ? "" : ",", w->attributes.v[i]);
	return buf_take(&b);
}

/* Any file of a directory, or the file itself; NULL when there is neither. The caller owns it. */
static char *sample(const struct op_run *r, const char *path)
{
	struct stat st;

	if (root_stat(r->rootfd, path, true, &st) != 1)
		return NULL;
	return mem_format("/%s%s", path, S_ISDIR(st.st_mode) ? "/posmedia" : "");
}

/* Says into *why what is wrong with a directory or file, of which path is the sample; NULL when all
 * in it is watched. The caller owns it. */
static void judge(const struct aide *w, const struct aide_config *c, const char *dir,
		  const char *path, char **why)
{
	size_t n = 0;

	*why = NULL;
	for (size_t i = 0; i < c->n && *why == NULL; i++) {
		const struct aide_rule *r = &c->rules[i];
		char *lacks SCOPED(mem_freep) = NULL;

		if (!aide_rule_matches(r, path))
			continue;
		if (r->kind == '!') {
			*why = mem_format("/%s:%zu: leaves out /%s", r->file, r->line, dir);
			return;
		}
		n++;
		lacks = lacking(w, c, r);
		if (*lacks != '\0')
			*why = mem_format("/%s:%zu: does not look at %s of /%s", r->file, r->line,
					  lacks, dir);
	}
	if (n == 0)
		*why = mem_format("/%s: /%s is not watched", w->config, dir);
}

static int aide_check(const struct op_run *r, const void *want, struct err *e)
{
	const struct aide *w = want;
	struct aide_config c SCOPED(aide_config_release) = {0};

	if (aide_config_read(r->rootfd, w->config, &c, e) != 0)
		return -1;
	for (size_t i = 0; i < w->covers.n; i++) {
		char *path SCOPED(mem_freep) = sample(r, w->covers.v[i]);
		char *why SCOPED(mem_freep) = NULL;

		if (path == NULL)
			continue;
		judge(w, &c, w->covers.v[i], path, &why);
		if (why != NULL)
			strv_add(r->found, why);
		else if (r->held != NULL)
			strv_addf(r->held, "/%s: /%s is watched", w->config, w->covers.v[i]);
	}
	return 0;
}

/* Adds rules for what none is about; those that say otherwise are for a person to look at. */
static int aide_fix(const struct op_run *r, const void *want, struct err *e)
{
	const struct aide *w = want;
	struct aide_config c SCOPED(aide_config_release) = {0};
	struct strv lines SCOPED(strv_release) = {0};
	struct buf group SCOPED(buf_release) = BUF_INIT(1 << 16);
	size_t n;

	if (aide_config_read(r->rootfd, w->config, &c, e) != 0 ||
	    lines_read(r->rootfd, w->config, &lines, NULL, e) != 0)
		return -1;
	n = lines.n;
	buf_addf(&group, GROUP " = ");
	for (size_t i = 0; i < w->attributes.n; i++)
		buf_addf(&group, "%s%s", i == 0 ? "" : "+", w->attributes.v[i]);
	if (!strv_has(&lines, group.data))
		strv_add(&lines, group.data);
	for (size_t i = 0; i < w->covers.n; i++) {
		char *path SCOPED(mem_freep) = sample(r, w->covers.v[i]);
		char *why SCOPED(mem_freep) = NULL;

		if (path == NULL)
			continue;
		judge(w, &c, w->covers.v[i], path, &why);
		if (why == NULL)
			continue;
		strv_addf(&lines, "/%s " GROUP, w->covers.v[i]);
		strv_addf(r->done, "/%s: /%s is watched", w->config, w->covers.v[i]);
	}
	return lines.n == n ? 0 : lines_write(r->rootfd, w->config, &lines, 0600, e);
}

const struct op_kind op_aide = {
    .name = "aide",
    .size = sizeof(struct aide),
    .fields = aide_fields,
    .check = aide_check,
    .fix = aide_fix,
};
