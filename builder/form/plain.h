/* plain.h - text of others, made fit for people to read line by line. */
#ifndef FORM_PLAIN_H
#define FORM_PLAIN_H

#include <stdbool.h>
#include <stdint.h>

/* Whether the code point turns, isolates or hides what stands beside it, or separates lines. */
bool plain_is_odd(uint32_t c);

/* Replaces by '?', in place, each byte that is no UTF-8, what a terminal would act on, and what is
 * odd; tabs and line ends stay, of the line end CR LF only LF. */
void plain_text(char *text);

/* The same of what is one line: a line end is a '?' too. */
void plain_line(char *text);

#endif
