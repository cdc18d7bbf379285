/* op_apparmor.c - profiles of AppArmor that are loaded, and enforced. */
#include "harden/lines.h"
#include "harden/op.h"

#include <stddef.h>
#include <string.h>

struct apparmor {
	char *dir;
	struct strv present; /* profiles that must be there, by the names of their files */
};

static const struct field apparmor_fields[] = {
    {"dir", FIELD_PATH, offsetof(struct apparmor, dir), true},
    {"present", FIELD_LIST, offsetof(struct apparmor, present), false},
    {0},
};

/* The flags of a profile's head that take its force, from s on; NULL when there are none. */
static char *weak_flag(char *s)
{
	static const char *const weak[] = {"complain", "unconfined", "default_allow"};
	char *end;

	while ((s = strstr(s, "flags=(")) != NULL) {
		s += strlen("flags=(");
		end = strchr(s, ')');
		for (size_t i = 0; i < sizeof(weak) / sizeof(weak[0]); i++) {
			char *at = strstr(s, weak[i]);

			if (at != NULL && (end == NULL || at < end))
				return at;
		}
	}
	return NULL;
}

/* The files that are profiles. */
static int profiles(const struct op_run *r, const struct apparmor *w, struct strv *ret,
		    struct err *e)
{
	char *pattern SCOPED(mem_freep) = mem_format("%s/*", w->dir);
	struct strv all SCOPED(strv_release) = {0};

	if (root_glob(r->rootfd, pattern, &all, e) != 0)
		return -1;
	for (size_t i = 0; i < all.n; i++) {
		struct stat st;

		if (root_stat(r->rootfd, all.v[i], true, &st) == 1 && S_ISREG(st.st_mode))
			strv_add(ret, all.v[i]);
	}
	return 0;
}

/* What switches a profile off by its name. */
static int switches(const struct op_run *r, const struct apparmor *w, struct strv *ret,
		    struct err *e)
{
	struct strv patterns SCOPED(strv_release) = {0};

	strv_addf(&patterns, "%s/disable/*", w->dir);
	strv_addf(&patterns, "%s/force-complain/*", w->dir);
	return root_globs(r->rootfd, &patterns, ret, e);
}

static int apparmor_check(const struct op_run *r, const void *want, struct err *e)
{
	const struct apparmor *w = want;
	struct strv off SCOPED(strv_release) = {0}, files SCOPED(strv_release) = {0};

	if (switches(r, w, &off, e) != 0 || profiles(r, w, &files, e) != 0)
		return -1;
	for (size_t i = 0; i < off.n; i++)
		strv_addf(r->found, "/%s: the profile is not enforced", off.v[i]);
	for (size_t i = 0; i < files.n; i++) {
		struct strv lines SCOPED(strv_release) = {0};

		if (lines_read(r->rootfd, files.v[i], &lines, NULL, e) != 0)
			return -1;
		for (size_t k = 0; k < lines.n; k++)
			if (lines.v[k][strspn(lines.v[k], " \t")] != '#' &&
			    weak_flag(lines.v[k]) != NULL)
				strv_addf(r->found, "/%s:%zu: the profile is not enforced",
					  files.v[i], k + 1);
	}
	for (size_t i = 0; i < w->present.n; i++) {
		char *path SCOPED(mem_freep) = mem_format("%s/%s", w->dir, w->present.v[i]);

		if (!root_has(r->rootfd, path))
			strv_addf(r->found, "/%s: is not there", path);
	}
	return 0;
}

/* The line without the flag at `at`, and without "flags=()" when it was the only one. The caller
 * owns it. */
static char *without(const char *line, const char *at)
{
	const char *rest = at + strcspn(at, " ,)\t");
	char *text = mem_format("%.*s%s", (int)(at - line), line, rest + strspn(rest, " ,\t"));
	char *open = strstr(text, "flags=("), *p;

	for (; open != NULL; open = strstr(open + 1, "flags=(")) {
		p = open + strlen("flags=(");
		p += strspn(p, " ,\t");
		if (*p == ')')
			memmove(open, p + 1, strlen(p + 1) + 1);
	}
	return text;
}

static int enforce(const struct op_run *r, const char *path, struct err *e)
{
	struct strv lines SCOPED(strv_release) = {0};
	size_t n = 0;

	if (lines_read(r->rootfd, path, &lines, NULL, e) != 0)
		return -1;
	for (size_t k = 0; k < lines.n; k++) {
		char *at;

		if (lines.v[k][strspn(lines.v[k], " \t")] == '#')
			continue;
		while ((at = weak_flag(lines.v[k])) != NULL) {
			char *text SCOPED(mem_freep) = without(lines.v[k], at);

			lines_replace(&lines, k, text);
			n++;
		}
	}
	if (n == 0)
		return 0;
	strv_addf(r->done, "/%s: enforced", path);
	return lines_write(r->rootfd, path, &lines, 0644, e);
}

static int apparmor_fix(const struct op_run *r, const void *want, struct err *e)
{
	const struct apparmor *w = want;
	struct strv off SCOPED(strv_release) = {0}, files SCOPED(strv_release) = {0};

	if (switches(r, w, &off, e) != 0 || profiles(r, w, &files, e) != 0)
		return -1;
	for (size_t i = 0; i < off.n; i++) {
		if (root_remove(r->rootfd, off.v[i], e) != 0)
			return -1;
		strv_addf(r->done, "/%s: removed", off.v[i]);
	}
	for (size_t i = 0; i < files.n; i++)
		if (enforce(r, files.v[i], e) != 0)
			return -1;
	return 0;
}

const struct op_kind op_apparmor = {
    .name = "apparmor",
    .size = sizeof(struct apparmor),
    .fields = apparmor_fields,
    .check = apparmor_check,
    .fix = apparmor_fix,
};
