#include "harden/unit_links.h"

#include "harden/lines.h"
#include <string.h>

static const char *const dirs[] = {"etc/systemd/system", "etc/systemd/system.control",
				   "etc/systemd/system.attached", "usr/local/lib/systemd/system"};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

int unit_links(int rootfd, const char *unit, struct strv *ret, struct err *e)
{
	static const char *const kinds[] = {"wants", "requires", "upholds"};
	struct strv patterns SCOPED(strv_release) = {0};

	for (size_t i = 0; i < COUNT(dirs); i++)
		for (size_t k = 0; k < COUNT(kinds); k++)
			strv_addf(&patterns, "%s/*.%s/%s", dirs[i], kinds[k], unit);
	return root_globs(rootfd, &patterns, ret, e);
}

/* The units of "Wants=..." and its like; NULL when the line says something else. */
static const char *pulled_by(const char *line)
{
	static const char *const keys[] = {"Wants", "Requires", "Upholds", "BindsTo"};

	for (size_t i = 0; i < COUNT(keys); i++) {
		size_t n = strlen(keys[i]);
		const char *rest = line + n;

		if (strncmp(line, keys[i], n) != 0)
			continue;
		rest += strspn(rest, " \t");
		if (*rest == '=')
			return rest + 1;
	}
	return NULL;
}

static void take(const char *text, const char *path, size_t line, struct strv *ret,
		 struct strv *ret_where)
{
	size_t before = ret->n;

	line_words(text, ret);
	for (size_t i = before; i < ret->n; i++)
		strv_addf(ret_where, "%s:%zu", path, line);
}

static int read_dropin(int rootfd, const char *path, struct strv *ret, struct strv *ret_where,
		       struct err *e)
{
	struct strv lines SCOPED(strv_release) = {0};
	bool more = false, inside = false;

	if (lines_read(rootfd, path, &lines, NULL, e) != 0)
		return -1;
	for (size_t i = 0; i < lines.n; i++) {
		char *s = line_trim(lines.v[i]);
		const char *units = s;
		size_t n = strlen(s);

		/* a comment between the parts of a line does not end it */
		if (*s == '#' || *s == ';')
			continue;
		if (!more) {
			units = pulled_by(s);
			inside = units != NULL;
		}
		more = n > 0 && s[n - 1] == '\\';
		if (more)
			s[n - 1] = '\0';
		if (inside)
			take(units, path, i + 1, ret, ret_where);
	}
	return 0;
}

int unit_pulled(int rootfd, struct strv *ret, struct strv *ret_where, struct err *e)
{
	struct strv patterns SCOPED(strv_release) = {0}, paths SCOPED(strv_release) = {0};

	for (size_t i = 0; i < COUNT(dirs); i++) {
		strv_addf(&patterns, "%s/*.target.d/*.conf", dirs[i]);
		strv_addf(&patterns, "%s/target.d/*.conf", dirs[i]);
	}
	if (root_globs(rootfd, &patterns, &paths, e) != 0)
		return -1;
	for (size_t i = 0; i < paths.n; i++)
		if (read_dropin(rootfd, paths.v[i], ret, ret_where, e) != 0)
			return -1;
	return 0;
}
