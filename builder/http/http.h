/* http.h - HTTP(S): the door to libcurl. TLS is verified always; redirects are followed by us, at
 * most 8, and Authorization never crosses to another host, port or scheme.
 *
 * The environment is honoured as libcurl documents it (http_proxy, https_proxy, no_proxy) and so
 * is SSL_CERT_FILE, a PEM file of authorities to trust instead of the system's. */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include "base/buf.h"
#include "base/err.h"
#include "base/sink.h"
#include "base/strv.h"
#include "form/digest.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* Connections that stay open between requests. */
struct http;
struct http *http_new(void) MUST_CHECK;
void http_free(struct http *h);
void http_freep(struct http **h);

/* From that moment of clock_mono_ms on nothing more comes by these connections: what is under way
 * is dropped, what begins fails, both with ERR_REMOTE. 0 = never, as at first. */
void http_until(struct http *h, uint64_t mono_ms);

struct http_request {
	const char *method;        /* "GET", "HEAD", "PUT", "POST", "PATCH", "DELETE" */
	const char *url;           /* http or https; file as well for GET */
	struct strv headers;       /* "Name: value" */
	const char *authorization; /* value of the header, sent only to the first host; or NULL */
	int body_fd;               /* < 0 = none; sent from its position, which must be seekable */
	uint64_t body_size;        /* bytes of body_fd, or of body */
	const void *body;          /* when body_fd < 0 and read_at is NULL */
	/* Where the body comes from when body_fd < 0, or NULL: gives at least 1 of the n bytes from
	 * offset `at`, any number of times, and says in *ret_n how many. */
	int (*read_at)(void *ctx, uint64_t at, void *p, size_t n, size_t *ret_n, struct err *e);
	void *read_ctx;
	const struct sink *to; /* where a 2xx body goes; NULL = into reply->body. The reply's
				  status and headers are set before the first byte comes */
	uint64_t offset;       /* > 0: Range: bytes=offset- ; see reply->status 206 */
	uint64_t length;       /* > 0: Range: bytes=offset-LAST, so many of them */
	uint64_t stall_ms;     /* give up when hardly anything moves for so long; 0 = 60 s */
	uint64_t connect_ms;   /* give up connecting after so long; 0 = 30 s */
	unsigned tries;        /* 0 = 4; only what may be repeated is repeated */
	bool as_is;            /* a redirect is an answer like others, not followed */
	bool always_proxy;     /* no_proxy of the environment makes no exception */
	/* Whether to connect to this address, asked for each one before it is used; NULL = any. A
	 * no ends the request. Behind a proxy of the environment it is the proxy's address. */
	bool (*may_connect)(void *ctx, const struct sockaddr *to);
	void *may_ctx;
	const char *unix_path; /* connect to this socket, whatever the URL's host, and to no
				  proxy; NULL = over the network */
	struct http *via;      /* whose connections to use; NULL = a new one */
};

struct http_reply {
	int status;          /* HTTP status of the last answer */
	struct strv headers; /* "name: value", names in lower case */
	struct buf body;     /* at most 8 MiB; of any status when `to` is NULL, of errors always */
	char *url;           /* the URL that answered, after redirects */
};

/* Sends and follows. Any HTTP status is a success here; -1 (kind ERR_REMOTE) is for no usable
 * answer: name, connection, TLS, stall, too many redirects, interrupt. Connection failures, 408,
 * 429 (Retry-After is kept, at most 60 s), 500, 502, 503 and 504 are tried again with jitter when
 * the method is idempotent and nothing of the body sink was used. A missing file: URL is 404. */
int http_send(const struct http_request *q, struct http_reply *ret, struct err *e) MUST_CHECK;

void http_reply_release(struct http_reply *r);

/* The value of a header in a reply, or NULL; name in lower case. */
const char *http_header(const struct http_reply *r, const char *name);

/* Whether the body of this reply goes on at `offset`, as was asked for: a 206 whose Content-Range,
 * if there is one, begins there. */
bool http_goes_on(const struct http_reply *r, uint64_t offset);

/* A quick error from a reply: "METHOD URL: 403 <first line of body>", kind ERR_REMOTE. */
int http_refused(const struct http_request *q, const struct http_reply *r, struct err *e);

/* One of several requests that are under way at once. */
struct http_call {
	struct http_request q; /* `via` is not used */
	uint64_t wait_ms;      /* begin not before so long from now */
	struct http_reply r;   /* out, when rc is 0; whoever gets the call in done() releases it */
	uint64_t sent;         /* out: bytes of the request's body that are on their way */
	int rc;                /* out: what http_send would return, and its error */
	struct err err;
};

struct http_work {
	/* The next call to begin, or NULL when there is none now; it stays the caller's and must
	 * stay where it is until done. Asked again after every done and http_wake, as long as any
	 * call is under way. */
	struct http_call *(*next)(void *ctx);
	/* One call has ended, well or not. May make it the next one again. -1 with *e set: all
	 * others are dropped (without done) and http_run fails. */
	int (*done)(void *ctx, struct http_call *c, struct err *e);
	/* Called about ten times a second; may be NULL. */
	void (*tick)(void *ctx);
	void *ctx;
	unsigned parallel; /* calls at once, at least 1 */
};

/* Runs calls until next() has no more and all are done. -1 on an interrupt or when done() says so.
 */
int http_run(struct http *h, const struct http_work *w, struct err *e) MUST_CHECK;

/* Has http_run ask next() again soon. Any thread may call it. */
void http_wake(struct http *h);

/* `location` (absolute or relative) as seen from the URL `base`. Anything but http and https, user
 * names in it, and a step down from https to http are refused (ERR_REMOTE). The caller owns *ret.
 */
int http_resolve(const char *base, const char *location, char **ret, struct err *e) MUST_CHECK;

/* Whether two URLs have scheme, host and port in common. */
bool http_same_origin(const char *a, const char *b);

/* A URL for messages: without user, password, query and fragment. The caller owns it. */
char *http_shown(const char *url) MUST_CHECK;

/* Percent-encodes what is not unreserved (RFC 3986). The caller owns it. */
char *http_escape(const char *text) MUST_CHECK;

#endif
