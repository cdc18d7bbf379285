#include "form/httphead.h"

#include "base/num.h"
#include <stdlib.h>
#include <string.h>

static const char token[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
			    "!#$%&'*+-.^_`|~";

static int bad(struct err *e, const char *why)
{
	return err_set(e, ERR_REMOTE, "a request that is not HTTP: %s", why);
}

size_t httphead_size(const char *p, size_t n)
{
	const char *end = n > 0 ? memmem(p, n, "\r\n\r\n", 4) : NULL;

	return end != NULL ? (size_t)(end - p) + 4 : 0;
}

/* Cuts the next line out of the text; NULL when it does not end in CRLF or has other controls. */
static char *line(char **at)
{
	char *s = *at, *end = strstr(s, "\r\n");

	if (end == NULL)
		return NULL;
	*end = '\0';
	*at = end + 2;
	for (const char *c = s; *c != '\0'; c++)
		if (((unsigned char)*c < ' ' && *c != '\t') || *c == 127)
			return NULL;
	return s;
}

/* "GET http://host/path HTTP/1.1", with one blank between. */
static int request_line(char *s, struct httphead *h, struct err *e)
{
	size_t method = strspn(s, token);
	char *target = s + method + 1, *version;
	size_t n;

	if (method == 0 || method > 32 || s[method] != ' ')
		return bad(e, "its first line has no method");
	n = strcspn(target, " \t");
	version = target + n + 1;
	if (n == 0 || target[n] != ' ')
		return bad(e, "its first line has no version");
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)target[i] >= 127)
			return bad(e, "its target is not ASCII");
	h->old = strcmp(version, "HTTP/1.0") == 0;
	if (!h->old && strcmp(version, "HTTP/1.1") != 0)
		return bad(e, "neither HTTP/1.0 nor HTTP/1.1");
	h->method = mem_strndup(s, method);
	h->target = mem_strndup(target, n);
	return 0;
}

static int header_line(char *s, struct httphead *h, struct err *e)
{
	size_t name = strspn(s, token);
	char *value = s + name + 1, *end;

	if (name == 0 || s[name] != ':')
		return bad(e, "a header line without a plain name and colon");
	for (size_t i = 0; i < name; i++)
		if (s[i] >= 'A' && s[i] <= 'Z')
			s[i] = (char)(s[i] - 'A' + 'a');
	s[name] = '\0';
	value += strspn(value, " \t");
	for (end = value + strlen(value); end > value && strchr(" \t", end[-1]) != NULL; end--)
		;
	strv_add(&h->names, s);
	strv_take(&h->values, mem_strndup(value, (size_t)(end - value)));
	return 0;
}

static size_t count(const struct httphead *h, const char *name)
{
	size_t n = 0;

	for (size_t i = 0; i < h->names.n; i++)
		n += strcmp(h->names.v[i], name) == 0;
	return n;
}

/* RFC 9112, 6.3: where the message ends must not be a matter of opinion. */
static int body(struct httphead *h, struct err *e)
{
	const char *length = httphead_get(h, "content-length");
	uint64_t n = 0;

	if (count(h, "content-length") + count(h, "transfer-encoding") > 1)
		return bad(e, "it says more than once where its body ends");
	if (length != NULL && num_u64(length, INT64_MAX, &n) != 0)
		return bad(e, "its Content-Length is no number");
	h->has_body = n > 0 || count(h, "transfer-encoding") > 0;
	if (count(h, "host") > 1 || (!h->old && count(h, "host") == 0))
		return bad(e, "it does not have one Host");
	return 0;
}

static int lines(char *at, struct httphead *h, struct err *e)
{
	char *s = line(&at);

	if (s == NULL)
		return bad(e, "control bytes in a line");
	if (request_line(s, h, e) != 0)
		return -1;
	while ((s = line(&at)) != NULL && s[0] != '\0') {
		if (h->names.n == HTTPHEAD_LINES)
			return bad(e, "too many header lines");
		if (header_line(s, h, e) != 0)
			return -1;
	}
	if (s == NULL || *at != '\0')
		return bad(e, "control bytes in a line");
	return body(h, e);
}

int httphead_parse(const char *p, size_t n, struct httphead *ret, struct err *e)
{
	struct httphead h SCOPED(httphead_release) = {0};
	char *text SCOPED(mem_freep) = NULL;

	if (n > HTTPHEAD_MAX)
		return bad(e, "its head is too large");
	if (memchr(p, '\0', n) != NULL)
		return bad(e, "control bytes in a line");
	text = mem_strndup(p, n);
	if (lines(text, &h, e) != 0)
		return -1;
	*ret = h;
	h = (struct httphead){0};
	return 0;
}

const char *httphead_get(const struct httphead *h, const char *name)
{
	for (size_t i = 0; i < h->names.n; i++)
		if (strcmp(h->names.v[i], name) == 0)
			return h->values.v[i];
	return NULL;
}

void httphead_release(struct httphead *h)
{
	free(h->method);
	free(h->target);
	strv_release(&h->names);
	strv_release(&h->values);
	*h = (struct httphead){0};
}
