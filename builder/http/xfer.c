#include "http/xfer.h"

#include "sys/clock.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	HEADERS_MAX = 64 << 10,
	BODY_MAX = 8 << 20,
	STALL_MS = 60000,
	STALL_BYTES = 1024, /* fewer in a whole stall_ms is a stall: no slow drip either */
	FEW_BYTES = 4096,
	CONNECT_MS = 30000,
};

static void moved(struct xfer *x, uint64_t n)
{
	x->window_n += n;
	if (x->window_n < STALL_BYTES)
		return;
	x->window_n = 0;
	x->window_ms = clock_mono_ms();
}

bool xfer_stalled(struct xfer *x, uint64_t now_ms)
{
	uint64_t limit = x->c->q.stall_ms != 0 ? x->c->q.stall_ms : STALL_MS;
	char *shown SCOPED(mem_freep) = NULL;

	if (now_ms - x->window_ms < limit)
		return false;
	shown = http_shown(x->url);
	(void)err_set(&x->c->err, ERR_REMOTE, "%s %s: stalled: nothing moved for %llu.%llu s",
		      x->c->q.method, shown, (unsigned long long)(limit / 1000),
		      (unsigned long long)(limit % 1000 / 100));
	x->failed = &x->c->err;
	return true;
}

static int status_of(const struct xfer *x)
{
	long status = 0;

	(void)curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
	if (x->is_file)
		return x->c->q.offset > 0 ? 206 : 200;
	return (int)status;
}

static size_t on_body(char *p, size_t one, size_t n, void *ctx)
{
	struct xfer *x = ctx;
	struct http_call *c = x->c;
	int rc;

	n *= one;
	moved(x, n);
	x->few = n < FEW_BYTES;
	c->r.status = status_of(x);
	if (c->q.to != NULL && c->r.status / 100 == 2) {
		x->sink_used = true;
		rc = sink_write(c->q.to, p, n, &c->err);
	} else {
		buf_add(&c->r.body, p, n);
		rc = buf_over(&c->r.body)
			 ? err_set(&c->err, ERR_REMOTE, "answer larger than %d bytes", BODY_MAX)
			 : 0;
	}
	if (rc == 0)
		return n;
	x->failed = &c->err;
	return n == 0 ? 1 : 0;
}

/* "Name: value\r\n" to "name: value". */
static char *tidy(const char *p, size_t n)
{
	const char *colon = memchr(p, ':', n);
	size_t name = colon != NULL ? (size_t)(colon - p) : 0, from = name + 1;
	char *low SCOPED(mem_freep) = NULL, *value SCOPED(mem_freep) = NULL;

	if (name == 0)
		return NULL;
	while (n > from && strchr("\r\n \t", p[n - 1]) != NULL)
		n--;
	while (from < n && (p[from] == ' ' || p[from] == '\t'))
		from++;
	low = mem_strndup(p, name);
	for (char *s = low; *s != '\0'; s++)
		if (*s >= 'A' && *s <= 'Z')
			*s = (char)(*s - 'A' + 'a');
	value = mem_strndup(p + from, n - from);
	return mem_format("%s: %s", low, value);
}

static size_t on_header(char *p, size_t one, size_t n, void *ctx)
{
	struct xfer *x = ctx;
	char *line;

	n *= one;
	moved(x, n);
	x->few = true;
	x->header_bytes += n;
	if (x->header_bytes > HEADERS_MAX) {
		(void)err_set(&x->c->err, ERR_REMOTE, "answer with more than %d bytes of headers",
			      HEADERS_MAX);
		x->failed = &x->c->err;
		return 0;
	}
	if (n > 5 && memcmp(p, "HTTP/", 5) == 0) {
		/* a new answer: "100 Continue" came before */
		strv_release(&x->c->r.headers);
		return n;
	}
	line = tidy(p, n);
	if (line != NULL)
		strv_take(&x->c->r.headers, line);
	return n;
}

static size_t on_read(char *p, size_t one, size_t n, void *ctx)
{
	struct xfer *x = ctx;
	struct http_call *c = x->c;
	uint64_t left = c->q.body_size - c->sent;
	ssize_t r;

	n *= one;
	n = n < left ? n : (size_t)left;
	if (n == 0)
		return 0;
	if (c->q.body_fd < 0 && c->q.read_at != NULL) {
		size_t got = 0;

		if (c->q.read_at(c->q.read_ctx, c->sent, p, n, &got, &c->err) != 0) {
			x->failed = &c->err;
			return CURL_READFUNC_ABORT;
		}
		r = (ssize_t)(got < n ? got : n);
	} else if (c->q.body_fd < 0) {
		memcpy(p, (const char *)c->q.body + c->sent, n);
		r = (ssize_t)n;
	} else {
		r = pread(c->q.body_fd, p, n, x->body_start + (off_t)c->sent);
	}
	if (r <= 0) {
		(void)(r < 0 ? err_sys(&c->err, "read what is to be sent")
			     : err_set(&c->err, ERR_FAIL, "what is to be sent became shorter"));
		x->failed = &c->err;
		return CURL_READFUNC_ABORT;
	}
	c->sent += (uint64_t)r;
	moved(x, (uint64_t)r);
	return (size_t)r;
}

static int on_seek(void *ctx, curl_off_t to, int whence)
{
	struct xfer *x = ctx;

	if (whence != SEEK_SET || to < 0 || (uint64_t)to > x->c->q.body_size)
		return CURL_SEEKFUNC_FAIL;
	x->c->sent = (uint64_t)to;
	return CURL_SEEKFUNC_OK;
}

static curl_socket_t on_socket(void *ctx, curlsocktype why, struct curl_sockaddr *a)
{
	struct xfer *x = ctx;
	const struct http_request *q = &x->c->q;

	(void)why;
	if (q->may_connect != NULL && !q->may_connect(q->may_ctx, &a->addr)) {
		(void)err_set(&x->c->err, ERR_REMOTE, "leads to an address that is off limits");
		x->failed = &x->c->err;
		return CURL_SOCKET_BAD;
	}
	return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

static bool one_line(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < ' ' || *s == 127)
			return false;
	return true;
}

/* Whether nothing in the request could end a header line early. */
static bool clean(const struct http_request *q)
{
	bool ok = one_line(q->url) && (q->authorization == NULL || one_line(q->authorization));

	for (size_t i = 0; i < q->headers.n; i++)
		ok = ok && one_line(q->headers.v[i]);
	return ok;
}

static bool scheme_ok(const struct http_request *q, bool *ret_file)
{
	*ret_file = strncmp(q->url, "file:///", 8) == 0;
	return strncmp(q->url, "http://", 7) == 0 || strncmp(q->url, "https://", 8) == 0 ||
	       (*ret_file && strcmp(q->method, "GET") == 0);
}

enum xfer_next xfer_init(struct xfer *x, struct http_call *c)
{
	char *shown SCOPED(mem_freep) = http_shown(c->q.url);

	*x = (struct xfer){.c = c, .authorized = true};
	c->r = (struct http_reply){.body = BUF_INIT(BODY_MAX)};
	c->err = (struct err)ERR_INIT;
	c->sent = 0;
	c->rc = -1;
	x->start_ms = clock_mono_ms() + c->wait_ms;
	x->url = mem_strdup(c->q.url);
	if (!clean(&c->q)) {
		(void)err_set(&c->err, ERR_REMOTE, "%s: control character in a request", shown);
		return XFER_DONE;
	}
	if (!scheme_ok(&c->q, &x->is_file)) {
		(void)err_set(&c->err, ERR_REMOTE, "%s: not an http or https address", shown);
		return XFER_DONE;
	}
	if (c->q.body_fd >= 0 && c->q.body_size > 0)
		x->body_start = lseek(c->q.body_fd, 0, SEEK_CUR);
	if (x->body_start < 0) {
		(void)err_sys(&c->err, "%s: what is to be sent", shown);
		return XFER_DONE;
	}
	return XFER_REPEAT;
}

static void add_headers(struct xfer *x)
{
	const struct http_request *q = &x->c->q;

	for (size_t i = 0; i < q->headers.n; i++)
		x->headers = curl_slist_append(x->headers, q->headers.v[i]);
	if (q->authorization != NULL && x->authorized) {
		char *line SCOPED(mem_freep) = mem_format("Authorization: %s", q->authorization);

		x->headers = curl_slist_append(x->headers, line);
		explicit_bzero(line, strlen(line));
	}
	(void)curl_easy_setopt(x->easy, CURLOPT_HTTPHEADER, x->headers);
}

/* "500-", or "500-999". */
static char *range_of(const struct http_request *q)
{
	if (q->length == 0)
		return mem_format("%llu-", (unsigned long long)q->offset);
	return mem_format("%llu-%llu", (unsigned long long)q->offset,
			  (unsigned long long)(q->offset + q->length - 1));
}

static void set_method(struct xfer *x)
{
	const struct http_request *q = &x->c->q;
	CURL *h = x->easy;

	if (strcmp(q->method, "HEAD") == 0) {
		(void)curl_easy_setopt(h, CURLOPT_NOBODY, 1L);
	} else if (strcmp(q->method, "GET") != 0) {
		if (strcmp(q->method, "DELETE") != 0)
			(void)curl_easy_setopt(h, CURLOPT_UPLOAD, 1L);
		(void)curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, q->method);
		(void)curl_easy_setopt(h, CURLOPT_INFILESIZE_LARGE, (curl_off_t)q->body_size);
		(void)curl_easy_setopt(h, CURLOPT_READFUNCTION, on_read);
		(void)curl_easy_setopt(h, CURLOPT_READDATA, x);
		(void)curl_easy_setopt(h, CURLOPT_SEEKFUNCTION, on_seek);
		(void)curl_easy_setopt(h, CURLOPT_SEEKDATA, x);
		(void)curl_easy_setopt(h, CURLOPT_UPLOAD_BUFFERSIZE, 256L << 10);
	}
	/* not CURLOPT_RESUME_FROM: with that a server that sends all of it would be an error */
	if (q->offset > 0 || q->length > 0) {
		char *range SCOPED(mem_freep) = range_of(q);

		(void)curl_easy_setopt(h, CURLOPT_RANGE, range);
	}
}

int xfer_prepare(struct xfer *x)
{
	const char *trust = getenv("SSL_CERT_FILE");
	CURL *h = curl_easy_init();

	if (h == NULL)
		return err_set(&x->c->err, ERR_FAIL, "libcurl: cannot begin a request");
	x->easy = h;
	x->header_bytes = 0;
	x->failed = NULL;
	x->window_ms = clock_mono_ms();
	x->window_n = 0;
	x->c->sent = 0;
	x->attempt++;
	(void)curl_easy_setopt(h, CURLOPT_URL, x->url);
	(void)curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, x->is_file ? "file" : "http,https");
	(void)curl_easy_setopt(h, CURLOPT_USERAGENT, "posmedia/" POSMEDIA_VERSION);
	(void)curl_easy_setopt(h, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
	(void)curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS,
			       x->c->q.connect_ms != 0 ? (long)x->c->q.connect_ms
						       : (long)CONNECT_MS);
	(void)curl_easy_setopt(h, CURLOPT_SSL_VERIFYPEER, 1L);
	(void)curl_easy_setopt(h, CURLOPT_SSL_VERIFYHOST, 2L);
	(void)curl_easy_setopt(h, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	(void)curl_easy_setopt(h, CURLOPT_BUFFERSIZE, 256L << 10);
	(void)curl_easy_setopt(h, CURLOPT_TCP_KEEPALIVE, 1L);
	(void)curl_easy_setopt(h, CURLOPT_PRIVATE, x);
	(void)curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_body);
	(void)curl_easy_setopt(h, CURLOPT_WRITEDATA, x);
	(void)curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, on_header);
	(void)curl_easy_setopt(h, CURLOPT_HEADERDATA, x);
	(void)curl_easy_setopt(h, CURLOPT_OPENSOCKETFUNCTION, on_socket);
	(void)curl_easy_setopt(h, CURLOPT_OPENSOCKETDATA, x);
	if (x->c->q.unix_path != NULL) {
		(void)curl_easy_setopt(h, CURLOPT_UNIX_SOCKET_PATH, x->c->q.unix_path);
		(void)curl_easy_setopt(h, CURLOPT_PROXY, "");
	}
	if (x->c->q.always_proxy)
		(void)curl_easy_setopt(h, CURLOPT_NOPROXY, "");
	if (trust != NULL && trust[0] != '\0')
		(void)curl_easy_setopt(h, CURLOPT_CAINFO, trust);
	set_method(x);
	add_headers(x);
	return 0;
}

void xfer_drop_attempt(struct xfer *x)
{
	curl_easy_cleanup(x->easy);
	x->easy = NULL;
	curl_slist_free_all(x->headers);
	x->headers = NULL;
}

void xfer_release(struct xfer *x)
{
	xfer_drop_attempt(x);
	free(x->url);
	*x = (struct xfer){0};
}
