#include "ledger/bucket.h"

#include "base/fault.h"
#include "form/hex.h"
#include "form/sigv4.h"
#include <stdlib.h>
#include <string.h>

enum { BUCKET_MIN = 3, BUCKET_MAX = 63, PREFIX_MAX = 512, STALL_MS = 30000, KEYS_MAX = 10000000 };
static const char scheme[] = "s3://";

bool bucket_ok(const char *where)
{
	static const char may[] = "abcdefghijklmnopqrstuvwxyz0123456789.-";
	size_t n;

	if (strncmp(where, scheme, sizeof(scheme) - 1) != 0)
		return false;
	where += sizeof(scheme) - 1;
	n = strspn(where, may);
	return n >= BUCKET_MIN && n <= BUCKET_MAX && (where[n] == '\0' || where[n] == '/') &&
	       strlen(where + n) <= PREFIX_MAX;
}

int bucket_open(const char *where, uint64_t connect_ms, struct bucket *ret, struct err *e)
{
	const char *at = where + sizeof(scheme) - 1;
	struct bucket b = {.s3 = NULL};
	char *name SCOPED(mem_freep) = NULL;
	size_t n, rest;
	int rc;

	if (!bucket_ok(where))
		return err_set(e, ERR_USAGE, "%.100s: a mirror is s3://BUCKET/PREFIX", where);
	n = strcspn(at, "/");
	rest = strlen(at + n);
	while (rest > 0 && at[n + rest - 1] == '/')
		rest--;
	name = mem_strndup(at, n);
	b.prefix = rest > 1 ? mem_format("%.*s/", (int)rest - 1, at + n + 1) : mem_strdup("");
	b.http = http_new();
	rc = connect_ms != 0 ? s3_open_soon(name, b.http, connect_ms, &b.s3, e)
			     : s3_open(name, b.http, false, &b.s3, e);
	if (rc != 0) {
		bucket_release(&b);
		return -1;
	}
	*ret = b;
	return 0;
}

void bucket_release(struct bucket *b)
{
	s3_free(b->s3);
	http_free(b->http);
	free(b->prefix);
	*b = (struct bucket){.s3 = NULL};
}

char *bucket_key(const struct bucket *b, const char *chain, uint64_t seq)
{
	return mem_format("%s%s/%016llu.jsonl", b->prefix, chain, (unsigned long long)seq);
}

static char *url_of(const struct bucket *b, const char *key)
{
	char *escaped SCOPED(mem_freep) = sigv4_escape(key, false);

	return mem_format("%s/%s", b->s3->base, escaped);
}

int bucket_get(struct bucket *b, const char *key, struct buf *ret, struct err *e)
{
	char *url SCOPED(mem_freep) = url_of(b, key);
	struct http_request q = {
	    .method = "GET", .url = url, .body_fd = -1, .stall_ms = STALL_MS, .via = b->http};
	struct http_reply r = {0};
	int rc = 0;

	if (s3_send(b->s3, &q, NULL, &r, e) != 0)
		return -1;
	if (r.status == 200)
		buf_add(ret, r.body.data, r.body.len);
	else if (r.status == 404)
		rc = 1;
	else
		rc = s3_refused(&q, &r, e);
	http_reply_release(&r);
	if (rc == 0 && buf_over(ret))
		return err_set(e, ERR_VERIFY, "%s is too large", key);
	return rc;
}

/* One sending; *ret is the status. */
static int send_once(struct bucket *b, const char *url, const struct buf *text, int *ret,
		     struct err *e)
{
	struct digest d = digest_of(text->data, text->len);
	char *sum SCOPED(mem_freep) = base64_encode(d.b, sizeof(d.b));
	struct http_request q = {.method = "PUT",
				 .url = url,
				 .body_fd = -1,
				 .body = text->data,
				 .body_size = text->len,
				 .stall_ms = STALL_MS,
				 .via = b->http};
	struct http_reply r = {0};
	int rc;

	strv_add(&q.headers, "Content-Type: application/jsonl");
	strv_addf(&q.headers, "x-amz-checksum-sha256: %s", sum);
	if (b->s3->condition != S3_REFUSES)
		strv_add(&q.headers, "If-None-Match: *");
	s3_lock_headers(b->s3, &q.headers);
	rc = s3_send(b->s3, &q, &d, &r, e);
	strv_release(&q.headers);
	if (rc != 0)
		return -1;
	*ret = r.status;
	if (r.status != 200 && r.status != 412 && r.status != 409 && r.status != 501)
		rc = s3_refused(&q, &r, e);
	http_reply_release(&r);
	return rc;
}

int bucket_put(struct bucket *b, const char *key, const struct buf *text, struct err *e)
{
	char *url SCOPED(mem_freep) = url_of(b, key);
	struct buf there SCOPED(buf_release) = BUF_INIT(LEDGER_SEGMENT_BYTES);
	int status = 0, rc;

	/* a server that makes nothing of conditions would write over it */
	rc = bucket_get(b, key, &there, e);
	if (rc != 1)
		return rc == 0 ? 1 : -1;
	fault_point("noted: mirror");
	if (send_once(b, url, text, &status, e) != 0)
		return -1;
	if (status == 501) {
		b->s3->condition = S3_REFUSES;
		if (send_once(b, url, text, &status, e) != 0)
			return -1;
	}
	if (status == 200)
		return 0;
	return status == 412 ? 1 : err_set(e, ERR_REMOTE, "PUT %s: %d", url, status);
}

static int take(void *ctx, const struct s3_object *o, struct err *e)
{
	struct strv *l = ctx;

	if (l->n == KEYS_MAX)
		return err_set(e, ERR_REMOTE, "more than %d objects", KEYS_MAX);
	strv_add(l, o->key);
	return 0;
}

int bucket_list(struct bucket *b, struct strv *ret, struct err *e)
{
	const struct s3_listing l = {b->prefix, take, ret, b->http};

	if (s3_objects(b->s3, &l, e) != 0)
		return -1;
	strv_sort(ret);
	return 0;
}
