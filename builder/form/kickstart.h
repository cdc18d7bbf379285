/* kickstart.h - the lines of a kickstart file: which section each is in, and the words of those
 * that are not a script. The syntax is pykickstart's; nothing is looked up and nothing included. */
#ifndef FORM_KICKSTART_H
#define FORM_KICKSTART_H

#include "base/err.h"
#include "base/strv.h"

enum {
	KICKSTART_BYTES = 4 << 20, /* of one file */
	KICKSTART_LINE = 64 << 10, /* bytes of one line */
	KICKSTART_LINES = 100000,  /* of one file */
};

enum kickstart_kind {
	KICKSTART_BLANK,
	KICKSTART_COMMENT,
	KICKSTART_COMMAND, /* outside of sections, with %include and %ksappend */
	KICKSTART_HEADER,  /* "%packages ..." */
	KICKSTART_BODY,    /* any line of a section */
	KICKSTART_END,
};

struct kickstart_line {
	enum kickstart_kind kind;
	size_t from, to, next; /* the text without its line end; the next line */
	size_t header;         /* which line is the header of its section; KICKSTART_BODY, _END */
	bool crlf;
};

struct kickstart {
	struct kickstart_line *lines;
	size_t n;
	size_t bom; /* bytes in front of the first line that are no text: 0 or 3 */
};

/* Takes n bytes apart, which must outlive *ret. A section ends at its %end, where another begins,
 * or with the file. NUL bytes and what is larger than the limits are refused (ERR_RECIPE,
 * FILE:LINE:COL). The caller releases *ret. */
int kickstart_read(const char *p, size_t n, const char *file, struct kickstart *ret,
		   struct err *e) MUST_CHECK;
void kickstart_release(struct kickstart *k);

/* Whether the word is the name of a section that has a body: "%post". */
bool kickstart_section(const char *word, size_t n) MUST_CHECK;

/* Appends the words of n bytes: blanks part them, quotes and backslashes hold them together, '#'
 * begins a comment. False when a quote is not closed: it ends with the line then. */
bool kickstart_words(const char *p, size_t n, struct strv *ret);

#endif
