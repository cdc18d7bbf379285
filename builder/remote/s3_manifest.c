/* s3_manifest.c - what a registry does by itself when a manifest comes or goes, done to the keys.
 */
#include "remote/lookaside.h"
#include "remote/s3.h"
#include "remote/tags.h"

#include <stdlib.h>
#include <string.h>

enum { ROUNDS_MAX = 8 };

static int add_tag(struct registry *r, const char *tag, struct err *e)
{
	char *url SCOPED(mem_freep) = registry_url(r, "tags", "list");

	for (unsigned round = 0; round < ROUNDS_MAX; round++) {
		struct jval *v SCOPED(jval_freep) = jval_object(), *list = jval_array();
		struct strv tags SCOPED(strv_release) = {0};
		struct buf b SCOPED(buf_release) = BUF_INIT(8 << 20);
		struct http_request q = {.method = "GET", .url = url, .body_fd = -1};
		const struct s3_put p = {.url = url, .type = "application/json", .checked = true};
		struct http_reply reply = {0};
		struct s3_put with;

		if (round > 0)
			registry_back_off(round);
		if (registry_send(r, &q, &reply, e) != 0) {
			jval_free(list);
			return -1;
		}
		http_reply_release(&reply);
		if (s3_tags(r, &tags, e) != 0) {
			jval_free(list);
			return -1;
		}
		if (tag != NULL)
			strv_add(&tags, tag);
		strv_sort(&tags);
		strv_uniq(&tags);
		for (size_t i = 0; i < tags.n; i++)
			jval_push(list, jval_text(tags.v[i]));
		jval_put_text(v, "name", r->repo);
		jval_put(v, "tags", list);
		jval_write(v, &b);
		with = p;
		with.p = b.data;
		with.n = b.len;
		if (s3_put(r->s3, r->http, &with, e) == 0)
			return 0;
		if (e->kind != ERR_BUSY)
			return -1;
	}
	return -1;
}

static int put_no_referrers(struct registry *r, const char *name, struct err *e)
{
	static const char none[] =
	    "{\"manifests\":[],\"mediaType\":\"" OCI_INDEX "\",\"schemaVersion\":2}";
	char *url SCOPED(mem_freep) = registry_url(r, "referrers", name);
	const struct s3_put p = {
	    .url = url, .type = OCI_INDEX, .p = none, .n = sizeof(none) - 1, .once = true};
	struct http_request q = {.method = "HEAD", .url = url, .body_fd = -1, .via = r->http};
	struct http_reply reply = {0};
	int status;

	if (r->s3->condition == S3_HONOURS)
		return s3_put(r->s3, r->http, &p, e);
	if (s3_send(r->s3, &q, NULL, &reply, e) != 0)
		return -1;
	status = reply.status;
	http_reply_release(&reply);
	return status == 200 ? 0 : s3_put(r->s3, r->http, &p, e);
}

int s3_manifest_put(struct registry *r, const char *name, const char *type, const struct buf *b,
		    struct err *e)
{
	char *url SCOPED(mem_freep) = registry_url(r, "manifests", name);
	struct s3_put p = {.url = url, .type = type, .p = b->data, .n = b->len};
	struct digest d;
	bool by_digest = digest_parse(name, &d) == 0;

	p.checked = !by_digest;
	p.locked = by_digest;
	if (s3_put(r->s3, r->http, &p, e) != 0)
		return -1;
	return by_digest ? put_no_referrers(r, name, e) : add_tag(r, name, e);
}

int s3_tags(struct registry *r, struct strv *ret, struct err *e)
{
	char *prefix SCOPED(mem_freep) = mem_format("v2/%s/manifests/", r->repo);
	struct strv names SCOPED(strv_release) = {0};

	if (s3_list(r, prefix, &names, e) != 0)
		return -1;
	for (size_t i = 0; i < names.n; i++)
		if (ref_tag_ok(names.v[i]))
			strv_add(ret, names.v[i]);
	return 0;
}

/* Removes an object. 1: it was not there. */
static int drop(struct registry *r, const char *what, const char *name, struct err *e)
{
	char *url SCOPED(mem_freep) = registry_url(r, what, name);
	struct http_request head = {.method = "HEAD", .url = url, .body_fd = -1, .via = r->http};
	struct http_request q = {.method = "DELETE", .url = url, .body_fd = -1, .via = r->http};
	struct http_reply reply = {0};
	int rc = 0;

	if (s3_send(r->s3, &head, NULL, &reply, e) != 0)
		return -1;
	rc = reply.status == 404 ? 1 : 0;
	http_reply_release(&reply);
	if (rc != 0)
		return rc;
	if (s3_send(r->s3, &q, NULL, &reply, e) != 0)
		return -1;
	rc = reply.status / 100 == 2 ? 0 : s3_refused(&q, &reply, e);
	http_reply_release(&reply);
	return rc;
}

/* The tags that stand for a digest: each is an object of its own, with the manifest's bytes. */
static int drop_tags_of(struct registry *r, const struct digest *d, struct err *e)
{
	struct strv tags SCOPED(strv_release) = {0};

	if (s3_tags(r, &tags, e) != 0)
		return -1;
	for (size_t i = 0; i < tags.n; i++) {
		char *url SCOPED(mem_freep) = registry_url(r, "manifests", tags.v[i]);
		struct http_request q = {.method = "GET", .url = url, .body_fd = -1};
		struct http_reply reply = {0};
		struct digest got;
		bool same;

		if (registry_send(r, &q, &reply, e) != 0)
			return -1;
		got = digest_of(reply.body.data, reply.body.len);
		same = reply.status == 200 && digest_equal(&got, d);
		http_reply_release(&reply);
		if (same && drop(r, "manifests", tags.v[i], e) < 0)
			return -1;
	}
	return 0;
}

int s3_remove(struct registry *r, const char *name, struct err *e)
{
	struct digest d;
	int rc;

	if (digest_parse(name, &d) == 0 && drop_tags_of(r, &d, e) != 0)
		return -1;
	rc = drop(r, "manifests", name, e);
	if (rc == 0 && digest_parse(name, &d) == 0)
		rc = drop(r, "referrers", name, e) < 0 ? -1 : 0;
	return rc != 0 || add_tag(r, NULL, e) == 0 ? rc : -1;
}

/* Whether an object has these bytes. 1: it is not there; 2: it has others. */
static int compare(struct registry *r, const char *url, const struct buf *b, struct err *e)
{
	struct http_request q = {.method = "GET", .url = url, .body_fd = -1};
	struct http_reply reply = {0};
	int rc;

	if (registry_send(r, &q, &reply, e) != 0)
		return -1;
	if (reply.status == 404)
		rc = 1;
	else if (reply.status != 200)
		rc = s3_refused(&q, &reply, e);
	else
		rc = reply.body.len == b->len && memcmp(reply.body.data, b->data, b->len) == 0 ? 0
											       : 2;
	http_reply_release(&reply);
	return rc;
}

int s3_lookaside_put(struct registry *r, const struct digest *image, const struct buf *sig,
		     struct err *e)
{
	for (unsigned n = 1; n <= LOOKASIDE_SIGNATURES_MAX;) {
		char *url SCOPED(mem_freep) = mem_format("%s/lookaside/%s@sha256=%s/signature-%u",
							 r->base, r->repo, digest_hex(image).s, n);
		const struct s3_put p = {.url = url,
					 .type = "application/octet-stream",
					 .p = sig->data,
					 .n = sig->len,
					 .checked = true};
		int rc = compare(r, url, sig, e);

		if (rc <= 0)
			return rc;
		if (rc == 2) {
			n++;
			continue;
		}
		/* another may take the number first: then it is looked at once more */
		if (s3_put(r->s3, r->http, &p, e) == 0)
			return 0;
		if (e->kind != ERR_BUSY)
			return -1;
	}
	return err_set(e, ERR_FAIL, "lookaside: more than %d signatures", LOOKASIDE_SIGNATURES_MAX);
}
