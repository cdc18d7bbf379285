/* s3_blobs.c - blobs into a bucket: small ones whole, large ones in parts, of which those that an
 * earlier run has sent are not sent again. */
#include "remote/s3_batch.h"

#include "base/num.h"
#include "form/md5.h"
#include "form/sigv4.h"
#include "form/xml.h"
#include <stdlib.h>
#include <string.h>

enum { PARTS_MAX = 10000, PAGES_MAX = 20, XML_MAX = 2 << 20 };

static const char blob_type[] = "application/octet-stream";

/* One upload in parts. */
struct parts {
	const struct carry *c;
	const struct oci_desc *d;
	char *url, *key; /* of the blob, and its key in the bucket */
	char *id;        /* of the upload, escaped */
	uint64_t part_size;
	size_t n;
	char **etags; /* n; NULL = is to be sent */
	uint64_t resumed;
};

static void parts_release(struct parts *p)
{
	for (size_t i = 0; i < p->n && p->etags != NULL; i++)
		free(p->etags[i]);
	free(p->etags);
	free(p->url);
	free(p->key);
	free(p->id);
}

/* What is read of the server's lists. */
struct listing {
	const struct parts *p;
	char *key, *id, *etag; /* of the entry that is being read */
	uint64_t number, size;
	char *found; /* the upload */
	char *next;  /* the next page's marker */
	bool more;
	char **etags; /* by number */
};

static void set_text(char **to, const char *text)
{
	free(*to);
	*to = mem_strdup(text);
}

static int leaf(void *ctx, const char *path, const char *text, struct err *e)
{
	struct listing *l = ctx;
	const char *name = strrchr(path, '/');

	(void)e;
	name = name != NULL ? name + 1 : path;
	if (strcmp(name, "Key") == 0)
		set_text(&l->key, text);
	else if (strcmp(name, "UploadId") == 0)
		set_text(&l->id, text);
	else if (strcmp(name, "ETag") == 0)
		set_text(&l->etag, text);
	else if (strcmp(name, "NextPartNumberMarker") == 0)
		set_text(&l->next, text);
	else if (strcmp(name, "IsTruncated") == 0)
		l->more = strcmp(text, "true") == 0;
	else if (strcmp(name, "PartNumber") == 0 && num_u64(text, PARTS_MAX, &l->number) != 0)
		l->number = 0;
	else if (strcmp(name, "Size") == 0 && num_u64(text, UINT64_MAX, &l->size) != 0)
		l->size = 0;
	return 0;
}

static uint64_t size_of(const struct parts *p, size_t i)
{
	uint64_t from = i * p->part_size;

	return p->d->size - from < p->part_size ? p->d->size - from : p->part_size;
}

static int entry_end(void *ctx, const char *path, struct err *e)
{
	struct listing *l = ctx;
	size_t i = (size_t)l->number - 1;

	(void)e;
	if (strcmp(path, "ListMultipartUploadsResult/Upload") == 0) {
		if (l->key != NULL && l->id != NULL && strcmp(l->key, l->p->key) == 0)
			set_text(&l->found, l->id);
	} else if (strcmp(path, "ListPartsResult/Part") == 0) {
		if (l->number > 0 && i < l->p->n && l->etag != NULL && l->size == size_of(l->p, i))
			set_text(&l->etags[i], l->etag);
	}
	return 0;
}

static void listing_release(struct listing *l)
{
	free(l->key);
	free(l->id);
	free(l->etag);
	free(l->found);
	free(l->next);
	for (size_t i = 0; i < l->p->n; i++)
		free(l->etags[i]);
	free(l->etags);
}

/* Reads one page of a list. 1: there is none (404). */
static int get_list(const struct parts *p, const char *url, struct listing *l, struct err *e)
{
	struct registry *r = p->c->r;
	struct http_request q = {.method = "GET", .url = url, .body_fd = -1, .via = r->http};
	const struct xml_reader x = {leaf, entry_end, l};
	struct http_reply reply = {0};
	int rc;

	if (s3_send(r->s3, &q, NULL, &reply, e) != 0)
		return -1;
	if (reply.status == 200)
		rc = xml_read(reply.body.data, reply.body.len, &x, e);
	else
		rc = reply.status == 404 ? 1 : s3_refused(&q, &reply, e);
	http_reply_release(&reply);
	return rc;
}

/* Whether a part that is there has the bytes of ours. */
static bool same_bytes(const struct parts *p, int fd, size_t i, const char *etag)
{
	char md5[MD5_HEX + 1];
	struct err quiet = ERR_INIT;

	return md5_part(fd, i * p->part_size, size_of(p, i), md5, &quiet) == 0 && md5[0] != '\0' &&
	       strncmp(etag + (etag[0] == '"'), md5, MD5_HEX) == 0;
}

static int keep_same(struct parts *p, struct listing *l, struct err *e)
{
	int fd SCOPED(fd_closep) = -1;

	if (oci_layout_blob(p->c->l, &p->d->digest, &fd, NULL, e) != 0)
		return -1;
	for (size_t i = 0; i < p->n; i++)
		if (l->etags[i] != NULL && same_bytes(p, fd, i, l->etags[i])) {
			p->etags[i] = STEAL(l->etags[i]);
			p->resumed += size_of(p, i);
		}
	return 0;
}

/* Looks for an upload of the blob that was broken off. It is the same bytes whoever began it. */
static int find_upload(struct parts *p, struct err *e)
{
	struct listing l SCOPED(listing_release) = {
	    .p = p, .etags = mem_zalloc((p->n + 1) * sizeof(char *))};
	char *prefix SCOPED(mem_freep) = sigv4_escape(p->key, true);
	char *url SCOPED(mem_freep) =
	    mem_format("%s/?uploads&prefix=%s", p->c->r->s3->base, prefix);
	int rc = get_list(p, url, &l, e);

	if (rc != 0 || l.found == NULL)
		return rc < 0 ? -1 : 0;
	p->id = sigv4_escape(l.found, true);
	l.more = true;
	for (unsigned page = 0; rc == 0 && l.more && page < PAGES_MAX; page++) {
		char *at SCOPED(mem_freep) = mem_format(
		    "%s?uploadId=%s%s%s", p->url, p->id,
		    l.next != NULL ? "&part-number-marker=" : "", l.next != NULL ? l.next : "");

		l.more = false;
		rc = get_list(p, at, &l, e);
	}
	if (rc < 0)
		return -1;
	if (rc == 0)
		return keep_same(p, &l, e);
	free(STEAL(p->id)); /* it has just been ended */
	return 0;
}

static int begin_upload(struct parts *p, struct err *e)
{
	struct registry *r = p->c->r;
	char *url SCOPED(mem_freep) = mem_format("%s?uploads", p->url);
	struct http_request q = {
	    .method = "POST", .url = url, .body_fd = -1, .body = "", .via = r->http};
	struct http_reply reply = {0};
	char *id SCOPED(mem_freep) = NULL;
	int rc = 0;

	strv_addf(&q.headers, "Content-Type: %s", blob_type);
	s3_lock_headers(r->s3, &q.headers);
	rc = s3_send(r->s3, &q, NULL, &reply, e);
	strv_release(&q.headers);
	if (rc != 0)
		return -1;
	id = xml_get(reply.body.data, reply.body.len, "InitiateMultipartUploadResult/UploadId");
	if (reply.status != 200)
		rc = s3_refused(&q, &reply, e);
	else if (id == NULL || strlen(id) > 1024)
		rc = err_set(e, ERR_REMOTE, "POST %s: no UploadId in the answer", p->url);
	else
		p->id = sigv4_escape(id, true);
	http_reply_release(&reply);
	return rc;
}

/* Adds the parts that are not there. */
static void add_parts(struct parts *p, struct s3_batch *b)
{
	b->before += p->resumed;
	b->total += p->d->size;
	for (size_t i = 0; i < p->n; i++) {
		struct s3_piece *x;

		if (p->etags[i] != NULL)
			continue;
		x = s3_batch_add(b);
		x->d = p->d;
		x->method = "PUT";
		x->url = mem_format("%s?partNumber=%zu&uploadId=%s", p->url, i + 1, p->id);
		x->from = i * p->part_size;
		x->size = size_of(p, i);
		x->number = (unsigned)i;
	}
}

/* Takes what the server calls them. */
static int take_parts(struct parts *p, struct s3_batch *b, struct err *e)
{
	for (size_t i = 0; i < b->n; i++) {
		struct s3_piece *x = &b->v[i];

		if (x->d != p->d)
			continue;
		if (x->status != 200 || x->etag == NULL)
			return err_set(e, ERR_REMOTE, "part %u: %d", x->number + 1, x->status);
		p->etags[x->number] = STEAL(x->etag);
	}
	return 0;
}

/* Whether the blob is there, of the right size. */
static int is_there(const struct parts *p, bool *ret, struct err *e)
{
	struct registry *r = p->c->r;
	struct http_request q = {.method = "HEAD", .url = p->url, .body_fd = -1, .via = r->http};
	struct http_reply reply = {0};
	const char *length;
	uint64_t n = 0;

	if (s3_send(r->s3, &q, NULL, &reply, e) != 0)
		return -1;
	length = http_header(&reply, "content-length");
	*ret = reply.status == 200 && length != NULL && num_u64(length, UINT64_MAX, &n) == 0 &&
	       n == p->d->size;
	http_reply_release(&reply);
	return 0;
}

/* The answer may be 200 and an error all the same, or may get lost: what counts is what is there.
 */
static int complete(struct parts *p, struct err *e)
{
	struct registry *r = p->c->r;
	struct buf b SCOPED(buf_release) = BUF_INIT(XML_MAX);
	char *url SCOPED(mem_freep) = mem_format("%s?uploadId=%s", p->url, p->id);
	struct http_request q = {.method = "POST", .url = url, .body_fd = -1, .via = r->http};
	struct http_reply reply = {0};
	struct err why = ERR_INIT, quiet = ERR_INIT;
	struct digest d;
	bool there = false;

	buf_addf(&b, "<CompleteMultipartUpload>");
	for (size_t i = 0; i < p->n; i++)
		buf_addf(&b, "<Part><PartNumber>%zu</PartNumber><ETag>%s</ETag></Part>", i + 1,
			 p->etags[i]);
	buf_addf(&b, "</CompleteMultipartUpload>");
	if (buf_over(&b))
		return err_set(e, ERR_FAIL, "too many parts");
	q.body = b.data;
	q.body_size = b.len;
	q.stall_ms = 300000;
	d = digest_of(b.data, b.len);
	if (s3_send(r->s3, &q, &d, &reply, &why) == 0) {
		(void)s3_refused(&q, &reply, &why);
		http_reply_release(&reply);
	}
	if (is_there(p, &there, &quiet) == 0 && there)
		return 0;
	*e = why;
	return -1;
}

static void parts_init(struct parts *p)
{
	const struct registry *r = p->c->r;
	uint64_t least = (p->d->size + PARTS_MAX - 1) / PARTS_MAX;
	char *hex SCOPED(mem_freep) = mem_strdup(digest_text(&p->d->digest).s);

	p->part_size = r->s3->part_size > least ? r->s3->part_size : least;
	p->n = (size_t)((p->d->size + p->part_size - 1) / p->part_size);
	p->etags = mem_zalloc((p->n + 1) * sizeof(char *));
	p->url = registry_url(r, "blobs", hex);
	p->key = mem_format("v2/%s/blobs/%s", r->repo, hex);
}

static int begin(struct parts *p, struct err *e)
{
	parts_init(p);
	if (find_upload(p, e) != 0 || (p->id == NULL && begin_upload(p, e) != 0))
		return err_in(e, "blob %s", digest_text(&p->d->digest).s);
	return 0;
}

static int end(struct parts *p, struct s3_batch *b, struct err *e)
{
	if (take_parts(p, b, e) != 0 || complete(p, e) != 0)
		return err_in(e, "blob %s", digest_text(&p->d->digest).s);
	p->c->stats->resumed += p->resumed;
	return 0;
}

/* The parts of all of them go out together: none waits for the last part of another. */
static int send_all(struct parts *v, size_t n, struct err *e)
{
	struct s3_batch b SCOPED(s3_batch_release) = {
	    .r = v[0].c->r, .l = v[0].c->l, .failed = ERR_INIT};

	for (size_t i = 0; i < n; i++)
		if (begin(&v[i], e) != 0)
			return -1;
	for (size_t i = 0; i < n; i++)
		add_parts(&v[i], &b);
	if (s3_batch_run(&b, e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (end(&v[i], &b, e) != 0)
			return -1;
	return 0;
}

static int push_in_parts(const struct carry *c, const struct blob_list *list, struct err *e)
{
	struct parts *v SCOPED(mem_freep) = mem_zalloc((list->n + 1) * sizeof(*v));
	size_t n = 0;
	int rc = 0;

	for (size_t i = 0; i < list->n; i++)
		if (list->v[i]->size > c->r->s3->part_size)
			v[n++] = (struct parts){.c = c, .d = list->v[i]};
	if (n > 0)
		rc = send_all(v, n, e);
	while (n > 0)
		parts_release(&v[--n]);
	return rc;
}

/* HEADs, all at once. */
static int look(const struct carry *c, const struct blob_list *list, struct s3_batch *b,
		struct err *e)
{
	for (size_t i = 0; i < list->n; i++) {
		struct s3_piece *x = s3_batch_add(b);

		x->d = list->v[i];
		x->method = "HEAD";
		x->url = registry_url(c->r, "blobs", digest_text(&x->d->digest).s);
	}
	return s3_batch_run(b, e);
}

/* What is to be sent; the rest is counted as there. */
static int choose(const struct carry *c, const struct s3_batch *heads, struct blob_list *ret,
		  struct err *e)
{
	for (size_t i = 0; i < heads->n; i++) {
		const struct s3_piece *x = &heads->v[i];

		if (x->status == 404) {
			ret->v[ret->n++] = x->d;
			continue;
		}
		if (x->length != x->d->size)
			return err_set(e, ERR_VERIFY, "blob %s has %llu bytes here and %llu there",
				       digest_text(&x->d->digest).s, (unsigned long long)x->d->size,
				       (unsigned long long)x->length);
		if (s3_lock_longer(c->r, x->url, e) != 0)
			return -1;
		c->stats->blobs_skipped++;
		c->stats->bytes_skipped += x->d->size;
	}
	return 0;
}

static int push_whole_blobs(const struct carry *c, const struct blob_list *list, struct err *e)
{
	struct s3_batch b SCOPED(s3_batch_release) = {
	    .r = c->r, .l = c->l, .total = list->bytes, .failed = ERR_INIT};

	for (size_t i = 0; i < list->n; i++) {
		struct s3_piece *x;

		if (list->v[i]->size > c->r->s3->part_size)
			continue;
		x = s3_batch_add(&b);
		x->d = list->v[i];
		x->method = "PUT";
		x->url = registry_url(c->r, "blobs", digest_text(&x->d->digest).s);
		x->size = x->d->size;
		x->whole = true;
		x->type = blob_type;
	}
	return s3_batch_run(&b, e);
}

int s3_blobs_push(const struct carry *c, const struct blob_list *list, struct err *e)
{
	struct s3_batch heads SCOPED(s3_batch_release) = {.r = c->r, .l = c->l, .failed = ERR_INIT};
	struct blob_list want SCOPED(blob_list_release) = {
	    .v = mem_zalloc((list->n + 1) * sizeof(*list->v)), .bytes = list->bytes};
	struct remote_stats aside = {0};
	const struct carry from = {.r = c->source, .l = c->l, .stats = &aside};

	if (look(c, list, &heads, e) != 0 || choose(c, &heads, &want, e) != 0)
		return -1;
	if (want.n > 0 && c->source != NULL && blobs_pull(&from, &want, e) != 0)
		return -1;
	if (push_whole_blobs(c, &want, e) != 0 || push_in_parts(c, &want, e) != 0)
		return -1;
	for (size_t i = 0; i < want.n; i++) {
		c->stats->blobs++;
		c->stats->bytes += want.v[i]->size;
	}
	return 0;
}
