#include "package/sources.h"

#include "form/deb822.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SYSTEM_APT "/etc/apt"

static bool starts(const char *s, const char *with)
{
	return strncmp(s, with, strlen(with)) == 0;
}

static bool ends(const char *s, const char *with)
{
	size_t n = strlen(s), w = strlen(with);

	return n >= w && strcmp(s + n - w, with) == 0;
}

/* A URI may stand in a sources.list of ours: no blank, quote, bracket or control character. */
static bool uri_ok(const char *s)
{
	for (; *s != '\0'; s++)
		if (*s <= ' ' || *s > '~' || strchr("\"'[]{};\\", *s) != NULL)
			return false;
	return true;
}

/* Splits at blanks and line ends. */
static void words(const char *s, struct strv *ret)
{
	while (s != NULL && *s != '\0') {
		size_t n = strcspn(s, " \t\r\n");

		if (n > 0)
			strv_take(ret, mem_strndup(s, n));
		s += n + strspn(s + n, " \t\r\n");
	}
}

/* A text file of at most 1 MiB; absent or unreadable: nothing. */
static void slurp(const char *path, struct buf *ret)
{
	struct err ignored = ERR_INIT;

	if (fs_get(AT_FDCWD, path, ret, &ignored) != 0)
		ret->len = 0;
}

static void add_uri(const char *uri, struct strv *ret);

/* One URI a line, anything after a blank is apt's own business. */
static void add_mirror_file(const char *path, struct strv *ret)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(1 << 20);
	const char *s;

	slurp(path, &text);
	for (s = text.data; *s != '\0'; s += strcspn(s, "\n"), s += *s == '\n') {
		size_t n = strcspn(s, " \t\r\n");
		char *uri SCOPED(mem_freep) = mem_strndup(s, n);

		if (n > 0 && *s != '#' && !starts(uri, "mirror"))
			add_uri(uri, ret);
	}
}

static void add_uri(const char *uri, struct strv *ret)
{
	char *full = NULL;

	if (!uri_ok(uri))
		return;
	if (starts(uri, "mirror+file:")) {
		const char *path = uri + strlen("mirror+file:");

		add_mirror_file(path + (starts(path, "///") ? 2 : 0), ret);
		return;
	}
	if (starts(uri, "file:/") && !starts(uri, "file://"))
		full = mem_format("file://%s", uri + strlen("file:"));
	else if (starts(uri, "http://") || starts(uri, "https://") || starts(uri, "file:///"))
		full = mem_strdup(uri);
	else
		return;
	if (!ends(full, "/")) {
		char *with = mem_format("%s/", full);

		free(full);
		full = with;
	}
	if (strv_has(ret, full))
		free(full);
	else
		strv_take(ret, full);
}

/* deb [options] URI SUITE COMPONENT... */
static void scan_line(const char *line, size_t n, const char *suite, struct strv *ret)
{
	char *copy SCOPED(mem_freep) = mem_strndup(line, n);
	struct strv w SCOPED(strv_release) = {0};
	char *hash = strchr(copy, '#');
	size_t at = 1;

	if (hash != NULL)
		*hash = '\0';
	words(copy, &w);
	if (w.n < 3 || strcmp(w.v[0], "deb") != 0)
		return;
	if (w.v[1][0] == '[') {
		while (at < w.n && !ends(w.v[at], "]"))
			at++;
		at++;
	}
	if (at + 1 < w.n && strcmp(w.v[at + 1], suite) == 0)
		add_uri(w.v[at], ret);
}

static void scan_list(const char *path, const char *suite, struct strv *ret)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(1 << 20);
	const char *s;

	slurp(path, &text);
	for (s = text.data; *s != '\0'; s += strcspn(s, "\n"), s += *s == '\n')
		scan_line(s, strcspn(s, "\n"), suite, ret);
}

static bool is_off(const struct deb822 *stanza)
{
	char *enabled SCOPED(mem_freep) = deb822_field(stanza, "Enabled");
	static const char *const no[] = {"no", "false", "without", "off", "disable", "0"};

	for (size_t i = 0; enabled != NULL && i < sizeof(no) / sizeof(no[0]); i++)
		if (strcasecmp(enabled, no[i]) == 0)
			return true;
	return false;
}

static void scan_stanza(const struct deb822 *stanza, const char *suite, struct strv *ret)
{
	char *types SCOPED(mem_freep) = deb822_field(stanza, "Types");
	char *suites SCOPED(mem_freep) = deb822_field(stanza, "Suites");
	char *uris SCOPED(mem_freep) = deb822_field(stanza, "URIs");
	struct strv t SCOPED(strv_release) = {0}, s SCOPED(strv_release) = {0};
	struct strv u SCOPED(strv_release) = {0};

	words(types, &t);
	words(suites, &s);
	words(uris, &u);
	if (is_off(stanza) || !strv_has(&t, "deb") || !strv_has(&s, suite))
		return;
	for (size_t i = 0; i < u.n; i++)
		add_uri(u.v[i], ret);
}

/* Drops comment lines, which may stand inside a stanza too. */
static void drop_comments(struct buf *b)
{
	size_t to = 0;

	for (size_t at = 0; at < b->len;) {
		size_t n = strcspn(b->data + at, "\n");

		n += at + n < b->len ? 1 : 0;
		if (n == 0) /* a NUL byte: the rest is no text */
			break;
		if (b->data[at] != '#') {
			memmove(b->data + to, b->data + at, n);
			to += n;
		}
		at += n;
	}
	b->len = to;
}

static void scan_sources(const char *path, const char *suite, struct strv *ret)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(1 << 20);
	struct deb822 rest, stanza;

	slurp(path, &text);
	drop_comments(&text);
	rest = (struct deb822){text.data, text.len};
	while (deb822_next(&rest, &stanza) == 1)
		scan_stanza(&stanza, suite, ret);
}

void sources_scan(const char *dir, const char *suite, struct strv *ret)
{
	char *main_list SCOPED(mem_freep) = fs_join(dir, "sources.list");
	char *parts SCOPED(mem_freep) = fs_join(dir, "sources.list.d");
	struct strv names SCOPED(strv_release) = {0};
	struct err ignored = ERR_INIT;

	scan_list(main_list, suite, ret);
	if (fs_list(AT_FDCWD, parts, &names, &ignored) != 0)
		return;
	for (size_t i = 0; i < names.n; i++) {
		char *path SCOPED(mem_freep) = fs_join(parts, names.v[i]);

		if (ends(path, ".list"))
			scan_list(path, suite, ret);
		else if (ends(path, ".sources"))
			scan_sources(path, suite, ret);
	}
}

static void add_system(const char *suite, struct strv *ret)
{
	const char *set = getenv(ends(suite, "-security") ? "POSMEDIA_APT_SECURITY_MIRROR"
							  : "POSMEDIA_APT_MIRROR");

	if (set != NULL && *set != '\0')
		add_uri(set, ret);
	else
		sources_scan(SYSTEM_APT, suite, ret);
}

int sources_find(const struct recipe_apt *a, const char *suite, struct strv *ret, struct err *e)
{
	size_t before = ret->n;

	if (a->mirrors.n == 0)
		add_system(suite, ret);
	for (size_t i = 0; i < a->mirrors.n; i++)
		if (strcmp(a->mirrors.v[i], "system") == 0)
			add_system(suite, ret);
		else
			add_uri(a->mirrors.v[i], ret);
	if (ret->n > before)
		return 0;
	(void)recipe_err(&a->pos, e, "no mirror is known for the suite %s", suite);
	return err_hint(e, "set POSMEDIA_APT_MIRROR (and POSMEDIA_APT_SECURITY_MIRROR for "
			   "-security), or list mirrors in the recipe");
}

const char *sources_label(const struct recipe_apt *a, const char *uri)
{
	struct strv own SCOPED(strv_release) = {0};

	for (size_t i = 0; i < a->mirrors.n; i++) {
		if (strcmp(a->mirrors.v[i], "system") == 0)
			continue;
		add_uri(a->mirrors.v[i], &own);
		if (strv_has(&own, uri))
			return a->mirrors.v[i];
	}
	return "system";
}
