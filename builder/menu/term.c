#define NCURSES_WIDECHAR 1
#include "menu/term.h"

#include "sys/intr.h"
#include <curses.h>
#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ESCAPE_MS = 100, CTRL_C = 3, CTRL_H = 8, DELETE = 127, ESCAPE = 27 };

static struct {
	SCREEN *screen;
	int in;
	int column, row; /* where the last text ended */
} term = {.in = -1};

static int cannot(const char *name, struct err *e)
{
	(void)err_set(e, ERR_USAGE, "the terminal \"%.60s\" cannot show a menu", name);
	return err_hint(e, "Use the verbs themselves, or set TERM to what the terminal is.");
}

int term_open(FILE *in, FILE *out, struct err *e)
{
	const char *name = getenv("TERM");

	if (isatty(fileno(in)) != 1 || isatty(fileno(out)) != 1) {
		(void)err_set(e, ERR_USAGE, "the menu wants a terminal");
		return err_hint(e, "Use the verbs themselves: posmedia help");
	}
	if (name == NULL || *name == '\0' || strcmp(name, "dumb") == 0)
		return cannot(name != NULL ? name : "", e);
	/* only what a character is and how wide: text does not depend on a language */
	(void)setlocale(LC_CTYPE, "");
	term.screen = newterm(NULL, out, in);
	if (term.screen == NULL)
		return cannot(name, e);
	if (tigetstr("cup") == NULL || tigetstr("cup") == (char *)-1) {
		term_close();
		return cannot(name, e);
	}
	term.in = fileno(in);
	(void)set_escdelay(ESCAPE_MS);
	(void)raw();
	(void)noecho();
	(void)keypad(stdscr, TRUE);
	(void)curs_set(0);
	return 0;
}

void term_close(void)
{
	if (term.screen == NULL)
		return;
	(void)curs_set(1);
	(void)endwin();
	delscreen(term.screen);
	term.screen = NULL;
}

int term_rows(void)
{
	return getmaxy(stdscr);
}

int term_columns(void)
{
	return getmaxx(stdscr);
}

void term_clear(void)
{
	(void)erase();
}

static int attribute(enum term_look look)
{
	return look == TERM_BOLD ? (int)A_BOLD : look == TERM_REVERSE ? (int)A_REVERSE : 0;
}

void term_put(int row, int column, enum term_look look, const char *text)
{
	if (row < 0 || row >= term_rows() || column < 0 || column >= term_columns())
		return;
	(void)attrset(attribute(look));
	(void)mvaddnstr(row, column, text, -1);
	(void)attrset(0);
	term.row = getcury(stdscr);
	term.column = getcurx(stdscr);
}

void term_fill(int row, enum term_look look, const char *text)
{
	if (row < 0 || row >= term_rows())
		return;
	(void)attrset(attribute(look));
	(void)mvhline(row, 0, ' ', term_columns());
	(void)mvaddnstr(row, 0, text, -1);
	(void)attrset(0);
}

void term_show(bool cursor)
{
	(void)curs_set(cursor ? 1 : 0);
	(void)move(cursor ? term.row : term_rows() - 1, cursor ? term.column : 0);
	(void)refresh();
}

static int known(int c)
{
	static const struct {
		int c, key;
	} table[] = {
	    {KEY_UP, TERM_UP},         {KEY_DOWN, TERM_DOWN},
	    {KEY_PPAGE, TERM_PAGE_UP}, {KEY_NPAGE, TERM_PAGE_DOWN},
	    {KEY_HOME, TERM_HOME},     {KEY_END, TERM_END},
	    {KEY_ENTER, TERM_ENTER},   {'\r', TERM_ENTER},
	    {'\n', TERM_ENTER},        {KEY_BACKSPACE, TERM_BACKSPACE},
	    {CTRL_H, TERM_BACKSPACE},  {DELETE, TERM_BACKSPACE},
	    {ESCAPE, TERM_ESCAPE},     {CTRL_C, TERM_ESCAPE},
	    {KEY_RESIZE, TERM_RESIZE},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].c == c)
			return table[i].key;
	return c >= ' ' && c <= '~' ? c : TERM_NONE;
}

void term_drop(void)
{
	(void)flushinp();
}

int term_key(int ms)
{
	int c;

	if (intr_pending())
		return TERM_GONE;
	timeout(ms);
	errno = 0;
	c = getch();
	/* what a terminal of another size still shows is its own affair */
	if (c == KEY_RESIZE)
		(void)clearok(curscr, TRUE);
	if (c != ERR)
		return known(c);
	/* a terminal that is gone has nothing to wait for */
	return intr_pending() || (errno == EIO || isatty(term.in) != 1) ? TERM_GONE : TERM_NONE;
}
