/* menu.c - the main screen: instances on top, what can be done with the chosen one below. */
#include "menu/parts.h"

#include "sys/clock.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { REFRESH_MS = 10000, STATUS_MAX = 8 << 20, CODE_MAX = 64 };
enum { HEAD_ROWS = 2, ACT_ROWS = 7, FOOT_ROWS = 2, ROWS_LEAST = 3 };

struct menu {
	const struct menu_opts *o;
	struct menu_rows rows;
	size_t at, top;        /* the chosen row, and the first that is shown */
	struct detached asked; /* `posmedia status`, while it runs */
	uint64_t next_ms;      /* when it is asked again */
	char *status_note;     /* why there is no status; or NULL */
	char *note;            /* what became of the last action; or NULL */
	bool gone;             /* nobody is there any more */
};

static void menu_release(struct menu *m)
{
	rows_release(&m->rows);
	detached_release(&m->asked);
	free(m->status_note);
	free(m->note);
}

static void note(char **at, char *text)
{
	free(*at);
	*at = text;
}

static void ask_status(struct menu *m)
{
	struct strv argv SCOPED(strv_release) = {0};
	struct err e = ERR_INIT;

	strv_add(&argv, m->o->program);
	strv_add(&argv, "status");
	strv_add(&argv, "--json");
	strv_extend(&argv, &m->o->engine);
	m->next_ms = clock_mono_ms() + REFRESH_MS;
	if (detached_start(&argv, false, &m->asked, &e) != 0)
		note(&m->status_note, mem_strdup(e.msg));
}

/* A whole file in memory, when it is not too long. The caller owns it. */
static char *all_of(int fd, size_t *ret_n)
{
	struct stat st;
	char *text;
	ssize_t n;

	*ret_n = 0;
	if (fstat(fd, &st) != 0 || st.st_size > STATUS_MAX)
		return mem_strdup("");
	text = mem_zalloc((size_t)st.st_size + 1);
	n = pread(fd, text, (size_t)st.st_size, 0);
	*ret_n = n > 0 ? (size_t)n : 0;
	return text;
}

/* Keeps the place when the rows are read anew. */
static void take_status(struct menu *m)
{
	size_t n, words;
	char *text SCOPED(mem_freep) = all_of(m->asked.out, &n);
	char *said SCOPED(mem_freep) = all_of(m->asked.err, &words);
	struct jval *status SCOPED(jval_freep) = NULL;
	struct err e = ERR_INIT;

	rows_release(&m->rows);
	rows_read(&m->o->sites, &m->rows);
	if (jval_parse(text, n, "status", &status, &e) == 0) {
		rows_status(&m->rows, status);
		note(&m->status_note, NULL);
	} else {
		said[strcspn(said, "\n")] = '\0';
		note(&m->status_note, mem_format("no status: %s", *said != '\0' ? said : e.msg));
	}
	if (m->at >= m->rows.n)
		m->at = m->rows.n > 0 ? m->rows.n - 1 : 0;
}

static void follow_status(struct menu *m)
{
	if (m->asked.pid != 0 && detached_ended(&m->asked)) {
		take_status(m);
		detached_release(&m->asked);
	}
	if (m->asked.pid == 0 && clock_mono_ms() >= m->next_ms)
		ask_status(m);
}

/* A cell of the table, so many columns wide and a blank. */
static void cell(struct buf *line, const char *text, int width)
{
	char *fit SCOPED(mem_freep) = line_cut(text, (size_t)width);
	/* one column a character, but for wide ones, which only push the rest aside */
	size_t shown = 0;

	for (const char *p = fit; *p != '\0'; p++)
		shown += ((unsigned char)*p & 0xc0) != 0x80;
	buf_addf(line, "%s%*s", fit, width - (int)shown + 1, "");
}

static void row_line(const struct menu_row *r, struct buf *line)
{
	char *state SCOPED(mem_freep) = r->fault != NULL
					    ? mem_strdup("wrong file")
					    : mem_format("%s%s", *r->state != '\0' ? r->state : "?",
							 *r->trouble != '\0' ? "!" : "");

	cell(line, r->shop, 9);
	cell(line, r->env, 4);
	cell(line, r->name, 16);
	cell(line, state, 10);
	cell(line, *r->uptime != '\0' ? r->uptime : "-", 8);
	cell(line, *r->vpn != '\0' ? r->vpn : "-", 5);
	cell(line, *r->room != '\0' ? r->room : "-", 8);
	buf_addf(line, "%s", r->fault != NULL ? r->fault : r->image);
}

/* On a screen that has no room for both, the instances are shown and the actions are not. */
static bool has_acts(void)
{
	return term_rows() >= HEAD_ROWS + ROWS_LEAST + ACT_ROWS + FOOT_ROWS;
}

static size_t table_rows(void)
{
	int n = term_rows() - HEAD_ROWS - FOOT_ROWS - (has_acts() ? ACT_ROWS : 0);

	return n > 1 ? (size_t)n : 1;
}

static void draw_table(struct menu *m)
{
	struct buf head SCOPED(buf_release) = BUF_INIT(512);
	static const char *const names[] = {"SHOP", "ENV", "NAME", "STATE", "UP", "VPN", "FREE"};
	static const int widths[] = {9, 4, 16, 10, 8, 5, 8};

	buf_addf(&head, "  ");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		cell(&head, names[i], widths[i]);
	buf_addf(&head, "IMAGE");
	term_put(1, 0, TERM_BOLD, head.data);
	if (m->at < m->top)
		m->top = m->at;
	if (m->at >= m->top + table_rows())
		m->top = m->at - table_rows() + 1;
	for (size_t i = m->top; i < m->rows.n && i < m->top + table_rows(); i++) {
		struct buf line SCOPED(buf_release) = BUF_INIT(1 << 14);
		char *fit SCOPED(mem_freep) = NULL;

		buf_addf(&line, "%s", i == m->at ? "> " : "  ");
		row_line(&m->rows.v[i], &line);
		fit = line_cut(line.data, (size_t)term_columns());
		term_put((int)(2 + i - m->top), 0, i == m->at ? TERM_REVERSE : TERM_PLAIN, fit);
	}
	if (m->rows.n == 0)
		term_put(2, 0, TERM_PLAIN, "  no instances, and no site files were named");
}

static const struct menu_row *chosen(const struct menu *m)
{
	return m->at < m->rows.n ? &m->rows.v[m->at] : NULL;
}

/* The actions, in two columns, of the chosen one. */
static void draw_acts(const struct menu *m, int row)
{
	const struct menu_row *r = chosen(m);
	char *title SCOPED(mem_freep) = NULL, *fit SCOPED(mem_freep) = NULL;
	char *trouble SCOPED(mem_freep) = NULL;

	if (r == NULL)
		return;
	trouble = line_cut(r->trouble, (size_t)term_columns());
	title = mem_format("%s %s  %s", r->shop, r->env, r->site);
	fit = line_cut(title, (size_t)term_columns());
	term_put(row, 0, TERM_BOLD, fit);
	for (int i = 0; acts[i].key != 0; i++) {
		char *text SCOPED(mem_freep) =
		    mem_format("%c %s: %s%s", acts[i].key, acts[i].verb, acts[i].help,
			       act_confirms(&acts[i], r) > 0 ? " *" : "");

		term_put(row + 1 + i / 2, 2 + i % 2 * 39, TERM_PLAIN, text);
	}
	term_put(row + ACT_ROWS - 1, 0, TERM_PLAIN, trouble);
}

static void draw(struct menu *m)
{
	char *head SCOPED(mem_freep) =
	    mem_format(" posmedia  %zu instance%s%s", m->rows.n, m->rows.n == 1 ? "" : "s",
		       m->asked.pid != 0 ? "  asking ..." : "");
	const char *said = m->note != NULL ? m->note : m->status_note;
	char *fit SCOPED(mem_freep) = line_cut(said, (size_t)term_columns());

	term_clear();
	term_fill(0, TERM_REVERSE, head);
	draw_table(m);
	if (has_acts())
		draw_acts(m, term_rows() - FOOT_ROWS - ACT_ROWS);
	term_fill(term_rows() - 2, TERM_BOLD, fit);
	term_fill(term_rows() - 1, TERM_REVERSE,
		  " Up Down choose   letter act (* asks for the shop's code)   r again   q quit");
	term_show(false);
}

/* Whether the user has typed what the action wants. */
static bool confirmed(struct menu *m, const struct act *a, const struct menu_row *r)
{
	char typed[CODE_MAX];
	char *first SCOPED(mem_freep) =
	    mem_format("%s %s %s: type the code of the shop:", a->verb, r->shop, r->env);
	int wants = act_confirms(a, r);

	if (wants == 0)
		return true;
	if (!ask_line(first, typed, sizeof(typed), &m->gone)) {
		note(&m->note, mem_strdup("nothing was done"));
		return false;
	}
	/* an empty code is no shop's, whatever the file says */
	if (*r->shop == '\0' || strcmp(typed, r->shop) != 0) {
		note(&m->note, mem_strdup("that is not the code of the shop: nothing was done"));
		return false;
	}
	if (wants < 2)
		return true;
	if (ask_line("This is production. Type \"" ACT_WORD "\":", typed, sizeof(typed),
		     &m->gone) &&
	    strcmp(typed, ACT_WORD) == 0)
		return true;
	note(&m->note, mem_strdup("nothing was done"));
	return false;
}

/* Files change while somebody thinks: what was asked for one shop is not done to another. */
static bool is_same(struct menu *m, const struct menu_row *r)
{
	struct err e = ERR_INIT;

	if (rows_same(r, &e))
		return true;
	note(&m->note, mem_strdup(e.msg));
	m->next_ms = 0;
	return false;
}

static void act(struct menu *m, const struct act *a)
{
	const struct menu_row *r = chosen(m);
	struct strv argv SCOPED(strv_release) = {0};
	struct detached d SCOPED(detached_release) = DETACHED_INIT;
	char *title SCOPED(mem_freep) = NULL, *end SCOPED(mem_freep) = NULL;
	struct err e = ERR_INIT;

	if (r == NULL)
		return;
	if (r->fault != NULL || act_argv(a, r, m->o, &argv, &e) != 0) {
		note(&m->note, mem_strdup(r->fault != NULL ? r->fault : e.msg));
		return;
	}
	if (!is_same(m, r) || !confirmed(m, a, r) || !is_same(m, r))
		return;
	title = mem_format("%s %s %s", a->verb, r->shop, r->env);
	if (detached_start(&argv, true, &d, &e) != 0) {
		note(&m->note, mem_strdup(e.msg));
		return;
	}
	end = view_run(&d, title, &m->gone) ? view_end(&d.result) : mem_strdup("goes on by itself");
	note(&m->note, mem_format("%s: %s", title, end));
	m->next_ms = 0;
}

/* Returns false when the user leaves. */
static bool press(struct menu *m, int key)
{
	const struct act *a = act_find(key);

	switch (key) {
	case TERM_UP:
		m->at -= m->at > 0;
		break;
	case TERM_DOWN:
		m->at += m->at + 1 < m->rows.n;
		break;
	case TERM_HOME:
		m->at = 0;
		break;
	case TERM_END:
		m->at = m->rows.n > 0 ? m->rows.n - 1 : 0;
		break;
	case 'r':
		m->next_ms = 0;
		break;
	case 'q':
	case TERM_ESCAPE:
	case TERM_GONE:
		return false;
	default:
		break;
	}
	if (a != NULL)
		act(m, a);
	return !m->gone;
}

int menu_run(const struct menu_opts *o, struct err *e)
{
	struct menu m SCOPED(menu_release) = {.o = o, .asked = DETACHED_INIT};

	if (term_open(o->in, o->out, e) != 0)
		return -1;
	rows_read(&o->sites, &m.rows);
	do {
		follow_status(&m);
		draw(&m);
	} while (press(&m, term_key(MENU_TICK_MS)));
	term_close();
	return 0;
}
