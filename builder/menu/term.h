/* term.h - the terminal: the door to ncurses. One at a time.
 *
 * Text is cut at the right edge, by columns. What comes from elsewhere goes through line_fit
 * (menu/line.h) before. */
#ifndef MENU_TERM_H
#define MENU_TERM_H

#include "base/err.h"
#include <stdbool.h>
#include <stdio.h>

enum term_key {
	/* below: the character itself, ' ' to '~' */
	TERM_NONE = 0x1000, /* nothing was pressed in time */
	TERM_UP,
	TERM_DOWN,
	TERM_PAGE_UP,
	TERM_PAGE_DOWN,
	TERM_HOME,
	TERM_END,
	TERM_ENTER,
	TERM_BACKSPACE,
	TERM_ESCAPE, /* Ctrl-C too, which is no signal here */
	TERM_RESIZE,
	TERM_GONE, /* nobody is there any more */
};

enum term_look {
	TERM_PLAIN,
	TERM_BOLD,
	TERM_REVERSE,
};

/* Takes the terminal over. One that cannot move its cursor is ERR_USAGE. */
int term_open(FILE *in, FILE *out, struct err *e) MUST_CHECK;
/* Gives it back as it was. */
void term_close(void);

/* How large the screen is now. */
int term_rows(void);
int term_columns(void);

/* Begins an empty screen; puts text at a place, with blanks to the right edge when `fill`; shows
 * all of it, with the cursor at the end of what was put last when `cursor`. */
void term_clear(void);
void term_put(int row, int column, enum term_look look, const char *text);
void term_fill(int row, enum term_look look, const char *text);
void term_show(bool cursor);

/* Forgets the keys that were pressed until now. */
void term_drop(void);

/* Waits for a key, at most so long. */
int term_key(int ms);

#endif
