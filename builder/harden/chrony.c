#include "harden/chrony.h"

#include "harden/lines.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { INCLUDE_DEPTH = 10, CHRONY_MAX = 100000 };

/* What is being read: how deep, and what may stand there. */
struct reader {
	int rootfd;
	struct chrony *ret;
	unsigned depth;
	bool sources_only; /* below sourcedir other directives do nothing */
};

void chrony_line_release(struct chrony_line *l)
{
	free(l->word);
	free(l->value);
	free(l->file);
}

void chrony_release(struct chrony *c)
{
	for (size_t i = 0; i < c->n; i++)
		chrony_line_release(&c->v[i]);
	free(c->v);
	*c = (struct chrony){0};
}

bool chrony_is_source(const struct chrony_line *l)
{
	return strcmp(l->word, "server") == 0 || strcmp(l->word, "pool") == 0 ||
	       strcmp(l->word, "peer") == 0;
}

bool chrony_parse(const char *text, struct chrony_line *ret)
{
	size_t n, m;

	text += strspn(text, " \t");
	if (*text == '\0' || strchr("#%;!", *text) != NULL)
		return false;
	n = strcspn(text, " \t");
	ret->word = mem_strndup(text, n);
	for (char *p = ret->word; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	text += n + strspn(text + n, " \t");
	m = strcspn(text, " \t");
	ret->value = mem_strndup(text, m);
	return true;
}

static int read_files(struct reader *r, const char *pattern, bool sources, struct err *e);

static int read_dir(struct reader *r, const char *dir, bool sources, struct err *e)
{
	char *pattern SCOPED(mem_freep) = mem_format("%s/*.%s", dir, sources ? "sources" : "conf");

	return read_files(r, pattern, sources, e);
}

/* What the directive has chronyd read in its place. */
static int follow(struct reader *r, const struct chrony_line *l, const char *text, struct err *e)
{
	struct strv w SCOPED(strv_release) = {0};

	line_words(text, &w);
	if (strcmp(l->word, "include") == 0)
		return read_files(r, l->value, r->sources_only, e);
	/* several directories: the same name in a later one is hidden, which changes nothing here:
	   what might be read is judged too */
	for (size_t i = 1; i < w.n; i++)
		if (read_dir(r, w.v[i], strcmp(l->word, "sourcedir") == 0, e) != 0)
			return -1;
	return 0;
}

static int take(struct reader *r, struct chrony_line *l, struct err *e)
{
	struct chrony *c = r->ret;

	if (c->n == CHRONY_MAX)
		return err_set(e, ERR_FAIL, "/%s: more than %d lines", l->file, CHRONY_MAX);
	if ((c->n & (c->n - 1)) == 0)
		c->v = mem_resize(c->v, c->n == 0 ? 1 : c->n * 2, sizeof(*l));
	c->v[c->n++] = *l;
	*l = (struct chrony_line){0};
	return 0;
}

static bool is_include(const char *word)
{
	return strcmp(word, "include") == 0 || strcmp(word, "confdir") == 0 ||
	       strcmp(word, "sourcedir") == 0;
}

static int read_one(struct reader *r, const char *path, struct err *e)
{
	struct strv lines SCOPED(strv_release) = {0};

	if (lines_read(r->rootfd, path, &lines, NULL, e) != 0)
		return -1;
	for (size_t i = 0; i < lines.n; i++) {
		struct chrony_line l SCOPED(chrony_line_release) = {0};
		int rc = 0;

		if (!chrony_parse(lines.v[i], &l))
			continue;
		l.file = mem_strdup(path);
		l.line = i + 1;
		if (is_include(l.word))
			rc = follow(r, &l, lines.v[i], e);
		else if (!r->sources_only || chrony_is_source(&l))
			rc = take(r, &l, e);
		if (rc != 0)
			return -1;
	}
	return 0;
}

static int read_files(struct reader *r, const char *pattern, bool sources, struct err *e)
{
	struct strv files SCOPED(strv_release) = {0};
	bool before = r->sources_only;
	int rc = 0;

	if (++r->depth > INCLUDE_DEPTH)
		return err_set(e, ERR_FAIL, "%s: includes deeper than %d", pattern, INCLUDE_DEPTH);
	if (root_glob(r->rootfd, pattern + strspn(pattern, "/"), &files, e) != 0)
		return -1;
	r->sources_only = sources;
	for (size_t i = 0; i < files.n && rc == 0; i++)
		rc = read_one(r, files.v[i], e);
	r->sources_only = before;
	r->depth--;
	return rc;
}

int chrony_read(int rootfd, const char *main, struct chrony *ret, struct err *e)
{
	struct reader r = {.rootfd = rootfd, .ret = ret};

	return read_files(&r, main, false, e);
}
