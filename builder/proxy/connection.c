#include "proxy/parts.h"

#include "sys/clock.h"
#include "sys/fs.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/time.h>
#include <unistd.h>

enum { CHUNK = 64 << 10 };

struct conn {
	const struct server *sv;
	int fd;
	SSL_CTX *ctx;
	SSL *ssl;      /* after CONNECT */
	struct url to; /* the server that CONNECT named */
	char buf[HTTPHEAD_MAX];
	size_t n;   /* bytes in buf */
	bool close; /* after this answer */
};

static ssize_t get(struct conn *c, void *p, size_t n)
{
	ssize_t got;

	if (c->ssl != NULL)
		return SSL_read(c->ssl, p, (int)n);
	do
		got = recv(c->fd, p, n, 0);
	while (got < 0 && errno == EINTR);
	return got;
}

static int put(struct conn *c, const void *p, size_t n)
{
	const char *at = p;

	while (n > 0) {
		ssize_t w = c->ssl != NULL ? SSL_write(c->ssl, at, (int)(n < CHUNK ? n : CHUNK))
					   : send(c->fd, at, n, MSG_NOSIGNAL);

		if (w < 0 && c->ssl == NULL && errno == EINTR)
			continue;
		if (w <= 0)
			return -1;
		at += w;
		n -= (size_t)w;
	}
	return 0;
}

/* Reads until a whole head is there; its bytes, or 0 at the end of the connection or of patience.
 */
static size_t read_head(struct conn *c, struct err *e)
{
	uint64_t end = clock_mono_ms() + c->sv->limits.idle_ms;
	size_t head;

	while ((head = httphead_size(c->buf, c->n)) == 0) {
		ssize_t got;

		if (c->n == sizeof(c->buf)) {
			(void)err_set(e, ERR_STEP, "a request whose head is larger than %d bytes",
				      HTTPHEAD_MAX);
			(void)refuse(c->sv, e);
			return 0;
		}
		got = clock_mono_ms() < end ? get(c, c->buf + c->n, sizeof(c->buf) - c->n) : 0;
		if (got <= 0)
			return 0;
		c->n += (size_t)got;
	}
	return head;
}

/* A short answer of our own. */
static int say(struct conn *c, int status, const char *why, bool head_only)
{
	char *text SCOPED(mem_freep) =
	    mem_format("HTTP/1.1 %d Posmedia\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n"
		       "Connection: %s\r\n\r\n%s%s",
		       status, strlen(why) + 1, c->close ? "close" : "keep-alive",
		       head_only ? "" : why, head_only ? "" : "\n");

	return put(c, text, strlen(text));
}

static int say_refused(struct conn *c, int status, const struct err *why)
{
	c->close = true;
	return say(c, status, why->msg, false);
}

static int send_body(struct conn *c, const struct lock_recorded *en, struct err *e)
{
	char *chunk SCOPED(mem_freep) = mem_zalloc(CHUNK);
	int fd SCOPED(fd_closep) = -1;
	uint64_t left = en->size;

	if (left == 0)
		return 0;
	if (store_get(c->sv->s, &en->digest, &fd, e) != 0)
		return -1;
	while (left > 0) {
		ssize_t n = read(fd, chunk, left < CHUNK ? (size_t)left : CHUNK);

		if (n <= 0)
			return err_set(e, ERR_FAIL, "%s: its blob became shorter", en->url);
		if (put(c, chunk, (size_t)n) != 0)
			return err_set(e, ERR_FAIL, "%s: the step hung up", en->url);
		left -= (uint64_t)n;
	}
	return 0;
}

static void add_header(struct buf *b, const char *name, const char *value)
{
	if (value != NULL)
		buf_addf(b, "%s: %s\r\n", name, value);
}

static int send_entry(struct conn *c, const struct lock_recorded *en, bool head_only, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(4 * URL_MAX);

	buf_addf(&b, "HTTP/1.1 %d %s\r\n", en->status, en->status == 200 ? "OK" : "Recorded");
	add_header(&b, "Content-Type", en->type);
	add_header(&b, "Content-Encoding", en->encoding);
	add_header(&b, "Location", en->location);
	if (en->status != 204)
		buf_addf(&b, "Content-Length: %llu\r\n", (unsigned long long)en->size);
	buf_addf(&b, "Connection: %s\r\n\r\n", c->close ? "close" : "keep-alive");
	if (put(c, b.data, b.len) != 0)
		return err_set(e, ERR_FAIL, "%s: the step hung up", en->url);
	return head_only ? 0 : send_body(c, en, e);
}

/* Over TLS the target is a path on the server that CONNECT named; else it is a whole URL. */
static int find_url(const struct conn *c, const struct httphead *h, struct url *ret, struct err *e)
{
	const char *host = httphead_get(h, "host");
	char *authority SCOPED(mem_freep) = NULL, *full SCOPED(mem_freep) = NULL;

	if (c->ssl == NULL) {
		if (strncasecmp(h->target, "http://", 7) != 0)
			return err_set(e, ERR_REMOTE, "%s %.200s: not a request for a proxy",
				       h->method,
				       strchr(h->target, '@') == NULL ? h->target : "...");
		return url_parse(h->target, ret, e);
	}
	authority = url_authority(&c->to);
	full = mem_format("%s:%u", c->to.host, (unsigned)c->to.port);
	if (host != NULL && strcasecmp(host, authority) != 0 && strcasecmp(host, full) != 0)
		return err_set(e, ERR_REMOTE, "asks %s for a page of another host", authority);
	if (url_parse_authority(full, true, ret, e) != 0)
		return -1;
	return h->target[0] == '/' ? url_set_path(ret, h->target, e)
				   : err_set(e, ERR_REMOTE, "%s: the target is no path", authority);
}

/* What is not done at all, whatever the record says. */
static int check_request(const struct server *sv, const struct httphead *h, const struct url *u,
			 int *ret_status, struct err *e)
{
	char *url SCOPED(mem_freep) = url_text(u);

	*ret_status = 405;
	if (strcmp(h->method, "GET") != 0 && strcmp(h->method, "HEAD") != 0) {
		(void)err_set(e, ERR_STEP, "%s %s: only GET and HEAD can be recorded", h->method,
			      url);
		return err_hint(e, "let the step fetch, and send what it has to say elsewhere");
	}
	*ret_status = 400;
	if (h->has_body)
		return err_set(e, ERR_STEP, "%s %s: with a body", h->method, url);
	*ret_status = 429;
	if (atomic_fetch_add(&sv->counters->requests, 1) >= sv->limits.requests_max)
		return err_set(e, ERR_STEP, "%s: the request after the last of %u", url,
			       sv->limits.requests_max);
	return 0;
}

static int answer(struct conn *c, const struct httphead *h, const struct url *u)
{
	bool head_only = strcmp(h->method, "HEAD") == 0;
	struct lock_recorded en = {0};
	struct err e = ERR_INIT;
	int status = 500, rc;

	if (check_request(c->sv, h, u, &status, &e) != 0) {
		(void)refuse(c->sv, &e);
		return say_refused(c, status, &e);
	}
	if (lookup(c->sv, u, h, &en, &status, &e) != 0)
		return say(c, status, e.msg, head_only);
	rc = send_entry(c, &en, head_only, &e);
	lock_recorded_release(&en);
	return rc;
}

static int tls_failed(struct conn *c, const char *host)
{
	struct err e = ERR_INIT;

	(void)err_set(&e, ERR_STEP,
		      "https to %s: the step does not accept the proxy's certificate "
		      "or speaks no TLS",
		      host);
	return note(c->sv, &e);
}

static int start_tls(struct conn *c, const struct httphead *h, struct err *e)
{
	static const char ok[] = "HTTP/1.1 200 Connected\r\n\r\n";

	if (c->ssl != NULL || c->n > 0)
		return err_set(e, ERR_REMOTE, "CONNECT where it cannot be");
	if (url_parse_authority(h->target, true, &c->to, e) != 0 ||
	    ca_context(c->sv->ca, c->to.host, &c->ctx, e) != 0)
		return -1;
	c->ssl = SSL_new(c->ctx);
	if (c->ssl == NULL || SSL_set_fd(c->ssl, c->fd) != 1)
		return err_set(e, ERR_FAIL, "OpenSSL: cannot begin");
	if (send(c->fd, ok, sizeof(ok) - 1, MSG_NOSIGNAL) != (ssize_t)sizeof(ok) - 1)
		return -1;
	if (SSL_accept(c->ssl) != 1) {
		c->close = true;
		return tls_failed(c, c->to.host);
	}
	return 0;
}

static bool wants_close(const struct httphead *h)
{
	const char *a = httphead_get(h, "connection"), *b = httphead_get(h, "proxy-connection");

	return h->old || (a != NULL && strcasecmp(a, "close") == 0) ||
	       (b != NULL && strcasecmp(b, "close") == 0);
}

/* Handles one request. -1: no more on this connection. */
static int request(struct conn *c, const struct httphead *h)
{
	struct url u SCOPED(url_release) = {0};
	struct err e = ERR_INIT;

	c->close = wants_close(h);
	if (strcmp(h->method, "CONNECT") == 0) {
		c->close = false;
		if (start_tls(c, h, &e) == 0)
			return 0;
		if (c->close || e.msg[0] == '\0')
			return -1;
	} else if (find_url(c, h, &u, &e) == 0) {
		return answer(c, h, &u);
	}
	(void)refuse(c->sv, &e);
	return say_refused(c, 400, &e);
}

static int next(struct conn *c)
{
	struct httphead h SCOPED(httphead_release) = {0};
	struct err e = ERR_INIT;
	size_t n = read_head(c, &e);

	if (n == 0)
		return e.msg[0] != '\0' ? say_refused(c, 431, &e) : -1;
	if (httphead_parse(c->buf, n, &h, &e) != 0) {
		(void)refuse(c->sv, &e);
		(void)say_refused(c, 400, &e);
		return -1;
	}
	c->n -= n;
	memmove(c->buf, c->buf + n, c->n);
	return request(c, &h);
}

static void set_patience(int fd, uint64_t ms)
{
	const struct timeval t = {(time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000)};

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
}

void connection(const struct server *sv, int fd)
{
	struct conn *c = mem_zalloc(sizeof(*c));

	c->sv = sv;
	c->fd = fd;
	set_patience(fd, sv->limits.idle_ms);
	while (!c->close && next(c) == 0)
		;
	if (c->ssl != NULL)
		(void)SSL_shutdown(c->ssl);
	SSL_free(c->ssl);
	SSL_CTX_free(c->ctx);
	url_release(&c->to);
	free(c);
}
