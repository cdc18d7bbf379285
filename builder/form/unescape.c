#include "form/unescape.h"

static enum unescape_state after_escape(unsigned char c)
{
	if (c == '[')
		return UNESCAPE_CONTROL;
	if (c == ']' || c == 'P' || c == 'X' || c == '^' || c == '_')
		return UNESCAPE_STRING;
	/* an intermediate byte goes on, any other one ends it */
	return c >= 0x20 && c <= 0x2f ? UNESCAPE_ESCAPE : UNESCAPE_TEXT;
}

static void text(struct unescape *s, unsigned char c, struct buf *out)
{
	bool was_cr = s->cr;

	s->cr = c == '\r';
	if (c == '\r')
		return;
	if (was_cr || c == '\n')
		buf_add(out, "\n", 1);
	if (c == 0x1b)
		s->state = UNESCAPE_ESCAPE;
	else if (c == '\t' || (c >= 0x20 && c != 0x7f))
		buf_add(out, &c, 1);
}

static void step(struct unescape *s, unsigned char c, struct buf *out)
{
	switch (s->state) {
	case UNESCAPE_TEXT:
		text(s, c, out);
		break;
	case UNESCAPE_ESCAPE:
		s->state = after_escape(c);
		break;
	case UNESCAPE_CONTROL:
		if (c >= 0x40 && c <= 0x7e)
			s->state = UNESCAPE_TEXT;
		break;
	case UNESCAPE_STRING:
		if (c == 0x07)
			s->state = UNESCAPE_TEXT;
		else if (c == 0x1b)
			s->state = UNESCAPE_ESCAPE; /* a backslash, to which the same applies */
		break;
	}
}

void unescape_add(struct unescape *s, const void *p, size_t n, struct buf *out)
{
	const unsigned char *c = p;
	size_t i = 0;

	while (i < n) {
		size_t run = i;

		while (s->state == UNESCAPE_TEXT && !s->cr && run < n && c[run] >= 0x20 &&
		       c[run] != 0x7f)
			run++;
		buf_add(out, c + i, run - i);
		i = run;
		if (i < n)
			step(s, c[i++], out);
	}
}
