/* sudoers.c - the Defaults of sudoers(5), with includes and continued lines. */
#include "harden/kv.h"

#include "harden/lines.h"
#include <ctype.h>
#include <string.h>

enum { INCLUDE_DEPTH = 16, LINE_MAX_BYTES = 1 << 16 };

struct sudoers {
	int rootfd;
	struct kv_set *ret;
	struct strv *files; /* what was read; or NULL */
	unsigned depth;
};

static int read_one(struct sudoers *s, const char *path, struct err *e);

/* sudo leaves out names that hold a dot or end in '~'. */
static bool is_dropin(const char *path)
{
	const char *name = strrchr(path, '/') + 1;

	return strchr(name, '.') == NULL && name[strlen(name) - 1] != '~';
}

static int include_dir(struct sudoers *s, const char *dir, struct err *e)
{
	struct strv files SCOPED(strv_release) = {0};
	char *pattern SCOPED(mem_freep) = mem_format("%s/*", dir);

	if (root_glob(s->rootfd, pattern, &files, e) != 0)
		return -1;
	for (size_t i = 0; i < files.n; i++)
		if (is_dropin(files.v[i]) && read_one(s, files.v[i], e) != 0)
			return -1;
	return 0;
}

/* "@include FILE", "@includedir DIR" and the old form with '#'. Returns 1 when it was one. */
static int include(struct sudoers *s, const char *text, struct err *e)
{
	struct strv w SCOPED(strv_release) = {0};
	char *path SCOPED(mem_freep) = NULL;
	int rc;

	if (*text != '@' && *text != '#')
		return 0;
	line_words(text + 1, &w);
	if (w.n != 2 || (strcmp(w.v[0], "include") != 0 && strcmp(w.v[0], "includedir") != 0))
		return 0;
	path = w.v[1][0] == '/' ? mem_strdup(w.v[1] + 1) : mem_format("etc/%s", w.v[1]);
	rc = strcmp(w.v[0], "include") == 0 ? read_one(s, path, e) : include_dir(s, path, e);
	return rc == 0 ? 1 : -1;
}

/* One setting of a Defaults line: name, !name, name=value, name+=value. */
static void take(struct sudoers *s, char *text, bool scoped, const struct kv_entry *at)
{
	struct kv_entry en = {.line = at->line, .scoped = scoped, .file = mem_strdup(at->file)};
	bool negated = false;
	char *val;

	text = line_trim(text);
	while (*text == '!') {
		negated = !negated;
		text = text + 1 + strspn(text + 1, " \t");
	}
	val = text + strcspn(text, "=");
	en.val = mem_strdup(negated ? "!" : *val == '=' ? line_trim(val + 1) : "");
	en.key = mem_strndup(text, strcspn(text, "+-= \t"));
	if (en.val[0] == '"') {
		memmove(en.val, en.val + 1, strlen(en.val));
		en.val[strcspn(en.val, "\"")] = '\0';
	}
	kv_take(s->ret, &en);
}

static void defaults(struct sudoers *s, char *text, const struct kv_entry *at)
{
	bool scoped = *text != ' ' && *text != '\t';

	/* the scope is one word: "Defaults:user", "Defaults@host", "Defaults!command" */
	text += strcspn(text, " \t");
	while (*text != '\0') {
		bool quoted = false;
		char *end = text;

		for (; *end != '\0' && (*end != ',' || quoted); end++)
			quoted = *end == '"' ? !quoted : quoted;
		if (*end == ',')
			*end++ = '\0';
		take(s, text, scoped, at);
		text = end;
	}
}

/* Joins a line with those that continue it; *i ends on the last. The caller owns it. */
static char *logical_line(const struct strv *lines, size_t *i)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(LINE_MAX_BYTES);

	for (;; (*i)++) {
		size_t n = strlen(lines->v[*i]);
		bool more = n > 0 && lines->v[*i][n - 1] == '\\' && *i + 1 < lines->n;

		buf_add(&b, lines->v[*i], more ? n - 1 : n);
		if (!more)
			return buf_take(&b);
	}
}

static int read_one(struct sudoers *s, const char *path, struct err *e)
{
	struct strv lines SCOPED(strv_release) = {0};

	if (++s->depth > INCLUDE_DEPTH)
		return err_set(e, ERR_FAIL, "/%s: included too deep", path);
	if (s->files != NULL && !strv_has(s->files, path))
		strv_add(s->files, path);
	if (lines_read(s->rootfd, path, &lines, NULL, e) != 0)
		return -1;
	for (size_t i = 0; i < lines.n; i++) {
		const struct kv_entry at = {.file = (char *)path, .line = i + 1};
		char *line SCOPED(mem_freep) = logical_line(&lines, &i);
		char *text = line_trim(line);
		int rc = include(s, text, e);

		if (rc < 0)
			return -1;
		if (rc == 0 && strncmp(text, "Defaults", 8) == 0 &&
		    !isalnum((unsigned char)text[8]))
			defaults(s, text + 8, &at);
	}
	s->depth--;
	return 0;
}

int sudoers_read(int rootfd, const struct kv_format *f, const char *path, struct kv_set *ret,
		 struct err *e)
{
	struct sudoers s = {.rootfd = rootfd, .ret = ret};

	(void)f;
	return read_one(&s, path, e);
}

int sudoers_files(int rootfd, const char *path, struct strv *ret, struct err *e)
{
	struct kv_set set SCOPED(kv_release) = {0};
	struct sudoers s = {.rootfd = rootfd, .ret = &set, .files = ret};

	return read_one(&s, path, e);
}
