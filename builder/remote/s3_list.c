/* s3_list.c - what a bucket has below a prefix of keys, page by page. */
#include "remote/s3.h"

#include "base/num.h"
#include "form/sigv4.h"
#include "form/xml.h"
#include "sys/clock.h"
#include <stdlib.h>
#include <string.h>

enum { OBJECTS_MAX = 4000000, PAGES_MAX = 100000, KEY_MAX = 1024, ETAG_MAX = 256 };

struct page {
	const struct s3_listing *l;
	char *key, *etag;
	struct s3_object one;
	size_t *n; /* of all pages */
	bool more; /* the server says that it is not all */
	char *next;
};

static void page_release(struct page *p)
{
	free(p->key);
	free(p->etag);
	free(p->next);
}

static int take_key(struct page *p, const char *text, struct err *e)
{
	if (strncmp(text, p->l->prefix, strlen(p->l->prefix)) != 0 || strlen(text) > KEY_MAX)
		return err_set(e, ERR_REMOTE, "a key that was not asked for: %.*s", KEY_MAX, text);
	free(p->key);
	p->key = mem_strdup(text + strlen(p->l->prefix));
	return 0;
}

static int take_etag(struct page *p, const char *text, struct err *e)
{
	if (strlen(text) > ETAG_MAX)
		return err_set(e, ERR_REMOTE, "an ETag of more than %d bytes", ETAG_MAX);
	free(p->etag);
	p->etag = mem_strdup(text);
	return 0;
}

static int leaf(void *ctx, const char *path, const char *text, struct err *e)
{
	struct page *p = ctx;

	if (strcmp(path, "ListBucketResult/Contents/Key") == 0)
		return take_key(p, text, e);
	if (strcmp(path, "ListBucketResult/Contents/ETag") == 0)
		return take_etag(p, text, e);
	if (strcmp(path, "ListBucketResult/NextContinuationToken") == 0) {
		free(p->next);
		p->next = mem_strdup(text);
	} else if (strcmp(path, "ListBucketResult/IsTruncated") == 0) {
		p->more = strcmp(text, "true") == 0;
	} else if (strcmp(path, "ListBucketResult/Contents/Size") == 0) {
		if (num_u64(text, INT64_MAX, &p->one.size) != 0)
			return err_set(e, ERR_REMOTE, "a size that is none: %s", text);
	} else if (strcmp(path, "ListBucketResult/Contents/LastModified") == 0 &&
		   clock_parse(text, &p->one.time) != 0) {
		return err_set(e, ERR_REMOTE, "a time that is none: %s", text);
	}
	return 0;
}

static int end(void *ctx, const char *path, struct err *e)
{
	struct page *p = ctx;
	int rc;

	if (strcmp(path, "ListBucketResult/Contents") != 0)
		return 0;
	if (p->key == NULL)
		return err_set(e, ERR_REMOTE, "an object without a key");
	if ((*p->n)++ == OBJECTS_MAX)
		return err_set(e, ERR_REMOTE, "a list of more than %d objects", OBJECTS_MAX);
	p->one.key = p->key;
	p->one.etag = p->etag != NULL ? p->etag : "";
	rc = p->l->each(p->l->ctx, &p->one, e);
	free(STEAL(p->key));
	free(STEAL(p->etag));
	p->one = (struct s3_object){0};
	return rc;
}

static int get_page(struct s3 *s, const char *url, struct page *p, struct err *e)
{
	struct http_request q = {.method = "GET", .url = url, .body_fd = -1, .via = p->l->via};
	const struct xml_reader x = {leaf, end, p};
	struct http_reply reply = {0};
	int rc;

	if (s3_send(s, &q, NULL, &reply, e) != 0)
		return -1;
	rc = reply.status == 200 ? xml_read(reply.body.data, reply.body.len, &x, e)
				 : s3_refused(&q, &reply, e);
	http_reply_release(&reply);
	return rc;
}

/* What goes on where nothing says is missing the rest; what goes on where it was has no end. */
static int check_next(const struct page *p, const char *from, struct err *e)
{
	bool none = p->next == NULL || p->next[0] == '\0';

	if (p->more && none)
		return err_set(
		    e, ERR_REMOTE,
		    "the server's list is cut short, and it does not say where it goes on");
	if (!none && from != NULL && strcmp(p->next, from) == 0)
		return err_set(e, ERR_REMOTE, "a list that does not end");
	return 0;
}

int s3_objects(struct s3 *s, const struct s3_listing *l, struct err *e)
{
	char *escaped SCOPED(mem_freep) = sigv4_escape(l->prefix, true);
	char *from = NULL;
	size_t objects = 0;
	int rc = 0;

	for (unsigned n = 0; rc == 0 && (n == 0 || from != NULL); n++) {
		char *after SCOPED(mem_freep) = from != NULL ? sigv4_escape(from, true) : NULL;
		char *url SCOPED(mem_freep) = mem_format(
		    "%s/?list-type=2&prefix=%s%s%s", s->base, escaped,
		    after != NULL ? "&continuation-token=" : "", after != NULL ? after : "");
		struct page p SCOPED(page_release) = {.l = l, .n = &objects};

		rc = n == PAGES_MAX ? err_set(e, ERR_REMOTE, "a list that does not end")
				    : get_page(s, url, &p, e);
		if (rc == 0)
			rc = check_next(&p, from, e);
		free(from);
		from = p.next != NULL && p.next[0] != '\0' ? STEAL(p.next) : NULL;
	}
	free(from);
	return rc;
}

static int add_name(void *ctx, const struct s3_object *o, struct err *e)
{
	(void)e;
	strv_add(ctx, o->key);
	return 0;
}

int s3_list(struct registry *r, const char *prefix, struct strv *ret, struct err *e)
{
	const struct s3_listing l = {prefix, add_name, ret, r->http};

	return s3_objects(r->s3, &l, e);
}
