#include "form/deb822.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static size_t line_len(const char *p, size_t n)
{
	const char *nl = memchr(p, '\n', n);

	return nl == NULL ? n : (size_t)(nl - p) + 1;
}

static bool blank(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != ' ' && p[i] != '\t' && p[i] != '\n' && p[i] != '\r')
			return false;
	return true;
}

static void skip(struct deb822 *t, size_t n)
{
	t->p += n;
	t->n -= n;
}

int deb822_next(struct deb822 *text, struct deb822 *ret)
{
	struct deb822 s;

	while (text->n > 0) {
		size_t n = line_len(text->p, text->n);

		if (!blank(text->p, n) && text->p[0] != '#')
			break;
		skip(text, n);
	}
	if (text->n == 0)
		return 0;
	s = (struct deb822){text->p, 0};
	while (text->n > 0) {
		size_t n = line_len(text->p, text->n);

		if (blank(text->p, n))
			break;
		s.n += n;
		skip(text, n);
	}
	*ret = s;
	return 1;
}

static void trim(const char **p, size_t *n)
{
	while (*n > 0 && blank(*p, 1)) {
		(*p)++;
		(*n)--;
	}
	while (*n > 0 && blank(*p + *n - 1, 1))
		(*n)--;
}

/* Copies a value and its continuation lines, each trimmed. */
static char *gather(struct deb822 rest, size_t first)
{
	char *out = mem_zalloc(rest.n + 1);
	size_t o = 0;

	for (bool more = true; more;) {
		const char *p = rest.p;
		size_t n = first;

		trim(&p, &n);
		memcpy(out + o, p, n);
		o += n;
		skip(&rest, first);
		more = rest.n > 0 && (rest.p[0] == ' ' || rest.p[0] == '\t');
		if (more) {
			out[o++] = '\n';
			first = line_len(rest.p, rest.n);
		}
	}
	return out;
}

char *deb822_field(const struct deb822 *stanza, const char *name)
{
	struct deb822 t = *stanza;
	size_t want = strlen(name);

	while (t.n > 0) {
		size_t n = line_len(t.p, t.n);

		if (n > want && t.p[want] == ':' && strncasecmp(t.p, name, want) == 0) {
			skip(&t, want + 1);
			return gather(t, n - want - 1);
		}
		skip(&t, n);
	}
	return NULL;
}
