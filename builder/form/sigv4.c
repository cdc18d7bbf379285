#include "form/sigv4.h"

#include "base/buf.h"
#include "form/hex.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum { BLOCK = 64, CANONICAL_MAX = 64 << 10 };

struct digest hmac_sha256(const void *key, size_t key_n, const void *p, size_t n)
{
	struct hash *h SCOPED(hash_freep) = hash_new();
	unsigned char inner[BLOCK] = {0}, outer[BLOCK];
	struct digest d;

	if (key_n > BLOCK) {
		d = digest_of(key, key_n);
		memcpy(inner, d.b, sizeof(d.b));
	} else if (key_n > 0) {
		memcpy(inner, key, key_n);
	}
	for (size_t i = 0; i < BLOCK; i++) {
		outer[i] = inner[i] ^ 0x5c;
		inner[i] ^= 0x36;
	}
	hash_add(h, inner, BLOCK);
	hash_add(h, p, n);
	d = hash_final(h);
	hash_add(h, outer, BLOCK);
	hash_add(h, d.b, sizeof(d.b));
	d = hash_final(h);
	explicit_bzero(inner, sizeof(inner));
	explicit_bzero(outer, sizeof(outer));
	return d;
}

char *sigv4_time(int64_t time_s)
{
	time_t t = (time_t)time_s;
	struct tm tm = {0};
	char text[32];

	(void)gmtime_r(&t, &tm);
	(void)strftime(text, sizeof(text), "%Y%m%dT%H%M%SZ", &tm);
	return mem_strdup(text);
}

static bool unreserved(unsigned char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

static void escape(const char *p, size_t n, bool slash, struct buf *out)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)p[i];

		if (unreserved(c) || (c == '/' && !slash))
			buf_add(out, &p[i], 1);
		else
			buf_addf(out, "%%%c%c", digits[c >> 4], digits[c & 15]);
	}
}

char *sigv4_escape(const char *text, bool slash)
{
	struct buf b = BUF_INIT(CANONICAL_MAX);

	escape(text, strlen(text), slash, &b);
	return buf_take(&b);
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decodes and encodes again: however it was written, it is signed in one way. */
static void recode(const char *p, size_t n, bool slash, struct buf *out)
{
	struct buf plain SCOPED(buf_release) = BUF_INIT(CANONICAL_MAX);

	for (size_t i = 0; i < n; i++) {
		int hi = i + 2 < n && p[i] == '%' ? hex_value(p[i + 1]) : -1;
		int lo = hi >= 0 ? hex_value(p[i + 2]) : -1;
		char c = p[i];

		if (lo >= 0)
			c = (char)(unsigned char)((unsigned)hi << 4 | (unsigned)lo);
		buf_add(&plain, &c, 1);
		i += lo >= 0 ? 2 : 0;
	}
	escape(plain.data, plain.len, slash, out);
}

/* Sorted by name, and by value where names are the same: '=' must not take part. */
static int by_name(const void *a, const void *b)
{
	const char *x = *(const char *const *)a, *y = *(const char *const *)b;
	size_t nx = strcspn(x, "="), ny = strcspn(y, "=");
	int c = memcmp(x, y, nx < ny ? nx : ny);

	if (c == 0 && nx != ny)
		c = nx < ny ? -1 : 1;
	return c != 0 ? c : strcmp(x + nx, y + ny);
}

static void add_query(const char *q, struct buf *out)
{
	struct strv all SCOPED(strv_release) = {0};

	while (*q != '\0' && *q != '#') {
		size_t n = strcspn(q, "&#"), name = strcspn(q, "=&#");
		struct buf one = BUF_INIT(CANONICAL_MAX);

		recode(q, name, true, &one);
		buf_add(&one, "=", 1);
		if (name < n)
			recode(q + name + 1, n - name - 1, true, &one);
		if (n > 0)
			strv_take(&all, buf_take(&one));
		else
			buf_release(&one);
		q += n + (q[n] == '&');
	}
	if (all.n > 0)
		qsort(all.v, all.n, sizeof(*all.v), by_name);
	for (size_t i = 0; i < all.n; i++)
		buf_addf(out, "%s%s", i > 0 ? "&" : "", all.v[i]);
}

/* "name:value" with the name in lower case, blanks trimmed and runs of them made one. */
static char *tidy(const char *line)
{
	struct buf b = BUF_INIT(CANONICAL_MAX);
	const char *colon = strchr(line, ':');
	bool blank = false;

	for (const char *p = line; p < colon; p++) {
		char c = *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p;

		buf_add(&b, &c, 1);
	}
	buf_add(&b, ":", 1);
	for (const char *p = colon + 1; *p != '\0'; p++) {
		if (*p == ' ' || *p == '\t') {
			blank = b.data[b.len - 1] != ':';
			continue;
		}
		if (blank)
			buf_add(&b, " ", 1);
		blank = false;
		buf_add(&b, p, 1);
	}
	return buf_take(&b);
}

/* Where a URL's host begins and how long it is. */
static const char *host_of(const char *url, size_t *ret_n)
{
	const char *at = strstr(url, "://");
	size_t n;

	if (at == NULL)
		return NULL;
	at += 3;
	n = strcspn(at, "/?#");
	*ret_n = n;
	/* the scheme's own port is not in the Host that is sent */
	if (n > 4 && strncmp(url, "https:", 6) == 0 && strncmp(at + n - 4, ":443", 4) == 0)
		*ret_n = n - 4;
	else if (n > 3 && strncmp(url, "http:", 5) == 0 && strncmp(at + n - 3, ":80", 3) == 0)
		*ret_n = n - 3;
	return n > 0 ? at : NULL;
}

static void add_headers(const struct sigv4_request *q, const char *host, struct buf *out,
			struct buf *names)
{
	struct strv all SCOPED(strv_release) = {0};

	strv_addf(&all, "host:%s", host);
	for (size_t i = 0; i < q->headers->n; i++)
		if (strchr(q->headers->v[i], ':') != NULL)
			strv_take(&all, tidy(q->headers->v[i]));
	strv_sort(&all);
	/* by the name alone: one that begins like another comes after it, whatever ':' is */
	for (size_t i = 1; i < all.n; i++)
		for (size_t k = i; k > 0; k--) {
			size_t a = strcspn(all.v[k - 1], ":"), b = strcspn(all.v[k], ":");
			int c = memcmp(all.v[k - 1], all.v[k], a < b ? a : b);

			if (c < 0 || (c == 0 && a <= b))
				break;
			SWAP(all.v[k - 1], all.v[k]);
		}
	for (size_t i = 0; i < all.n; i++) {
		size_t n = strcspn(all.v[i], ":");

		buf_addf(out, "%s\n", all.v[i]);
		buf_addf(names, "%s%.*s", i > 0 ? ";" : "", (int)n, all.v[i]);
	}
}

static int canonical(const struct sigv4_request *q, struct buf *out, struct buf *names,
		     struct err *e)
{
	size_t n;
	const char *host = host_of(q->url, &n), *path;
	char *name SCOPED(mem_freep) = NULL;

	if (host == NULL)
		return err_set(e, ERR_REMOTE, "cannot sign what is not a URL");
	name = mem_strndup(host, n);
	path = host + strcspn(host, "/?#");
	buf_addf(out, "%s\n", q->method);
	n = strcspn(path, "?#");
	if (n == 0)
		buf_add(out, "/", 1);
	recode(path, n, false, out);
	buf_add(out, "\n", 1);
	if (path[n] == '?')
		add_query(path + n + 1, out);
	buf_add(out, "\n", 1);
	add_headers(q, name, out, names);
	buf_addf(out, "\n%s\n%s", names->data, q->payload);
	return buf_over(out) ? err_set(e, ERR_FAIL, "a request too large to sign") : 0;
}

int sigv4_canonical(const struct sigv4_request *q, char **ret, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(CANONICAL_MAX);
	struct buf names SCOPED(buf_release) = BUF_INIT(CANONICAL_MAX);

	if (canonical(q, &text, &names, e) != 0)
		return -1;
	*ret = buf_take(&text);
	return 0;
}

/* A key for one day, one region, one service. */
static struct digest derive(const struct sigv4_key *k, const char *day)
{
	char *first = mem_format("AWS4%s", k->secret);
	struct digest d = hmac_sha256(first, strlen(first), day, 8);

	explicit_bzero(first, strlen(first));
	free(first);
	d = hmac_sha256(d.b, sizeof(d.b), k->region, strlen(k->region));
	d = hmac_sha256(d.b, sizeof(d.b), k->service, strlen(k->service));
	return hmac_sha256(d.b, sizeof(d.b), "aws4_request", 12);
}

int sigv4_authorize(const struct sigv4_request *q, const struct sigv4_key *k, char **ret,
		    struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(CANONICAL_MAX);
	struct buf names SCOPED(buf_release) = BUF_INIT(CANONICAL_MAX);
	char *when SCOPED(mem_freep) = sigv4_time(k->time_s);
	char *scope SCOPED(mem_freep) = NULL, *what SCOPED(mem_freep) = NULL;
	struct digest d;

	if (canonical(q, &text, &names, e) != 0)
		return -1;
	scope = mem_format("%.8s/%s/%s/aws4_request", when, k->region, k->service);
	d = digest_of(text.data, text.len);
	what = mem_format("AWS4-HMAC-SHA256\n%s\n%s\n%s", when, scope, digest_hex(&d).s);
	d = derive(k, when);
	d = hmac_sha256(d.b, sizeof(d.b), what, strlen(what));
	*ret = mem_format("AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s",
			  k->id, scope, names.data, digest_hex(&d).s);
	return 0;
}
