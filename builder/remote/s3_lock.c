/* s3_lock.c - objects that nobody, not even their owner, changes or removes before a time. */
#include "remote/s3.h"

#include "form/hex.h"
#include "form/xml.h"
#include "sys/clock.h"
#include <stdlib.h>
#include <string.h>

enum { BODY_MAX = 1024 };

static char *until_of(const struct s3 *s, int64_t *ret)
{
	*ret = clock_wall_s() + s->skew_s + (int64_t)s->lock_s;
	return clock_rfc3339(*ret);
}

void s3_lock_headers(const struct s3 *s, struct strv *headers)
{
	char *until SCOPED(mem_freep) = NULL;
	int64_t at;

	if (s->lock_s == 0)
		return;
	until = until_of(s, &at);
	strv_add(headers, "x-amz-object-lock-mode: COMPLIANCE");
	strv_addf(headers, "x-amz-object-lock-retain-until-date: %s", until);
}

/* Until when it is locked now, seconds; 0 = it is not, or in a way that its owner can undo. */
static int locked_until(struct registry *r, const char *url, int64_t *ret, struct err *e)
{
	struct http_request q = {.method = "GET", .url = url, .body_fd = -1, .via = r->http};
	struct http_reply reply = {0};
	char *mode SCOPED(mem_freep) = NULL, *text SCOPED(mem_freep) = NULL;
	int rc = 0;

	*ret = 0;
	if (s3_send(r->s3, &q, NULL, &reply, e) != 0)
		return -1;
	if (reply.status == 200)
		mode = xml_get(reply.body.data, reply.body.len, "Retention/Mode");
	if (mode != NULL && strcmp(mode, "COMPLIANCE") == 0)
		text = xml_get(reply.body.data, reply.body.len, "Retention/RetainUntilDate");
	if (reply.status != 200 && reply.status != 404)
		rc = s3_refused(&q, &reply, e);
	if (text != NULL && clock_parse(text, ret) != 0)
		rc = err_set(e, ERR_REMOTE, "%s: is locked until \"%.40s\", which is no time", url,
			     text);
	http_reply_release(&reply);
	return rc;
}

static int lock(struct registry *r, const char *url, const char *until, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(BODY_MAX);
	struct http_request q = {.method = "PUT", .url = url, .body_fd = -1, .via = r->http};
	struct http_reply reply = {0};
	char *sum SCOPED(mem_freep) = NULL;
	struct digest d;
	int rc;

	buf_addf(&b,
		 "<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Mode>COMPLIANCE"
		 "</Mode><RetainUntilDate>%s</RetainUntilDate></Retention>",
		 until);
	d = digest_of(b.data, b.len);
	sum = base64_encode(d.b, DIGEST_BYTES);
	q.body = b.data;
	q.body_size = b.len;
	strv_addf(&q.headers, "x-amz-checksum-sha256: %s", sum);
	rc = s3_send(r->s3, &q, &d, &reply, e);
	strv_release(&q.headers);
	if (rc != 0)
		return -1;
	if (reply.status / 100 != 2)
		rc = s3_refused(&q, &reply, e);
	http_reply_release(&reply);
	return rc;
}

int s3_lock_longer(struct registry *r, const char *url, struct err *e)
{
	char *at SCOPED(mem_freep) = mem_format("%s?retention=", url),
		 *until SCOPED(mem_freep) = NULL;
	int64_t want, have;

	if (r->s3->lock_s == 0)
		return 0;
	until = until_of(r->s3, &want);
	if (locked_until(r, at, &have, e) != 0)
		return -1;
	return have >= want ? 0 : lock(r, at, until, e);
}
