/* http.h - HTTP(S): the door to libcurl. TLS is verified always; redirects are followed by us, at
 * most 8, and Authorization never crosses to another host, port or scheme. */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include "base/buf.h"
#include "base/err.h"
#include "base/sink.h"
#include "base/strv.h"
#include "form/digest.h"
#include <stdint.h>

struct http_request {
	const char *method; /* "GET", "HEAD", "PUT", "POST", "PATCH", "DELETE" */
	const char *url;
	struct strv headers;       /* "Name: value" */
	const char *authorization; /* value of the header, sent only to the first host; or NULL */
	int body_fd;               /* < 0 = none; sent from its position */
	uint64_t body_size;        /* bytes of body_fd, or of body */
	const void *body;          /* when body_fd < 0 */
	const struct sink *to;     /* where a 2xx body goes; NULL = into reply->body */
	uint64_t offset;           /* > 0: Range: bytes=offset- ; see reply->status 206 */
	uint64_t stall_ms;         /* give up when nothing moves for so long; 0 = 60 s */
	unsigned tries;            /* 0 = 4; only what may be repeated is repeated */
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
 * the method is idempotent and nothing of the body sink was used. */
int http_send(const struct http_request *q, struct http_reply *ret, struct err *e) MUST_CHECK;

void http_reply_release(struct http_reply *r);

/* The value of a header in a reply, or NULL; name in lower case. */
const char *http_header(const struct http_reply *r, const char *name);

/* A quick error from a reply: "METHOD URL: 403 <first line of body>", kind ERR_REMOTE. */
int http_refused(const struct http_request *q, const struct http_reply *r, struct err *e);

#endif
