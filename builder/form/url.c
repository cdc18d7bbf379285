#include "form/url.h"

#include "base/num.h"
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define DIGIT "0123456789"

static uint16_t usual_port(const struct url *u)
{
	return u->https ? 443 : 80;
}

/* Resolvers read 127.1, 0x7f.1 and 2130706433 as addresses; here there is one way to write one. */
static bool looks_numeric(const char *h)
{
	const char *dot = strrchr(h, '.'), *last = dot != NULL ? dot + 1 : h;

	return strspn(last, DIGIT) == strlen(last) ||
	       (last[0] == '0' && last[1] == 'x' &&
		strspn(last + 2, DIGIT "abcdef") == strlen(last + 2));
}

/* A name or IPv4 address; or an IPv6 address in brackets, without a zone. */
static bool host_ok(const char *h)
{
	size_t n = strlen(h);
	uint8_t address[4];

	if (h[0] == '[')
		return n > 3 && h[n - 1] == ']' && strspn(h + 1, "abcdef" DIGIT ":.") == n - 2;
	if (looks_numeric(h))
		return inet_pton(AF_INET, h, address) == 1;
	return n > 0 && h[0] != '.' && h[0] != '-' && strspn(h, LOWER DIGIT "._-") == n &&
	       strstr(h, "..") == NULL;
}

static int set_host(struct url *u, const char *p, size_t n, struct err *e)
{
	if (n == 0 || n > URL_HOST_MAX)
		return err_set(e, ERR_REMOTE, "a URL without a host, or with one that is too long");
	for (size_t i = 0; i < n; i++)
		u->host[i] = p[i] >= 'A' && p[i] <= 'Z' ? (char)(p[i] - 'A' + 'a') : p[i];
	u->host[n] = '\0';
	return host_ok(u->host) ? 0 : err_set(e, ERR_REMOTE, "a URL whose host is no name");
}

/* "HOST[:PORT]", n bytes. */
static int set_authority(struct url *u, const char *p, size_t n, struct err *e)
{
	char *text SCOPED(mem_freep) = mem_strndup(p, n);
	char *from = text[0] == '[' ? strchr(text, ']') : text;
	char *colon = from != NULL ? strchr(from, ':') : NULL;
	uint64_t port = usual_port(u);

	if (strlen(text) != n || strchr(text, '@') != NULL)
		return err_set(e, ERR_REMOTE, "a URL with a user or password in it");
	if (colon != NULL && colon[1] != '\0' &&
	    (num_u64(colon + 1, UINT16_MAX, &port) != 0 || port == 0))
		return err_set(e, ERR_REMOTE, "a URL whose port is no number from 1 to 65535");
	u->port = (uint16_t)port;
	return set_host(u, text, colon != NULL ? (size_t)(colon - text) : n, e);
}

static bool path_ok(const char *p)
{
	for (; *p != '\0'; p++)
		if (*p <= ' ' || *p >= 127 || strchr("\"<>\\#", *p) != NULL)
			return false;
	return true;
}

int url_set_path(struct url *u, const char *path, struct err *e)
{
	if (strlen(path) > URL_MAX)
		return err_set(e, ERR_REMOTE, "a URL longer than %d bytes", URL_MAX);
	if ((path[0] != '/' && path[0] != '?' && path[0] != '\0') || !path_ok(path))
		return err_set(e, ERR_REMOTE, "a URL with bytes that a URL does not have");
	free(u->path);
	u->path = mem_format("%s%s", path[0] == '/' ? "" : "/", path);
	return 0;
}

static bool has_scheme(const char *text, const char *scheme)
{
	return strncasecmp(text, scheme, strlen(scheme)) == 0;
}

int url_parse(const char *text, struct url *ret, struct err *e)
{
	struct url u SCOPED(url_release) = {.https = has_scheme(text, "https://")};
	const char *at = text + (u.https ? 8 : 7);
	size_t n;

	if (strnlen(text, URL_MAX + 1) > URL_MAX)
		return err_set(e, ERR_REMOTE, "a URL longer than %d bytes", URL_MAX);
	if (!u.https && !has_scheme(text, "http://"))
		return err_set(e, ERR_REMOTE, "neither an http nor an https URL");
	n = strcspn(at, "/?#");
	if (set_authority(&u, at, n, e) != 0 || url_set_path(&u, at + n, e) != 0)
		return -1;
	*ret = u;
	u.path = NULL;
	return 0;
}

int url_parse_authority(const char *text, bool https, struct url *ret, struct err *e)
{
	struct url u SCOPED(url_release) = {.https = https};

	if (strnlen(text, URL_MAX + 1) > URL_MAX)
		return err_set(e, ERR_REMOTE, "a host longer than %d bytes", URL_MAX);
	if (set_authority(&u, text, strlen(text), e) != 0 || url_set_path(&u, "/", e) != 0)
		return -1;
	*ret = u;
	u.path = NULL;
	return 0;
}

char *url_authority(const struct url *u)
{
	if (u->port == usual_port(u))
		return mem_strdup(u->host);
	return mem_format("%s:%u", u->host, (unsigned)u->port);
}

char *url_text(const struct url *u)
{
	char *authority SCOPED(mem_freep) = url_authority(u);

	return mem_format("%s://%s%s", u->https ? "https" : "http", authority, u->path);
}

void url_release(struct url *u)
{
	free(u->path);
	*u = (struct url){0};
}
