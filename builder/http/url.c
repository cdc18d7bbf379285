#include "http/curl.h"
#include "http/http.h"

#include <stdlib.h>
#include <string.h>

static void url_freep(CURLU **u)
{
	curl_url_cleanup(*u);
}

static void text_freep(char **s)
{
	curl_free(*s);
}

static char *part(CURLU *u, CURLUPart what, unsigned flags)
{
	char *s SCOPED(text_freep) = NULL;

	return curl_url_get(u, what, &s, flags) == CURLUE_OK ? mem_strdup(s) : mem_strdup("");
}

/* "scheme://host:port", lower case, or "" for what is not a URL. */
static char *origin(const char *url)
{
	CURLU *u SCOPED(url_freep) = curl_url();
	char *scheme SCOPED(mem_freep) = NULL, *host SCOPED(mem_freep) = NULL;
	char *port SCOPED(mem_freep) = NULL, *all;

	if (u == NULL || curl_url_set(u, CURLUPART_URL, url, 0) != CURLUE_OK)
		return mem_strdup("");
	scheme = part(u, CURLUPART_SCHEME, 0);
	host = part(u, CURLUPART_HOST, 0);
	port = part(u, CURLUPART_PORT, CURLU_DEFAULT_PORT);
	all = mem_format("%s://%s:%s", scheme, host, port);
	for (char *p = all; *p != '\0'; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	return all;
}

bool http_same_origin(const char *a, const char *b)
{
	char *x SCOPED(mem_freep) = origin(a), *y SCOPED(mem_freep) = origin(b);

	return x[0] != '\0' && strcmp(x, y) == 0;
}

int http_resolve(const char *base, const char *location, char **ret, struct err *e)
{
	CURLU *u SCOPED(url_freep) = curl_url();
	char *scheme SCOPED(mem_freep) = NULL;
	char *shown SCOPED(mem_freep) = http_shown(base);

	if (u == NULL || curl_url_set(u, CURLUPART_URL, base, 0) != CURLUE_OK)
		return err_set(e, ERR_REMOTE, "%s: not a URL", shown);
	/* the base's own user must not count as one in the answer */
	(void)curl_url_set(u, CURLUPART_USER, NULL, 0);
	(void)curl_url_set(u, CURLUPART_PASSWORD, NULL, 0);
	if (curl_url_set(u, CURLUPART_URL, location, CURLU_DISALLOW_USER) != CURLUE_OK)
		return err_set(e, ERR_REMOTE, "%s: sends us to an address that is no good", shown);
	(void)curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0);
	scheme = part(u, CURLUPART_SCHEME, 0);
	if (strcmp(scheme, "https") != 0 && strcmp(scheme, "http") != 0)
		return err_set(e, ERR_REMOTE, "%s: sends us to a %s: address", shown, scheme);
	if (strcmp(scheme, "http") == 0 && strncmp(base, "http:", 5) != 0)
		return err_set(e, ERR_REMOTE, "%s: sends us from https down to http", shown);
	*ret = part(u, CURLUPART_URL, 0);
	return 0;
}

char *http_shown(const char *url)
{
	CURLU *u SCOPED(url_freep) = curl_url();

	if (u == NULL || curl_url_set(u, CURLUPART_URL, url, 0) != CURLUE_OK)
		return mem_strdup("(not a URL)");
	(void)curl_url_set(u, CURLUPART_USER, NULL, 0);
	(void)curl_url_set(u, CURLUPART_PASSWORD, NULL, 0);
	(void)curl_url_set(u, CURLUPART_QUERY, NULL, 0);
	(void)curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0);
	return part(u, CURLUPART_URL, 0);
}

char *http_escape(const char *text)
{
	char *s SCOPED(text_freep) = curl_easy_escape(NULL, text, 0);

	return mem_strdup(s != NULL ? s : "");
}
