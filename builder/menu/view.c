/* view.c - what an action says, as lines to scroll through. */
#include "menu/parts.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TAIL_MAX = 256 << 10, TITLE_MAX = 400 };

struct view {
	struct detached *d;
	const char *title;
	struct strv lines;
	off_t size;   /* of what was read */
	int columns;  /* it was broken at */
	size_t top;   /* the first line that is shown */
	bool follow;  /* the end, as it comes */
	bool refused; /* to leave what still works */
};

static void view_release(struct view *v)
{
	strv_release(&v->lines);
}

static size_t page(void)
{
	return term_rows() > 2 ? (size_t)term_rows() - 2 : 1;
}

/* Breaks a text into lines that fit. */
static void break_lines(struct view *v, const char *p, size_t n)
{
	size_t columns = v->columns > 0 ? (size_t)v->columns : 1;

	strv_release(&v->lines);
	while (n > 0) {
		const char *end = memchr(p, '\n', n);
		size_t len = end != NULL ? (size_t)(end - p) : n, at = 0;

		do {
			struct buf b SCOPED(buf_release) = BUF_INIT(1 << 16);

			at += line_fit(p + at, len - at, columns, &b);
			strv_add(&v->lines, b.data);
		} while (at < len);
		p += len + (end != NULL ? 1 : 0);
		n -= len + (end != NULL ? 1 : 0);
	}
}

/* Reads what was said since, its end when it is long; all of it again when the width is another. */
static void read_more(struct view *v)
{
	struct stat st;
	char *text SCOPED(mem_freep) = NULL;
	off_t from;
	ssize_t n;

	if (fstat(v->d->out, &st) != 0 || (st.st_size == v->size && v->columns == term_columns()))
		return;
	v->size = st.st_size;
	v->columns = term_columns();
	from = st.st_size > TAIL_MAX ? st.st_size - TAIL_MAX : 0;
	text = mem_zalloc(TAIL_MAX + 1);
	n = pread(v->d->out, text, TAIL_MAX, from);
	if (n < 0)
		return;
	break_lines(v, text, (size_t)n);
}

static size_t last_top(const struct view *v)
{
	return v->lines.n > page() ? v->lines.n - page() : 0;
}

char *view_end(const struct proc_result *r)
{
	if (r->signal != 0)
		return mem_format("ended by signal %d", r->signal);
	if (r->status < 0)
		return mem_strdup("how it ended is not known");
	return r->status == 0 ? mem_strdup("done") : mem_format("failed, status %d", r->status);
}

static char *state_of(const struct view *v)
{
	if (!v->d->ended)
		return mem_strdup(v->refused
				      ? "still at work: wait for its end, or L leaves it to itself"
				      : "at work");
	return view_end(&v->d->result);
}

static void draw(const struct view *v)
{
	char *state SCOPED(mem_freep) = state_of(v);
	char *head SCOPED(mem_freep) = mem_format(" %s: %s", v->title, state);
	char *fit SCOPED(mem_freep) = line_cut(head, (size_t)term_columns());

	term_clear();
	term_fill(0, TERM_REVERSE, fit);
	for (size_t i = 0; i < page() && v->top + i < v->lines.n; i++)
		term_put((int)i + 1, 0, TERM_PLAIN, v->lines.v[v->top + i]);
	term_fill(term_rows() - 1, TERM_REVERSE,
		  v->d->ended ? " Up Down PgUp PgDn Home End scroll   q back"
			      : " Up Down PgUp PgDn Home End scroll   L leave it to itself");
	term_show(false);
}

static void scroll_to(struct view *v, size_t top)
{
	v->top = top < last_top(v) ? top : last_top(v);
	v->follow = v->top == last_top(v);
}

static void scroll(struct view *v, int key)
{
	size_t by = key == TERM_PAGE_UP || key == TERM_PAGE_DOWN ? page() : 1;

	switch (key) {
	case TERM_UP:
	case TERM_PAGE_UP:
		scroll_to(v, v->top > by ? v->top - by : 0);
		break;
	case TERM_DOWN:
	case TERM_PAGE_DOWN:
	case ' ':
		scroll_to(v, v->top + by);
		break;
	case TERM_HOME:
		scroll_to(v, 0);
		break;
	case TERM_END:
		scroll_to(v, last_top(v));
		break;
	default:
		break;
	}
}

static bool leaves(struct view *v, int key)
{
	if (key == 'L' && !v->d->ended)
		return true;
	if (key != 'q' && key != TERM_ESCAPE && key != TERM_ENTER)
		return false;
	v->refused = !v->d->ended;
	return v->d->ended;
}

bool view_run(struct detached *d, const char *title, bool *ret_gone)
{
	struct view v SCOPED(view_release) = {.d = d, .title = title, .size = -1, .follow = true};

	for (;;) {
		/* asked first: what it said before it ended is then all there */
		bool ended = detached_ended(d);
		int key;

		read_more(&v);
		if (v.follow || v.top > last_top(&v))
			v.top = last_top(&v);
		draw(&v);
		key = term_key(ended ? 1000 : MENU_TICK_MS / 2);
		if (key == TERM_GONE) {
			*ret_gone = true;
			return false;
		}
		if (leaves(&v, key))
			return d->ended;
		scroll(&v, key);
	}
}

bool ask_line(const char *question, char *ret, size_t size, bool *ret_gone)
{
	size_t n = 0;

	/* before the question is seen: who answers it has seen it */
	term_drop();
	ret[0] = '\0';
	for (;;) {
		char *line SCOPED(mem_freep) = mem_format("%s %s", question, ret);
		int key;

		term_fill(term_rows() - 2, TERM_PLAIN, "");
		term_fill(term_rows() - 1, TERM_REVERSE, " Enter confirm   Esc nothing is done");
		term_put(term_rows() - 2, 0, TERM_BOLD, line);
		term_show(true);
		key = term_key(1000);
		if (key == TERM_GONE)
			*ret_gone = true;
		if (key == TERM_GONE || key == TERM_ESCAPE)
			return false;
		if (key == TERM_ENTER)
			return true;
		if (key == TERM_BACKSPACE && n > 0)
			ret[--n] = '\0';
		if (key >= ' ' && key <= '~' && n + 1 < size) {
			ret[n++] = (char)key;
			ret[n] = '\0';
		}
	}
}
