#include "form/kickstart.h"

#include "base/buf.h"
#include <stdlib.h>
#include <string.h>

static const char *const sections[] = {
    "%packages",  "%pre",      "%pre-install", "%post",        "%onerror",
    "%traceback", "%anaconda", "%addon",       "%certificate", NULL,
};

bool kickstart_section(const char *word, size_t n)
{
	for (const char *const *s = sections; *s != NULL; s++)
		if (strlen(*s) == n && memcmp(*s, word, n) == 0)
			return true;
	return false;
}

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\v' || c == '\f' || c == '\r';
}

/* The first word of a line. */
static size_t first_word(const char *p, size_t n, size_t *from)
{
	size_t i = 0, k;

	while (i < n && blank(p[i]))
		i++;
	for (k = i; k < n && !blank(p[k]); k++)
		continue;
	*from = i;
	return k - i;
}

static enum kickstart_kind kind_of(const char *p, size_t n, bool inside)
{
	size_t from, len = first_word(p, n, &from);

	/* inside a section only what begins a line has a meaning */
	if (len == 4 && memcmp(p + from, "%end", 4) == 0 && (from == 0 || !inside))
		return KICKSTART_END;
	if (kickstart_section(p + from, len) && (from == 0 || !inside))
		return KICKSTART_HEADER;
	if (inside)
		return KICKSTART_BODY;
	if (len == 0)
		return KICKSTART_BLANK;
	return p[from] == '#' ? KICKSTART_COMMENT : KICKSTART_COMMAND;
}

static int refuse(const char *file, size_t line, struct err *e, const char *what)
{
	return err_set(e, ERR_RECIPE, "%s:%zu:1: %s", file, line, what);
}

static int one_line(const char *p, size_t n, const char *file, struct kickstart *k, struct err *e)
{
	struct kickstart_line *l = &k->lines[k->n];
	const char *end = memchr(p + l->from, '\n', n - l->from);

	l->to = end != NULL ? (size_t)(end - p) : n;
	l->next = l->to + (end != NULL);
	if (l->to > l->from && p[l->to - 1] == '\r') {
		l->crlf = true;
		l->to--;
	}
	if (l->to - l->from > KICKSTART_LINE) {
		(void)refuse(file, k->n + 1, e, "the line is longer than 64 KiB");
		return err_hint(e, "Is this a kickstart? Break the line.");
	}
	if (memchr(p + l->from, '\0', l->to - l->from) != NULL) {
		(void)refuse(file, k->n + 1, e, "a zero byte: this is no text");
		return err_hint(e, "Name the kickstart itself, not an archive or an image of it.");
	}
	return 0;
}

int kickstart_read(const char *p, size_t n, const char *file, struct kickstart *ret, struct err *e)
{
	struct kickstart k = {0};
	size_t cap = 0, at, header = 0;
	bool inside = false;

	if (n > KICKSTART_BYTES)
		return refuse(file, 1, e, "the file is larger than 4 MiB");
	if (n >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
		k.bom = 3;
	for (at = k.bom; at < n; at = k.lines[k.n++].next) {
		struct kickstart_line *l;

		if (k.n == cap)
			k.lines = mem_resize(k.lines, cap = cap ? cap * 2 : 64, sizeof(*l));
		l = &k.lines[k.n];
		*l = (struct kickstart_line){.from = at};
		if (k.n == KICKSTART_LINES || one_line(p, n, file, &k, e) != 0) {
			int rc = k.n == KICKSTART_LINES
				     ? refuse(file, k.n, e, "more than 100000 lines")
				     : -1;

			kickstart_release(&k);
			return rc;
		}
		l->kind = kind_of(p + at, l->to - at, inside);
		if (l->kind == KICKSTART_HEADER)
			header = k.n;
		l->header = header;
		inside = l->kind == KICKSTART_HEADER || l->kind == KICKSTART_BODY;
	}
	*ret = k;
	return 0;
}

void kickstart_release(struct kickstart *k)
{
	free(k->lines);
	*k = (struct kickstart){0};
}

struct words {
	const char *p;
	size_t n, at;
	struct buf word;
};

/* Copies to the closing quote; false when there is none. */
static bool quoted(struct words *w, char quote)
{
	for (w->at++; w->at < w->n && w->p[w->at] != quote; w->at++) {
		if (quote == '"' && w->p[w->at] == '\\' && w->at + 1 < w->n &&
		    strchr("\"\\", w->p[w->at + 1]) != NULL)
			w->at++;
		buf_add(&w->word, w->p + w->at, 1);
	}
	if (w->at == w->n)
		return false;
	w->at++;
	return true;
}

static bool one_word(struct words *w)
{
	bool closed = true;

	while (w->at < w->n && !blank(w->p[w->at]) && w->p[w->at] != '#') {
		char c = w->p[w->at];

		if (c == '\'' || c == '"') {
			closed &= quoted(w, c);
			continue;
		}
		if (c == '\\' && w->at + 1 < w->n)
			w->at++;
		buf_add(&w->word, w->p + w->at++, 1);
	}
	return closed;
}

bool kickstart_words(const char *p, size_t n, struct strv *ret)
{
	struct words w = {.p = p, .n = n, .word = BUF_INIT(n + 1)};
	bool closed = true;

	for (;;) {
		while (w.at < n && blank(p[w.at]))
			w.at++;
		if (w.at == n || p[w.at] == '#')
			break;
		closed &= one_word(&w);
		strv_take(ret, buf_take(&w.word));
	}
	buf_release(&w.word);
	return closed;
}
