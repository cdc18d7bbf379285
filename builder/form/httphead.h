/* httphead.h - the head of an HTTP/1.x request (RFC 9112), read strictly: whatever two readers
 * could take for two different requests is refused. */
#ifndef FORM_HTTPHEAD_H
#define FORM_HTTPHEAD_H

#include "base/err.h"
#include "base/strv.h"
#include <stdint.h>

enum { HTTPHEAD_MAX = 32 << 10, HTTPHEAD_LINES = 100 };

struct httphead {
	char *method;       /* a token, as it came */
	char *target;       /* printable, no blanks */
	bool old;           /* HTTP/1.0 */
	struct strv names;  /* in lower case */
	struct strv values; /* without blanks around them */
	bool has_body;      /* Content-Length that is not 0, or any Transfer-Encoding */
};

/* How many bytes the head at p has, its empty line included: 0 while it is not whole. */
size_t httphead_size(const char *p, size_t n);

/* Parses one whole head of n bytes (httphead_size). Refused (ERR_REMOTE): lines that do not end in
 * CRLF, control bytes, folded lines, blanks before a colon, two lengths, a length beside an
 * encoding, no Host or several, more than HTTPHEAD_LINES lines. The caller releases *ret. */
int httphead_parse(const char *p, size_t n, struct httphead *ret, struct err *e) MUST_CHECK;

/* The value of a header (name in lower case), or NULL; borrowed. */
const char *httphead_get(const struct httphead *h, const char *name);

void httphead_release(struct httphead *h);

#endif
