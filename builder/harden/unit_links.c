#include "harden/unit_links.h"

#include "harden/lines.h"
#include <string.h>
#include <unistd.h>

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

/* What lines of a unit or a drop-in start. */
static int read_starts(int rootfd, const char *path, struct strv *ret, struct strv *ret_where,
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

/* Targets that any unit may ask for: what they start is linked, or a package's. */
static bool is_base(const char *unit)
{
	static const char *const base[] = {
	    "basic.target",     "local-fs.target",   "multi-user.target",
	    "network.target",   "nss-lookup.target", "network-online.target",
	    "remote-fs.target", "sysinit.target",    "time-sync.target"};

	for (size_t i = 0; i < COUNT(base); i++)
		if (strcmp(base[i], unit) == 0)
			return true;
	return false;
}

/* Whether the path is a link to a unit of a package, or masks one. */
static bool leads_to_package(int rootfd, const char *path)
{
	static const char *const ours[] = {"usr/lib/systemd/system/", "lib/systemd/system/"};
	char target[512];
	const char *name, *to = target;
	int fd SCOPED(fd_closep) = root_parent(rootfd, path, &name);
	ssize_t n = fd < 0 ? -1 : readlinkat(fd, name, target, sizeof(target) - 1);

	if (n <= 0)
		return false;
	target[n] = '\0';
	if (strcmp(target, "/dev/null") == 0)
		return true;
	to += *to == '/';
	while (strncmp(to, "../", 3) == 0)
		to += 3;
	for (size_t i = 0; i < COUNT(ours); i++)
		if (strncmp(to, ours[i], strlen(ours[i])) == 0)
			return strchr(to + strlen(ours[i]), '/') == NULL;
	return false;
}

static void keep_foreign(const struct strv *units, const struct strv *where,
			 const struct strv *known, struct strv *ret, struct strv *ret_where)
{
	for (size_t i = 0; i < units->n; i++) {
		if (is_base(units->v[i]) || strv_has(known, units->v[i]))
			continue;
		strv_add(ret, units->v[i]);
		strv_add(ret_where, where->v[i]);
	}
}

/* A unit that is not a package's, without what the package's of its name starts too. */
static int read_unit(int rootfd, const char *path, struct strv *ret, struct strv *ret_where,
		     struct err *e)
{
	char *other SCOPED(mem_freep) =
	    mem_format("usr/lib/systemd/system/%s", strrchr(path, '/') + 1);
	struct strv units SCOPED(strv_release) = {0}, where SCOPED(strv_release) = {0};
	struct strv known SCOPED(strv_release) = {0}, unused SCOPED(strv_release) = {0};

	if (leads_to_package(rootfd, path))
		return 0;
	if (read_starts(rootfd, path, &units, &where, e) != 0 ||
	    read_starts(rootfd, other, &known, &unused, e) != 0)
		return -1;
	keep_foreign(&units, &where, &known, ret, ret_where);
	return 0;
}

static int read_drop_in(int rootfd, const char *path, struct strv *ret, struct strv *ret_where,
			struct err *e)
{
	struct strv units SCOPED(strv_release) = {0}, where SCOPED(strv_release) = {0};
	const struct strv none = {0};

	if (read_starts(rootfd, path, &units, &where, e) != 0)
		return -1;
	keep_foreign(&units, &where, &none, ret, ret_where);
	return 0;
}

int unit_pulled(int rootfd, struct strv *ret, struct strv *ret_where, struct err *e)
{
	static const char *const kinds[] = {"target", "service", "socket", "timer",
					    "path",   "mount",   "swap",   "automount"};
	struct strv units SCOPED(strv_release) = {0}, drop_ins SCOPED(strv_release) = {0};
	struct strv found SCOPED(strv_release) = {0}, found_in SCOPED(strv_release) = {0};

	for (size_t i = 0; i < COUNT(dirs); i++)
		for (size_t k = 0; k < COUNT(kinds); k++) {
			strv_addf(&units, "%s/*.%s", dirs[i], kinds[k]);
			strv_addf(&drop_ins, "%s/*.%s.d/*.conf", dirs[i], kinds[k]);
			strv_addf(&drop_ins, "%s/%s.d/*.conf", dirs[i], kinds[k]);
		}
	if (root_globs(rootfd, &drop_ins, &found_in, e) != 0 ||
	    root_globs(rootfd, &units, &found, e) != 0)
		return -1;
	for (size_t i = 0; i < found_in.n; i++)
		if (read_drop_in(rootfd, found_in.v[i], ret, ret_where, e) != 0)
			return -1;
	for (size_t i = 0; i < found.n; i++)
		if (read_unit(rootfd, found.v[i], ret, ret_where, e) != 0)
			return -1;
	return 0;
}
