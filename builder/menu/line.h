/* line.h - text of others, made fit for a terminal's line. */
#ifndef MENU_LINE_H
#define MENU_LINE_H

#include "base/buf.h"

/* Appends what fits into so many columns of a text of n bytes without line ends, and returns how
 * many of its bytes that took, at least 1 of any. What a terminal would act on, what turns the
 * direction of writing, and what is no character in the terminal's encoding is a '?'; a tab is
 * blanks. */
size_t line_fit(const char *p, size_t n, size_t columns, struct buf *ret);

/* The same of a whole text, cut where it is too long; the caller owns it. NULL is an empty text. */
char *line_cut(const char *text, size_t columns) MUST_CHECK;

#endif
