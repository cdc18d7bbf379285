#include "package/set.h"

#include <stdlib.h>
#include <string.h>

static void package_release(struct set_package *p)
{
	free(p->lock.name);
	free(p->lock.version);
	free(p->lock.arch);
	free(p->lock.source);
	free(p->lock.repository);
	free(p->lock.path);
	free(p->pre_depends);
	free(p->depends);
	free(p->provides);
}

void set_release(struct set *s)
{
	for (size_t i = 0; i < s->n; i++)
		package_release(&s->v[i]);
	free(s->v);
	map_release(&s->names, NULL);
	*s = (struct set){0};
}

struct set_package *set_find(const struct set *s, const char *name)
{
	return map_get(&s->names, name);
}

/* The n-th blank-separated word of a line, without leading "(" and "[" and trailing ")" and "]". */
static char *word(const char *line, size_t len, unsigned n)
{
	size_t at = 0;

	for (;; n--) {
		size_t w;

		while (at < len && line[at] == ' ')
			at++;
		for (w = 0; at + w < len && line[at + w] != ' '; w++)
			;
		if (n > 0 && w > 0) {
			at += w;
			continue;
		}
		while (w > 0 && (line[at] == '(' || line[at] == '[')) {
			at++;
			w--;
		}
		while (w > 0 && (line[at + w - 1] == ')' || line[at + w - 1] == ']'))
			w--;
		return mem_strndup(line + at, w);
	}
}

/* The architecture is the last "[...]" inside the parentheses: "(1.2 Debian:12/stable [amd64])". */
static char *arch_word(const char *line, size_t len)
{
	for (size_t i = len; i > 1; i--)
		if (line[i - 1] == ')' && line[i - 2] == ']') {
			size_t end = i - 2, at = end;

			while (at > 0 && line[at - 1] != '[')
				at--;
			return mem_strndup(line + at, end - at);
		}
	return mem_strdup("");
}

static int add_inst(struct set *s, const char *line, size_t len, struct err *e)
{
	struct set_package p = {0};
	char *colon;

	p.lock.name = word(line, len, 1);
	p.lock.version = word(line, len, 2);
	p.lock.arch = arch_word(line, len);
	colon = strchr(p.lock.name, ':');
	if (colon != NULL)
		*colon = '\0';
	if (p.lock.name[0] == '\0' || p.lock.version[0] == '\0' || p.lock.arch[0] == '\0') {
		package_release(&p);
		return err_set(e, ERR_FAIL, "apt's plan has the line \"%.*s\"", (int)len, line);
	}
	if (s->n == s->cap) {
		s->cap = s->cap != 0 ? s->cap * 2 : 64;
		s->v = mem_resize(s->v, s->cap, sizeof(*s->v));
	}
	s->v[s->n++] = p;
	return 0;
}

/* Once all are read and the array moves no more. */
static int index_names(struct set *s, struct err *e)
{
	for (size_t i = 0; i < s->n; i++) {
		if (map_put(&s->names, s->v[i].lock.name, &s->v[i]) != NULL)
			return err_set(e, ERR_RECIPE, "%s for more than one architecture",
				       s->v[i].lock.name);
	}
	return 0;
}

static int for_lines(const char *text, const char *start, struct set *s,
		     int (*fn)(struct set *s, const char *line, size_t len, struct err *e),
		     struct err *e)
{
	for (const char *p = text; *p != '\0'; p += strcspn(p, "\n"), p += *p == '\n')
		if (strncmp(p, start, strlen(start)) == 0 && fn(s, p, strcspn(p, "\n"), e) != 0)
			return -1;
	return 0;
}

static int add_conf(struct set *s, const char *line, size_t len, struct err *e)
{
	char *name SCOPED(mem_freep) = word(line, len, 1);
	struct set_package *p;

	name[strcspn(name, ":")] = '\0';
	p = set_find(s, name);
	if (p == NULL)
		return err_set(e, ERR_FAIL, "apt's plan configures %s, which it does not unpack",
			       name);
	p->configured = s->configured++;
	return 0;
}

static int refuse_remv(struct set *s UNUSED, const char *line, size_t len, struct err *e)
{
	return err_set(e, ERR_FAIL, "apt's plan has the line \"%.*s\"", (int)len, line);
}

int set_parse_plan(const char *text, struct set *ret, struct err *e)
{
	struct set s SCOPED(set_release) = {0};

	if (for_lines(text, "Remv ", &s, refuse_remv, e) != 0 ||
	    for_lines(text, "Inst ", &s, add_inst, e) != 0 || index_names(&s, e) != 0 ||
	    for_lines(text, "Conf ", &s, add_conf, e) != 0)
		return -1;
	if (s.n == 0)
		return err_set(e, ERR_FAIL, "apt's plan installs nothing");
	*ret = s;
	s = (struct set){0};
	return 0;
}
