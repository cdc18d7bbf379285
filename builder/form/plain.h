/* plain.h - what a terminal's stream says without its escape sequences (ECMA-48): text and line
 * ends, in whatever pieces it comes. */
#ifndef FORM_PLAIN_H
#define FORM_PLAIN_H

#include "base/buf.h"

enum plain_state {
	PLAIN_TEXT,
	PLAIN_ESCAPE,  /* after ESC */
	PLAIN_CONTROL, /* in ESC [ … */
	PLAIN_STRING,  /* in ESC ] … and its like, up to BEL or ESC \ */
	PLAIN_STRING_ESCAPE,
};

/* Zero-initialised is the beginning of a stream. */
struct plain {
	enum plain_state state;
	bool cr; /* a carriage return waits for what follows it */
};

/* Appends what n bytes say: without escape sequences and control characters other than tab and
 * newline; CR, CR LF and CR CR LF are one newline. */
void plain_add(struct plain *s, const void *p, size_t n, struct buf *out);

#endif
