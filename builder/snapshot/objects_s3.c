/* objects_s3.c - objects as keys of a bucket. Each is put on condition that it is not there, where
 * the server knows such conditions; where not, it is put again with the same bytes. */
#include "snapshot/objects.h"

#include "base/fault.h"
#include "base/num.h"
#include "form/hex.h"
#include "form/sigv4.h"
#include "form/xml.h"
#include "remote/s3.h"
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BUCKET_MAX = 63, STALL_MS = 300000 };
enum { ROUNDS = 6, WAIT_US = 200000 };

struct bucket {
	struct s3 *s3;
	struct http *http;
	pthread_mutex_t lock; /* one request at a time */
	char *prefix;         /* "" or ends in a slash */
};

static void bucket_free(void *ctx)
{
	struct bucket *b = ctx;

	s3_free(b->s3);
	http_free(b->http);
	free(b->prefix);
	(void)pthread_mutex_destroy(&b->lock);
	free(b);
}

static char *url_of(const struct bucket *b, const char *name)
{
	char *key SCOPED(mem_freep) = mem_format("%s%s", b->prefix, name);
	char *escaped SCOPED(mem_freep) = sigv4_escape(key, false);

	return mem_format("%s/%s", b->s3->base, escaped);
}

static int ask(struct bucket *b, struct http_request *q, const struct digest *body,
	       struct http_reply *ret, struct err *e)
{
	int rc;

	(void)pthread_mutex_lock(&b->lock);
	q->via = b->http;
	rc = s3_send(b->s3, q, body, ret, e);
	(void)pthread_mutex_unlock(&b->lock);
	return rc;
}

/* One sending; *ret_status is what came of it, when it is no refusal. */
static int put_once(struct bucket *b, struct http_request *q, const struct digest *d,
		    int *ret_status, struct err *e)
{
	struct http_reply r = {0};
	int rc = 0;

	if (lseek(q->body_fd, 0, SEEK_SET) != 0)
		return err_sys(e, "seek");
	if (ask(b, q, d, &r, e) != 0)
		return -1;
	*ret_status = r.status;
	if (r.status != 200 && r.status != 409 && r.status != 412 && r.status != 501)
		rc = s3_refused(q, &r, e);
	http_reply_release(&r);
	return rc;
}

/* Whether what has the name is whole: 1 when nothing has it any more. */
static int is_whole(struct bucket *b, const char *url, uint64_t size, struct err *e)
{
	struct http_request q = {.method = "HEAD", .url = url, .body_fd = -1};
	struct http_reply r = {0};
	const char *length;
	uint64_t n = 0;
	int rc = 0;

	if (ask(b, &q, NULL, &r, e) != 0)
		return -1;
	length = http_header(&r, "content-length");
	if (r.status == 404)
		rc = 1;
	else if (r.status != 200)
		rc = s3_refused(&q, &r, e);
	else if (length == NULL || num_u64(length, INT64_MAX, &n) != 0 || n != size)
		rc = err_set(e, ERR_REMOTE, "is there already, but not with %llu bytes",
			     (unsigned long long)size);
	http_reply_release(&r);
	return rc;
}

/* Sends until it is settled. 409 says that another is writing the same name, not that it is there.
 */
static int put_until(struct bucket *b, struct http_request *q, const struct digest *d, bool named,
		     struct err *e)
{
	int status = 0, rc = 0;

	for (unsigned round = 1; round <= ROUNDS; round++) {
		rc = put_once(b, q, d, &status, e);
		if (rc == 0 && status == 501 && b->s3->condition != S3_REFUSES) {
			b->s3->condition = S3_REFUSES;
			free(q->headers.v[--q->headers.n]);
			q->headers.v[q->headers.n] = NULL;
			rc = put_once(b, q, d, &status, e);
		}
		if (rc == 0 && status == 412 && named)
			rc = is_whole(b, q->url, q->body_size, e);
		if (rc < 0 || (rc == 0 && status != 409))
			break;
		(void)usleep(round * WAIT_US);
	}
	if (rc < 0)
		return -1;
	return rc == 0 && (status == 200 || status == 412)
		   ? 0
		   : err_set(e, ERR_REMOTE, "PUT %s: %d", q->url, status);
}

/* What names are made from content is the same wherever it is whole; of other names who comes first
 * has won. */
static int bucket_put(void *ctx, const char *name, int fd, uint64_t size, struct err *e)
{
	struct bucket *b = ctx;
	char *url SCOPED(mem_freep) = url_of(b, name), *sum SCOPED(mem_freep) = NULL;
	struct http_request q = {
	    .method = "PUT", .url = url, .body_fd = fd, .body_size = size, .stall_ms = STALL_MS};
	struct digest d;
	int rc;

	if (digest_fd(fd, &d, NULL, e) != 0)
		return -1;
	sum = base64_encode(d.b, sizeof(d.b));
	strv_add(&q.headers, "Content-Type: application/octet-stream");
	strv_addf(&q.headers, "x-amz-checksum-sha256: %s", sum);
	if (b->s3->condition != S3_REFUSES)
		strv_add(&q.headers, "If-None-Match: *");
	fault_point("snapshot object");
	rc = put_until(b, &q, &d, strchr(name, '/') != NULL, e);
	strv_release(&q.headers);
	return rc;
}

static int bucket_read(void *ctx, const char *name, uint64_t from, struct object_part *part,
		       struct err *e)
{
	struct bucket *b = ctx;
	char *url SCOPED(mem_freep) = url_of(b, name);
	struct http_request q = {.method = "GET", .url = url, .body_fd = -1};
	struct http_reply r = {0};
	int rc = 0;

	strv_addf(&q.headers, "Range: bytes=%llu-%llu", (unsigned long long)from,
		  (unsigned long long)(from + part->n - 1));
	if (part->n > 0)
		rc = ask(b, &q, NULL, &r, e);
	strv_release(&q.headers);
	if (rc != 0 || part->n == 0)
		return rc;
	if (r.status == 404) {
		rc = 1;
	} else if (r.status == 206 || (r.status == 200 && from == 0)) {
		part->got = r.body.len < part->n ? r.body.len : part->n;
		memcpy(part->p, r.body.data, part->got);
	} else if (r.status != 416) {
		rc = s3_refused(&q, &r, e);
	}
	http_reply_release(&r);
	return rc;
}

/* What is called as the folder alone is how some programs say that there is one. */
static int take(void *ctx, const struct s3_object *o, struct err *e)
{
	struct object_list *l = ctx;

	(void)e;
	if (o->key[0] == '\0')
		return 0;
	if (l->n == l->cap)
		l->v = mem_resize(l->v, l->cap = l->cap * 2 + 64, sizeof(*l->v));
	l->v[l->n++] = (struct object){mem_strdup(o->key), o->size, o->time};
	return 0;
}

static int bucket_list(void *ctx, const char *folder, struct object_list *ret, struct err *e)
{
	struct bucket *b = ctx;
	char *prefix SCOPED(mem_freep) = mem_format("%s%s/", b->prefix, folder);
	const struct s3_listing l = {prefix, take, ret, b->http};
	int rc;

	(void)pthread_mutex_lock(&b->lock);
	rc = s3_objects(b->s3, &l, e);
	(void)pthread_mutex_unlock(&b->lock);
	return rc;
}

static int bucket_remove(void *ctx, const char *name, struct err *e)
{
	struct bucket *b = ctx;
	char *url SCOPED(mem_freep) = url_of(b, name);
	struct http_request q = {.method = "DELETE", .url = url, .body_fd = -1};
	struct http_reply r = {0};
	int rc = 0;

	if (ask(b, &q, NULL, &r, e) != 0)
		return -1;
	if (r.status / 100 != 2 && r.status != 404)
		rc = s3_refused(&q, &r, e);
	http_reply_release(&r);
	fault_point("snapshot removal");
	return rc;
}

/* Removing from such a bucket only hides: the bytes stay, and cost, until their time is over. */
static int bucket_may_remove(void *ctx, struct err *e)
{
	struct bucket *b = ctx;
	char *url SCOPED(mem_freep) = mem_format("%s/?object-lock=", b->s3->base);
	struct http_request q = {.method = "GET", .url = url, .body_fd = -1};
	char *enabled SCOPED(mem_freep) = NULL;
	struct http_reply r = {0};

	if (ask(b, &q, NULL, &r, e) != 0)
		return -1;
	if (r.status == 200)
		enabled =
		    xml_get(r.body.data, r.body.len, "ObjectLockConfiguration/ObjectLockEnabled");
	http_reply_release(&r);
	if (enabled == NULL || strcmp(enabled, "Enabled") != 0)
		return 0;
	(void)err_set(e, ERR_VERIFY, "the bucket locks its objects: nothing can be removed");
	return err_hint(e, "let a lifecycle rule of the bucket expire what is old");
}

static int bucket_temp(void *ctx, int *ret_fd, struct err *e)
{
	char name[] = "/var/tmp/posmedia-pack.XXXXXX";
	int fd = open("/var/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);

	(void)ctx;
	if (fd < 0) {
		fd = mkostemp(name, O_CLOEXEC);
		if (fd < 0)
			return err_sys(e, "make a file in /var/tmp");
		(void)unlink(name);
	}
	*ret_fd = fd;
	return 0;
}

static int bucket_lock(void *ctx, bool alone, struct err *e)
{
	(void)ctx;
	(void)alone;
	(void)e;
	return 0;
}

static bool bucket_ok(const char *p, size_t n)
{
	static const char may[] = "abcdefghijklmnopqrstuvwxyz0123456789.-";

	return n >= 3 && n <= BUCKET_MAX && strspn(p, may) >= n;
}

int objects_s3(const char *at, struct objects *o, struct err *e)
{
	static const struct objects_ops ops = {bucket_put,    bucket_read,       bucket_list,
					       bucket_remove, bucket_may_remove, bucket_temp,
					       bucket_lock,   bucket_free};
	size_t n = strcspn(at, "/"), rest = strlen(at + n);
	char *bucket SCOPED(mem_freep) = mem_strndup(at, n);
	struct bucket *b;

	if (!bucket_ok(at, n) || rest > 512)
		return err_set(e, ERR_USAGE, "s3://%s: a repository is s3://BUCKET/PREFIX", at);
	b = mem_zalloc(sizeof(*b));
	(void)pthread_mutex_init(&b->lock, NULL);
	b->http = http_new();
	while (rest > 0 && at[n + rest - 1] == '/')
		rest--;
	b->prefix = rest > 1 ? mem_format("%.*s/", (int)rest - 1, at + n + 1) : mem_strdup("");
	o->ops = &ops;
	o->ctx = b;
	o->remote = true;
	return s3_open(bucket, b->http, false, &b->s3, e);
}
