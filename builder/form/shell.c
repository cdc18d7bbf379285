#include "form/shell.h"

#include "base/buf.h"
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 32, PENDING_MAX = 16 };

struct pending {
	char *marker;
	bool quoted, tabs;
	unsigned line;
};

struct scan {
	const char *p;
	size_t n, at;
	unsigned line, depth;
	struct shell *out;
	struct pending pending[PENDING_MAX];
	size_t pending_n;
};

/* Makes room for one more of n items. */
static void *grow(void *v, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return v;
	*cap = *cap ? *cap * 2 : 8;
	return mem_resize(v, *cap, size);
}

static int peek(const struct scan *s, size_t ahead)
{
	return s->at + ahead < s->n ? (unsigned char)s->p[s->at + ahead] : -1;
}

static int take(struct scan *s)
{
	int c = peek(s, 0);

	if (c == '\n')
		s->line++;
	if (c >= 0)
		s->at++;
	return c;
}

static bool is_name(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_';
}

/* ---- here-documents */

/* Whether the n bytes open a here-document with this marker. */
static bool opens(const char *p, size_t n, const char *marker)
{
	size_t m = strlen(marker);

	for (size_t i = 0; i + 2 + m <= n; i++) {
		size_t k = i + 2;

		if (p[i] != '<' || p[i + 1] != '<')
			continue;
		while (k < n && strchr("- \t'\"\\", p[k]) != NULL)
			k++;
		if (k + m <= n && memcmp(p + k, marker, m) == 0 &&
		    (k + m == n || !is_name((unsigned char)p[k + m])))
			return true;
	}
	return false;
}

static bool has_expansion(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] == '\\')
			i++;
		else if (p[i] == '`')
			return true;
		else if (p[i] == '$' && i + 1 < n &&
			 (is_name((unsigned char)p[i + 1]) || strchr("{(@*#?", p[i + 1]) != NULL))
			return true;
	}
	return false;
}

/* Whether the line is the closing marker; a carriage return before its end does not count. */
static bool closes(const char *p, size_t n, const struct pending *h)
{
	while (h->tabs && n > 0 && *p == '\t') {
		p++;
		n--;
	}
	if (n > 0 && p[n - 1] == '\r')
		n--;
	return n == strlen(h->marker) && memcmp(p, h->marker, n) == 0;
}

static void body(struct scan *s, const struct pending *from)
{
	struct shell *o = s->out;
	struct shell_heredoc h = {.quoted = from->quoted, .tabs = from->tabs, .line = from->line};

	h.marker = from->marker;
	h.from = s->at;
	h.body = h.last = s->line;
	while (s->at < s->n && !h.closed) {
		const char *p = s->p + s->at, *end = memchr(p, '\n', s->n - s->at);
		size_t len = end != NULL ? (size_t)(end - p) : s->n - s->at;

		h.to = s->at;
		h.last = s->line;
		h.closed = closes(p, len, from);
		if (!h.closed) {
			h.to = s->at + len + (end != NULL);
			if (h.nested == 0 && opens(p, len, h.marker))
				h.nested = s->line;
			if (h.expands == 0 && !h.quoted && has_expansion(p, len))
				h.expands = s->line;
		}
		s->at += len + (end != NULL);
		s->line += end != NULL;
	}
	if (h.to < h.from)
		h.to = h.from;
	o->heredocs = grow(o->heredocs, o->heredocs_n, &o->heredocs_cap, sizeof(*o->heredocs));
	o->heredocs[o->heredocs_n++] = h;
}

/* After a line end: the bodies of what the line opened. */
static void bodies(struct scan *s)
{
	for (size_t i = 0; i < s->pending_n; i++)
		body(s, &s->pending[i]);
	s->pending_n = 0;
}

/* ---- words */

static void commands(struct scan *s, int stop);

struct word {
	struct buf text;
	bool any, quoted, expands;
	unsigned line;
};

static void substitution(struct scan *s, struct word *w, int stop)
{
	size_t from = s->at;

	w->expands = true;
	if (s->depth < DEPTH_MAX) {
		s->depth++;
		commands(s, stop);
		s->depth--;
	}
	if (peek(s, 0) == stop)
		take(s);
	buf_add(&w->text, s->p + from, s->at - from);
}

/* Copies up to and with the end text; nothing in between means anything. */
static void raw(struct scan *s, struct word *w, const char *end)
{
	size_t n = strlen(end);

	while (s->at < s->n && (s->n - s->at < n || memcmp(s->p + s->at, end, n) != 0)) {
		char c = (char)take(s);

		buf_add(&w->text, &c, 1);
	}
	for (size_t i = 0; i < n && s->at < s->n; i++)
		take(s);
}

static void dollar(struct scan *s, struct word *w)
{
	take(s);
	buf_add(&w->text, "$", 1);
	if (peek(s, 0) == '(' && peek(s, 1) == '(') {
		w->expands = true;
		raw(s, w, "))");
	} else if (peek(s, 0) == '(') {
		take(s);
		buf_add(&w->text, "(", 1);
		substitution(s, w, ')');
	} else if (peek(s, 0) == '{') {
		w->expands = true;
		raw(s, w, "}");
		buf_add(&w->text, "}", 1);
	} else if (is_name(peek(s, 0)) || (peek(s, 0) > 0 && strchr("@*#?!$", peek(s, 0)))) {
		w->expands = true;
	}
}

static void double_quoted(struct scan *s, struct word *w)
{
	take(s);
	while (s->at < s->n && peek(s, 0) != '"') {
		char c;

		if (peek(s, 0) == '$') {
			dollar(s, w);
			continue;
		}
		c = (char)take(s);
		if (c == '`') {
			substitution(s, w, '`');
			continue;
		}
		if (c == '\\' && peek(s, 0) > 0 && strchr("\"\\$`\n", peek(s, 0)) != NULL)
			c = (char)take(s);
		if (c != '\n')
			buf_add(&w->text, &c, 1);
		else
			buf_add(&w->text, " ", 1);
	}
	take(s);
}

static bool one_part(struct scan *s, struct word *w)
{
	int c = peek(s, 0);
	char plain;

	if (c < 0 || strchr(" \t\r\n;&|<>()", c) != NULL)
		return false;
	if (c == '\'' || c == '"')
		w->quoted |= !w->any;
	w->any = true;
	if (c == '\'') {
		take(s);
		raw(s, w, "'");
		return true;
	}
	if (c == '"' || c == '$') {
		(c == '"' ? double_quoted : dollar)(s, w);
		return true;
	}
	take(s);
	if (c == '`') {
		substitution(s, w, '`');
		return true;
	}
	if (c == '\\') {
		c = take(s);
		if (c == '\n' || c < 0)
			return true;
	}
	plain = (char)c;
	buf_add(&w->text, &plain, 1);
	return true;
}

/* Reads one word; stop ends it too where it is a backquote. */
static bool word(struct scan *s, int stop, struct shell_word *ret)
{
	struct word w = {.text = BUF_INIT(s->n + 16), .line = s->line};

	while (s->at < s->n && (stop != '`' || peek(s, 0) != '`') && one_part(s, &w))
		continue;
	if (!w.any) {
		buf_release(&w.text);
		return false;
	}
	*ret = (struct shell_word){buf_take(&w.text), w.line, w.quoted, w.expands};
	return true;
}

static void add_word(struct shell_words *l, struct shell_word w)
{
	l->v = grow(l->v, l->n, &l->cap, sizeof(*l->v));
	l->v[l->n++] = w;
}

static void words_release(struct shell_words *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i].text);
	free(l->v);
}

/* ---- commands */

static void blanks(struct scan *s)
{
	for (;; take(s)) {
		int c = peek(s, 0);

		if (c == '\\' && (peek(s, 1) == '\n' || (peek(s, 1) == '\r' && peek(s, 2) == '\n')))
			take(s);
		else if (c != ' ' && c != '\t' && c != '\r' && c != '\f' && c != '\v')
			return;
		if (c == '\\' && peek(s, 0) == '\r')
			take(s);
	}
}

static void comment(struct scan *s)
{
	struct shell *o = s->out;
	unsigned line = s->line;
	bool backslash = false;
	size_t ahead;

	for (int c = peek(s, 0); c >= 0 && c != '\n'; c = peek(s, 0))
		if (take(s) != '\r')
			backslash = c == '\\';
	if (!backslash)
		return;
	for (ahead = 1; peek(s, ahead) == ' ' || peek(s, ahead) == '\t'; ahead++)
		continue;
	if (peek(s, ahead) < 0 || strchr("#\r\n", peek(s, ahead)) != NULL)
		return;
	o->continued = grow(o->continued, o->continued_n, &o->continued_cap, sizeof(*o->continued));
	o->continued[o->continued_n++] = line;
}

static void redirection(struct scan *s, int stop, struct shell_command *c)
{
	bool here = peek(s, 0) == '<' && peek(s, 1) == '<' && peek(s, 2) != '<';
	bool tabs = here && peek(s, 2) == '-', bare;
	struct shell_word w;

	/* a number in front of it is which descriptor */
	while (peek(s, 0) > 0 && strchr("<>&|-", peek(s, 0)) != NULL)
		take(s);
	blanks(s);
	bare = peek(s, 0) != '\'' && peek(s, 0) != '"' && peek(s, 0) != '\\';
	if (!word(s, stop, &w))
		return;
	if (!here) {
		add_word(&c->files, w);
	} else if (s->pending_n < PENDING_MAX && w.text[0] != '\0') {
		s->pending[s->pending_n++] = (struct pending){w.text, !bare, tabs, w.line};
	} else {
		free(w.text);
	}
}

static bool all_digits(const char *t)
{
	return t[0] != '\0' && t[strspn(t, "0123456789")] == '\0';
}

static bool reserved(const char *t)
{
	static const char *const is[] = {"if",   "then", "else",   "elif", "fi",       "do",
					 "done", "case", "esac",   "for",  "while",    "until",
					 "{",    "}",    "select", "!",    "function", "[["};

	for (size_t i = 0; i < sizeof(is) / sizeof(is[0]); i++)
		if (strcmp(t, is[i]) == 0)
			return true;
	return false;
}

/* Words before which a command may stand: they are dropped, so that it is seen. */
static bool prefix(const char *t)
{
	return reserved(t) && strcmp(t, "for") != 0 && strcmp(t, "case") != 0 &&
	       strcmp(t, "[[") != 0 && strcmp(t, "select") != 0;
}

static void one_word(struct scan *s, int stop, struct shell_command *c)
{
	size_t at = s->at;
	struct shell_word w;

	if (!word(s, stop, &w)) {
		if (s->at == at)
			take(s);
		return;
	}
	if (peek(s, 0) > 0 && strchr("<>", peek(s, 0)) != NULL && all_digits(w.text)) {
		free(w.text);
		return;
	}
	if (c->words.n == 0 && !w.quoted && reserved(w.text)) {
		s->out->compound = true;
		if (prefix(w.text)) {
			free(w.text);
			return;
		}
	}
	if (c->words.n == 0)
		c->line = w.line;
	add_word(&c->words, w);
}

static enum shell_end operator_end(struct scan *s)
{
	int c = take(s);

	if (c == '\n' || c == ';') {
		while (c == ';' && peek(s, 0) == ';')
			take(s);
		return SHELL_LINE;
	}
	if (c == '&' && peek(s, 0) == '&') {
		take(s);
		return SHELL_AND;
	}
	if (c == '|' && peek(s, 0) == '|') {
		take(s);
		return SHELL_OR;
	}
	return c == '&' ? SHELL_BACKGROUND : SHELL_PIPE;
}

static void finish(struct scan *s, struct shell_command *c)
{
	struct shell *o = s->out;

	if (c->words.n == 0 && c->files.n == 0)
		return;
	c->depth = s->depth;
	o->commands = grow(o->commands, o->commands_n, &o->commands_cap, sizeof(*o->commands));
	o->commands[o->commands_n++] = *c;
	*c = (struct shell_command){0};
}

/* A parenthesis at the place of a command: a group, or a stray one, as after a pattern of `case`.
 */
static void parenthesis(struct scan *s, struct shell_command *c)
{
	struct word skipped = {.text = BUF_INIT(s->n + 16)};

	s->out->compound = true;
	if (peek(s, 0) == '(' && peek(s, 1) == '(' && c->words.n == 0) {
		raw(s, &skipped, "))");
		buf_release(&skipped.text);
		return;
	}
	c->to = s->at;
	take(s);
	c->next = s->at;
	finish(s, c);
}

/* Ends what is being read at an operator. */
static void at_operator(struct scan *s, struct shell_command *c)
{
	bool newline = peek(s, 0) == '\n';

	c->to = s->at;
	c->end = operator_end(s);
	c->next = s->at;
	finish(s, c);
	if (newline)
		bodies(s);
}

/* One step of reading; false at the end. */
static bool step(struct scan *s, int stop, struct shell_command *c)
{
	int ch;

	blanks(s);
	ch = peek(s, 0);
	if (ch < 0 || (stop > 0 && ch == stop))
		return false;
	if (c->words.n == 0 && c->files.n == 0)
		c->from = s->at;
	if (ch == '#')
		comment(s);
	else if (ch == '&' && peek(s, 1) == '>')
		redirection(s, stop, c);
	else if (strchr("\n;&|", ch) != NULL)
		at_operator(s, c);
	else if (ch == '(' || ch == ')')
		parenthesis(s, c);
	else if (ch == '<' || ch == '>')
		redirection(s, stop, c);
	else
		one_word(s, stop, c);
	return true;
}

static void commands(struct scan *s, int stop)
{
	struct shell_command c = {0};

	while (step(s, stop, &c))
		continue;
	c.to = c.next = s->at;
	finish(s, &c);
}

void shell_read(const char *p, size_t n, struct shell *ret)
{
	struct scan s = {.p = p, .n = n, .line = 1, .out = ret};

	*ret = (struct shell){0};
	commands(&s, 0);
	/* opened on a last line without an end */
	bodies(&s);
}

void shell_release(struct shell *s)
{
	for (size_t i = 0; i < s->commands_n; i++) {
		words_release(&s->commands[i].words);
		words_release(&s->commands[i].files);
	}
	for (size_t i = 0; i < s->heredocs_n; i++)
		free(s->heredocs[i].marker);
	free(s->commands);
	free(s->heredocs);
	free(s->continued);
	*s = (struct shell){0};
}

const char *shell_arg(const struct shell_command *c, size_t i)
{
	return i < c->words.n ? c->words.v[i].text : "";
}
