/* screen.h - messages and progress on standard error, results on standard output. */
#ifndef CLI_SCREEN_H
#define CLI_SCREEN_H

#include "base/err.h"
#include "form/json.h"
#include <stdbool.h>

enum screen_format {
	SCREEN_TEXT,
	SCREEN_JSON,
};

/* Installs the process's log sink. Level: -1 quiet, 0 normal, 1 verbose. A progress bar is drawn
 * only where standard error is a terminal. */
void screen_init(enum screen_format format, int level);

/* From now on card numbers in messages and errors are masked, as posmedia-scan(7) masks them: names
 * of a customer's files may be in them. */
void screen_mask_cards(void);

/* Prints an error and its hint. */
void screen_error(const struct err *e);

/* plain_text and plain_line (form/plain.h): text that came from an image, a step or a server is
 * printed, never obeyed. */
void screen_plain(char *text);
void screen_plain_line(char *text);

/* Prints such a text on standard output; NULL is none. */
void screen_say(const char *text);
/* The same as a line, behind words of ours. */
void screen_line(const char *before, const char *text);

/* Prints a JSON result, indented, to standard output. */
void screen_json(const struct jval *v);

/* Flushes standard output; an error when a result could not be written (a full disk, a closed
 * pipe). */
int screen_close(struct err *e) MUST_CHECK;

#endif
