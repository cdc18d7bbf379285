/* url.h - http and https addresses as a type (RFC 3986, RFC 9110 4.2): what two programs write
 * differently and mean the same has one text. */
#ifndef FORM_URL_H
#define FORM_URL_H

#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>

enum { URL_MAX = 8192, URL_HOST_MAX = 255 };

struct url {
	bool https;
	char host[URL_HOST_MAX + 1]; /* lower case; an IPv6 address in its brackets */
	uint16_t port;
	char *path; /* "/..." with the query; owned */
};

/* Parses an absolute http or https URL of at most URL_MAX bytes. Refused (ERR_REMOTE): another
 * scheme, a user, a port out of range, a fragment, blanks, control and other bytes that no URL has.
 * The caller releases *ret. */
int url_parse(const char *text, struct url *ret, struct err *e) MUST_CHECK;

/* Same for "HOST:PORT" and a path of its own, as CONNECT and what follows it write them. */
int url_parse_authority(const char *text, bool https, struct url *ret, struct err *e) MUST_CHECK;
int url_set_path(struct url *u, const char *path, struct err *e) MUST_CHECK;

/* The one text of the URL: the usual port is left out, an empty path is "/". The caller owns it. */
char *url_text(const struct url *u) MUST_CHECK;

/* "HOST" or "HOST:PORT" where the port is not the scheme's own; the caller owns it. */
char *url_authority(const struct url *u) MUST_CHECK;

void url_release(struct url *u);

#endif
