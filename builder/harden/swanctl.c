#include "harden/swanctl.h"

#include "harden/lines.h"
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 32, SETTINGS_MAX = 100000, NAME_BYTES = 1 << 12 };

struct parse {
	const char *p;
	const char *file;
	size_t line;
	struct strv path; /* of the section */
	struct swanctl *ret;
};

static void parse_release(struct parse *p)
{
	strv_release(&p->path);
}

void swanctl_release(struct swanctl *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->v[i].section);
		free(s->v[i].key);
		free(s->v[i].val);
		free(s->v[i].file);
	}
	free(s->v);
	strv_release(&s->sections);
	*s = (struct swanctl){0};
}

static char *section_name(const struct strv *path)
{
	struct buf b SCOPED(buf_release) = BUF_INIT((size_t)DEPTH_MAX * NAME_BYTES);

	for (size_t i = 0; i < path->n; i++)
		buf_addf(&b, "%s%s", i == 0 ? "" : ".", path->v[i]);
	return buf_take(&b);
}

static int refuse(const struct parse *p, const char *what, struct err *e)
{
	return err_set(e, ERR_FAIL, "/%s:%zu: %s", p->file, p->line, what);
}

/* Blanks, line ends and comments. */
static void skip(struct parse *p)
{
	for (;;) {
		p->p += strspn(p->p, " \t\r");
		if (*p->p == '#')
			p->p += strcspn(p->p, "\n");
		if (*p->p != '\n')
			return;
		p->p++;
		p->line++;
	}
}

static int add(struct parse *p, char *key, char *val, struct err *e)
{
	struct swanctl *s = p->ret;
	struct swanctl_setting one = {.key = key, .val = val, .line = p->line};

	if (s->n == SETTINGS_MAX) {
		free(key);
		free(val);
		return refuse(p, "too many settings", e);
	}
	one.section = section_name(&p->path);
	one.file = mem_strdup(p->file);
	if ((s->n & (s->n - 1)) == 0)
		s->v = mem_resize(s->v, s->n == 0 ? 1 : s->n * 2, sizeof(one));
	s->v[s->n++] = one;
	return 0;
}

/* The rest of a line as a value: to a comment, a brace or the end; quotes keep those. */
static char *take_value(struct parse *p)
{
	const char *s;
	size_t n;
	char *val, *trimmed;

	p->p += strspn(p->p, " \t");
	s = p->p;
	if (*s == '"') {
		n = strcspn(s + 1, "\"\n");
		p->p = s + 1 + n + (s[1 + n] == '"' ? 1 : 0);
		return mem_strndup(s + 1, n);
	}
	n = strcspn(s, "#\n}");
	p->p = s + n;
	val = mem_strndup(s, n);
	trimmed = mem_strdup(line_trim(val));
	free(val);
	return trimmed;
}

static int open_section(struct parse *p, const char *name, struct err *e)
{
	char *path SCOPED(mem_freep) = NULL;

	if (*name == '\0' || strlen(name) >= NAME_BYTES || p->path.n == DEPTH_MAX)
		return refuse(p, "a section without a name, or too deep", e);
	strv_add(&p->path, name);
	path = section_name(&p->path);
	if (p->ret->sections.n == SETTINGS_MAX)
		return refuse(p, "too many sections", e);
	strv_add(&p->ret->sections, path);
	return 0;
}

/* One section's head or one setting. */
static int statement(struct parse *p, struct err *e)
{
	size_t n = strcspn(p->p, "={}#\n");
	char *text SCOPED(mem_freep) = mem_strndup(p->p, n);
	const char *name = line_trim(text);

	p->p += n;
	if (strncmp(name, "include ", 8) == 0)
		return add(p, mem_strdup("include"), mem_strdup(name + 8), e);
	/* the brace may stand in the next line */
	if (*p->p == '\n' || *p->p == '#')
		skip(p);
	if (*p->p == '{') {
		p->p++;
		return open_section(p, name, e);
	}
	if (*p->p != '=' || *name == '\0')
		return refuse(p, "neither a section nor a setting", e);
	p->p++;
	return add(p, mem_strdup(name), take_value(p), e);
}

int swanctl_parse(const char *text, const char *file, struct swanctl *ret, struct err *e)
{
	struct parse p SCOPED(parse_release) = {.p = text, .file = file, .line = 1, .ret = ret};

	for (skip(&p); *p.p != '\0'; skip(&p)) {
		if (*p.p != '}') {
			if (statement(&p, e) != 0)
				return -1;
			continue;
		}
		if (p.path.n == 0)
			return refuse(&p, "a brace that closes nothing", e);
		free(p.path.v[--p.path.n]);
		p.path.v[p.path.n] = NULL;
		p.p++;
	}
	return p.path.n == 0 ? 0 : refuse(&p, "a brace that is not closed", e);
}

const struct swanctl_setting *swanctl_get(const struct swanctl *s, const char *section,
					  const char *key)
{
	for (size_t i = s->n; i-- > 0;)
		if (strcmp(s->v[i].section, section) == 0 && strcmp(s->v[i].key, key) == 0)
			return &s->v[i];
	return NULL;
}
