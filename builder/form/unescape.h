/* unescape.h - what a terminal's stream says without its escape sequences (ECMA-48): text and line
 * ends, in whatever pieces it comes. */
#ifndef FORM_UNESCAPE_H
#define FORM_UNESCAPE_H

#include "base/buf.h"

enum unescape_state {
	UNESCAPE_TEXT,
	UNESCAPE_ESCAPE,  /* after ESC */
	UNESCAPE_CONTROL, /* in ESC [ … */
	UNESCAPE_STRING,  /* in ESC ] … and its like, up to BEL or ESC \ */
};

/* Zero-initialised is the beginning of a stream. */
struct unescape {
	enum unescape_state state;
	bool cr; /* a carriage return waits for what follows it */
};

/* Appends what n bytes say: without escape sequences and control characters other than tab and
 * newline; CR, CR LF and CR CR LF are one newline. */
void unescape_add(struct unescape *s, const void *p, size_t n, struct buf *out);

#endif
