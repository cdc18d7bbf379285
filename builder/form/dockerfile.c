#include "form/dockerfile.h"

#include "base/buf.h"
#include "form/json.h"
#include "form/shell.h"
#include <stdlib.h>
#include <string.h>

struct line {
	const char *p;
	size_t n;
};

struct scan {
	const char *p;
	size_t n, at;
	const char *file;
	unsigned line; /* that was read last, from 1 */
	char escape;
	struct dockerfile *out;
};

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

static struct line trim(struct line l)
{
	while (l.n > 0 && blank(*l.p)) {
		l.p++;
		l.n--;
	}
	while (l.n > 0 && blank(l.p[l.n - 1]))
		l.n--;
	return l;
}

static void note(unsigned **v, size_t *n, size_t *cap, unsigned line)
{
	if (*n == *cap)
		*v = mem_resize(*v, *cap = *cap ? *cap * 2 : 16, sizeof(**v));
	(*v)[(*n)++] = line;
}

/* Takes the next line, without its end; false at the end of the file. */
static bool next(struct scan *s, struct line *ret)
{
	const char *end;

	if (s->at >= s->n)
		return false;
	end = memchr(s->p + s->at, '\n', s->n - s->at);
	*ret = (struct line){s->p + s->at,
			     end != NULL ? (size_t)(end - (s->p + s->at)) : s->n - s->at};
	s->at += ret->n + (end != NULL);
	s->line++;
	if (ret->n > 0 && ret->p[ret->n - 1] == '\r')
		ret->n--;
	return true;
}

/* Comments and blank lines are noted and belong to nothing, also inside of an instruction. */
static bool is_nothing(struct scan *s, struct line l)
{
	struct dockerfile *d = s->out;

	l = trim(l);
	if (l.n == 0)
		note(&d->blanks, &d->blanks_n, &d->blanks_cap, s->line);
	else if (*l.p == '#')
		note(&d->comments, &d->comments_n, &d->comments_cap, s->line);
	return l.n == 0 || *l.p == '#';
}

/* "# key=value", which means something only before anything else. */
static bool directive(struct scan *s, struct line l)
{
	char *text SCOPED(mem_freep) = NULL, *key SCOPED(mem_freep) = NULL;
	const char *eq;
	struct line k, v;

	l = trim(l);
	if (l.n < 2 || *l.p != '#')
		return false;
	eq = memchr(l.p, '=', l.n);
	if (eq == NULL)
		return false;
	k = trim((struct line){l.p + 1, (size_t)(eq - l.p) - 1});
	v = trim((struct line){eq + 1, l.n - (size_t)(eq - l.p) - 1});
	key = mem_strndup(k.p, k.n);
	for (char *c = key; *c != '\0'; c++)
		*c = (char)(*c >= 'A' && *c <= 'Z' ? *c + 32 : *c);
	if (strcmp(key, "escape") != 0 && strcmp(key, "syntax") != 0 && strcmp(key, "check") != 0)
		return false;
	text = mem_strndup(v.p, v.n);
	strv_addf(&s->out->directives, "%s=%s", key, text);
	if (strcmp(key, "escape") == 0 && (strcmp(text, "`") == 0 || strcmp(text, "\\") == 0))
		s->escape = text[0];
	return true;
}

/* Whether the line goes on: cut to before the escape character then. */
static bool goes_on(const struct scan *s, struct line *l)
{
	size_t n = l->n;

	while (n > 0 && blank(l->p[n - 1]))
		n--;
	if (n == 0 || l->p[n - 1] != s->escape)
		return false;
	l->n = n - 1;
	return true;
}

/* Joins the instruction that begins with l: in one line, and as a shell would be given it. */
static void join(struct scan *s, struct line l, struct buf *rest, struct buf *text)
{
	struct dockerfile_instruction *i = &s->out->v[s->out->n - 1];
	bool more = goes_on(s, &l);

	note(&i->lines, &i->lines_n, &i->lines_cap, s->line);
	buf_add(rest, l.p, l.n);
	buf_add(text, l.p, l.n);
	while (more && next(s, &l)) {
		if (is_nothing(s, l))
			continue;
		more = goes_on(s, &l);
		buf_add(rest, l.p, l.n);
		buf_add(text, "\\\n", 2);
		buf_add(text, l.p, l.n);
		note(&i->lines, &i->lines_n, &i->lines_cap, s->line);
	}
}

/* Bytes of the first word and the blanks behind it. */
static size_t word_end(const char *p, size_t *len)
{
	size_t n = 0;

	while (p[n] != '\0' && !blank(p[n]) && p[n] != '\n')
		n++;
	*len = n;
	/* a continuation straight after the word belongs to the gap */
	for (;;) {
		if (blank(p[n]) || p[n] == '\n')
			n++;
		else if (p[n] == '\\' && p[n + 1] == '\n')
			n += 2;
		else
			return n;
	}
}

/* Cuts name and flags off both texts. */
static void take_words(struct dockerfile_instruction *i, struct buf *rest, struct buf *text)
{
	size_t len, from = word_end(rest->data, &len), skip;

	i->name = mem_strndup(rest->data, len);
	for (char *c = i->name; *c != '\0'; c++)
		*c = (char)(*c >= 'a' && *c <= 'z' ? *c - 32 : *c);
	skip = word_end(text->data, &len);
	while (strncmp(rest->data + from, "--", 2) == 0 && rest->data[from + 2] != ' ') {
		size_t more = word_end(rest->data + from, &len);

		strv_take(&i->flags, mem_strndup(rest->data + from, len));
		from += more;
		skip += word_end(text->data + skip, &len);
	}
	i->rest = mem_strdup(rest->data + from);
	i->text = mem_strdup(text->data + skip);
}

/* Quotes of print, which a word processor makes of plain ones. */
static char *plain_quotes(const char *s)
{
	static const char *const marks[] = {"\xe2\x80\x9c", "\xe2\x80\x9d", "\xe2\x80\x9e",
					    "\xe2\x80\xb3", "\xc2\xab",     "\xc2\xbb",
					    "\xe2\x80\x98", "\xe2\x80\x99", NULL};
	struct buf b SCOPED(buf_release) = BUF_INIT(DOCKERFILE_BYTES);

	while (*s != '\0') {
		const char *const *m = marks;

		while (*m != NULL && strncmp(s, *m, strlen(*m)) != 0)
			m++;
		buf_add(&b, *m != NULL ? "\"" : s, 1);
		s += *m != NULL ? strlen(*m) : 1;
	}
	return buf_take(&b);
}

static bool words_of(const char *json, struct strv *ret)
{
	struct jval *v SCOPED(jval_freep) = NULL;
	struct err quiet = ERR_INIT;

	if (jval_parse(json, strlen(json), "exec", &v, &quiet) != 0 || !jval_is_array(v))
		return false;
	for (size_t i = 0; i < jval_len(v); i++) {
		const char *s = jval_str(jval_at(v, i));

		if (s == NULL) {
			strv_release(ret);
			return false;
		}
		strv_add(ret, s);
	}
	return true;
}

static void read_form(struct dockerfile_instruction *i)
{
	char *plain SCOPED(mem_freep) = NULL;

	if (i->rest[0] != '[')
		return;
	if (words_of(i->rest, &i->exec)) {
		i->form = DOCKERFILE_EXEC;
		return;
	}
	plain = plain_quotes(i->rest);
	if (strcmp(plain, i->rest) != 0 && words_of(plain, &i->exec))
		i->form = DOCKERFILE_TYPOGRAPHIC;
}

static void read_body(struct scan *s, const struct shell_heredoc *h, struct dockerfile_heredoc *ret)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(DOCKERFILE_BYTES + 1);
	struct line l;

	*ret = (struct dockerfile_heredoc){
	    .marker = mem_strdup(h->marker), .quoted = h->quoted, .line = s->line + 1};
	while (!ret->closed && next(s, &l)) {
		while (h->tabs && l.n > 0 && *l.p == '\t') {
			l.p++;
			l.n--;
		}
		ret->closed = l.n == strlen(h->marker) && memcmp(l.p, h->marker, l.n) == 0;
		if (!ret->closed) {
			buf_add(&b, l.p, l.n);
			buf_add(&b, "\n", 1);
		}
	}
	ret->body = buf_take(&b);
}

static void read_heredocs(struct scan *s, struct dockerfile_instruction *i)
{
	struct shell sh SCOPED(shell_release) = {0};

	if (strcmp(i->name, "RUN") != 0 && strcmp(i->name, "COPY") != 0 &&
	    strcmp(i->name, "ADD") != 0)
		return;
	shell_read(i->rest, strlen(i->rest), &sh);
	i->heredocs = mem_zalloc((sh.heredocs_n + 1) * sizeof(*i->heredocs));
	for (size_t k = 0; k < sh.heredocs_n; k++)
		read_body(s, &sh.heredocs[k], &i->heredocs[i->heredocs_n++]);
}

static void instruction(struct scan *s, struct line l)
{
	struct buf rest SCOPED(buf_release) = BUF_INIT(DOCKERFILE_BYTES + 1);
	struct buf text SCOPED(buf_release) = BUF_INIT(2 * DOCKERFILE_BYTES);
	struct dockerfile *d = s->out;
	struct dockerfile_instruction *i;

	if (d->n == d->cap)
		d->v = mem_resize(d->v, d->cap = d->cap ? d->cap * 2 : 32, sizeof(*d->v));
	i = &d->v[d->n++];
	*i = (struct dockerfile_instruction){.line = s->line};
	join(s, trim(l), &rest, &text);
	while (rest.len > 0 && blank(rest.data[rest.len - 1]))
		buf_cut(&rest, rest.len - 1);
	while (text.len > 0 && blank(text.data[text.len - 1]))
		buf_cut(&text, text.len - 1);
	take_words(i, &rest, &text);
	read_form(i);
	if (i->form == DOCKERFILE_SHELL)
		read_heredocs(s, i);
	i->last = s->line;
}

static int check_lines(struct scan *s, struct err *e)
{
	unsigned line = 1;

	if (s->n > DOCKERFILE_BYTES)
		return err_set(e, ERR_RECIPE, "%s:1:1: the file is larger than 4 MiB", s->file);
	for (size_t at = 0; at < s->n; line++) {
		const char *end = memchr(s->p + at, '\n', s->n - at);
		size_t n = end != NULL ? (size_t)(end - (s->p + at)) : s->n - at;
		const char *what = n > DOCKERFILE_LINE ? "the line is longer than 64 KiB"
				   : memchr(s->p + at, '\0', n) != NULL
				       ? "a zero byte: this is no text"
				   : line > DOCKERFILE_LINES ? "more than 100000 lines"
							     : NULL;

		if (what != NULL) {
			(void)err_set(e, ERR_RECIPE, "%s:%u:1: %s", s->file, line, what);
			return err_hint(e, "Is this a Dockerfile?");
		}
		at += n + 1;
	}
	return 0;
}

int dockerfile_read(const char *p, size_t n, const char *file, struct dockerfile *ret,
		    struct err *e)
{
	struct dockerfile d = {0};
	struct scan s = {.p = p, .n = n, .file = file, .escape = '\\', .out = &d};
	bool directives = true;
	struct line l;

	if (check_lines(&s, e) != 0)
		return -1;
	if (n >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
		s.at = 3;
	while (next(&s, &l)) {
		directives = directives && directive(&s, l);
		if (!is_nothing(&s, l))
			instruction(&s, l);
	}
	d.lines = s.line;
	*ret = d;
	return 0;
}

static void instruction_release(struct dockerfile_instruction *i)
{
	for (size_t k = 0; k < i->heredocs_n; k++) {
		free(i->heredocs[k].marker);
		free(i->heredocs[k].body);
	}
	free(i->heredocs);
	free(i->name);
	free(i->rest);
	free(i->text);
	free(i->lines);
	strv_release(&i->flags);
	strv_release(&i->exec);
}

void dockerfile_release(struct dockerfile *d)
{
	for (size_t i = 0; i < d->n; i++)
		instruction_release(&d->v[i]);
	free(d->v);
	free(d->comments);
	free(d->blanks);
	strv_release(&d->directives);
	*d = (struct dockerfile){0};
}
