#include "remote/s3_batch.h"

#include "base/log.h"
#include "base/num.h"
#include "form/hex.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STALL_MS = 300000, TRIES = 3, CHUNK = 1 << 18 };

struct s3_piece *s3_batch_add(struct s3_batch *b)
{
	b->v = mem_resize(b->v, b->n + 1, sizeof(*b->v));
	b->v[b->n] = (struct s3_piece){.fd = -1};
	return &b->v[b->n++];
}

void s3_batch_release(struct s3_batch *b)
{
	for (size_t i = 0; i < b->n; i++) {
		fd_closep(&b->v[i].fd);
		free(b->v[i].url);
		free(b->v[i].etag);
		strv_release(&b->v[i].call.q.headers);
	}
	free(b->v);
	free(b->again);
	*b = (struct s3_batch){0};
}

/* SHA-256 of the piece, for the server to check. */
static int hash_piece(const struct s3_batch *b, const struct s3_piece *p, struct digest *ret,
		      struct err *e)
{
	struct hash *h SCOPED(hash_freep) = hash_new();
	char *chunk SCOPED(mem_freep) = mem_zalloc(CHUNK);
	int fd SCOPED(fd_closep) = -1;
	uint64_t at = p->from, left = p->size;

	if (oci_layout_blob(b->l, &p->d->digest, &fd, NULL, e) != 0)
		return -1;
	while (left > 0) {
		ssize_t n = pread(fd, chunk, left < CHUNK ? (size_t)left : CHUNK, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_sys(e, "read a part");
		hash_add(h, chunk, (size_t)n);
		at += (uint64_t)n;
		left -= (uint64_t)n;
	}
	*ret = hash_final(h);
	return 0;
}

static bool sends(const struct s3_piece *p)
{
	return strcmp(p->method, "PUT") == 0;
}

/* Of a whole blob it is known. A thread does this ahead of what is sent. */
static void hash_ahead(void *ctx, size_t i)
{
	const struct s3_batch *b = ctx;
	struct s3_piece *p = &b->v[i];

	if (p->whole)
		p->body = p->d->digest;
	else if (sends(p))
		p->unread = hash_piece(b, p, &p->body, &p->why) != 0;
}

static void hashed(void *ctx)
{
	const struct s3_batch *b = ctx;

	http_wake(b->r->http);
}

static int open_piece(struct s3_batch *b, struct s3_piece *p, struct err *e)
{
	uint64_t size;

	fd_closep(&p->fd);
	if (oci_layout_blob(b->l, &p->d->digest, &p->fd, &size, e) != 0)
		return -1;
	if (size != p->d->size)
		return err_set(e, ERR_VERIFY, "blob %s has %llu bytes, not %llu",
			       digest_text(&p->d->digest).s, (unsigned long long)size,
			       (unsigned long long)p->d->size);
	return lseek(p->fd, (off_t)p->from, SEEK_SET) < 0 ? err_sys(e, "read a part") : 0;
}

static void put_headers(const struct s3 *s, const struct s3_piece *p, struct strv *to)
{
	char *sum SCOPED(mem_freep) = base64_encode(p->d->digest.b, DIGEST_BYTES);

	if (p->type == NULL)
		return;
	strv_addf(to, "Content-Type: %s", p->type);
	strv_addf(to, "x-amz-checksum-sha256: %s", sum);
	s3_lock_headers(s, to);
}

static int prepare(struct s3_batch *b, struct s3_piece *p, struct err *e)
{
	strv_release(&p->call.q.headers);
	p->call = (struct http_call){
	    .q = {.method = p->method, .url = p->url, .body_fd = -1, .tries = b->r->tries}};
	if (!sends(p))
		return s3_sign(b->r->s3, &p->call.q, NULL, e);
	if (open_piece(b, p, e) != 0)
		return -1;
	if (p->tries == 1)
		ahead_wait(b->ahead, (size_t)(p - b->v));
	if (p->unread) {
		*e = p->why;
		return -1;
	}
	p->call.q.body_fd = p->fd;
	p->call.q.body_size = p->size;
	p->call.q.stall_ms = STALL_MS;
	put_headers(b->r->s3, p, &p->call.q.headers);
	return s3_sign(b->r->s3, &p->call.q, &p->body, e);
}

/* Whether there is a piece to begin with: one whose sum is still being made is not waited for while
 * others are under way. */
static bool any_ready(struct s3_batch *b)
{
	if (b->has_failed || (b->again_n == 0 && b->at == b->n))
		return false;
	return b->again_n > 0 || b->busy == 0 || !sends(&b->v[b->at]) ||
	       ahead_done(b->ahead, b->at);
}

static struct http_call *next(void *ctx)
{
	struct s3_batch *b = ctx;
	struct s3_piece *p;

	if (!any_ready(b))
		return NULL;
	p = b->again_n > 0 ? b->again[--b->again_n] : &b->v[b->at++];
	p->tries++;
	b->has_failed = prepare(b, p, &b->failed) != 0;
	if (b->has_failed)
		return NULL;
	b->busy++;
	return &p->call;
}

static int done(void *ctx, struct http_call *c, struct err *e)
{
	struct s3_batch *b = ctx;
	struct s3_piece *p = b->v;
	const char *length, *etag;
	int rc = 0;

	while (&p->call != c)
		p++;
	b->busy--;
	if (c->rc != 0) {
		*e = c->err;
		return -1;
	}
	if (p->tries < TRIES && (c->r.status == 403 || c->r.status == 400))
		rc = s3_mend(b->r->s3, &c->r, e);
	if (rc > 0)
		b->again[b->again_n++] = p;
	p->done = rc == 0;
	p->status = c->r.status;
	/* whether a blob is there may be asked; that an upload has nowhere to go is a failure */
	if (c->r.status / 100 != 2 && !(c->r.status == 404 && strcmp(p->method, "HEAD") == 0) &&
	    rc == 0)
		rc = s3_refused(&c->q, &c->r, e);
	length = http_header(&c->r, "content-length");
	etag = http_header(&c->r, "etag");
	if (length == NULL || num_u64(length, UINT64_MAX, &p->length) != 0)
		p->length = UINT64_MAX;
	free(p->etag);
	p->etag = etag != NULL ? mem_strdup(etag) : NULL;
	fd_closep(&p->fd);
	http_reply_release(&c->r);
	return rc < 0 ? -1 : 0;
}

static void tick(void *ctx)
{
	const struct s3_batch *b = ctx;
	uint64_t sum = b->before;

	for (size_t i = 0; i < b->n; i++)
		sum += b->v[i].done ? b->v[i].size : b->v[i].call.sent;
	if (sum < b->total)
		log_progress("push", sum, b->total);
}

int s3_batch_run(struct s3_batch *b, struct err *e)
{
	const struct http_work w = {next, done, tick, b, b->r->parallel};
	int rc;

	b->again = mem_zalloc((b->n + 1) * sizeof(struct s3_piece *));
	b->ahead = ahead_new(b->n, b->r->parallel, hash_ahead, hashed, b);
	rc = http_run(b->r->http, &w, e);
	ahead_free(b->ahead);
	if (rc != 0)
		return -1;
	if (b->has_failed) {
		*e = b->failed;
		return -1;
	}
	return 0;
}
