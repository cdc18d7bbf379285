#include "remote/tags.h"
#include "remote/s3.h"

#include <stdlib.h>
#include <string.h>

enum { PAGES_MAX = 1000 };

static int read_page(const struct http_reply *r, struct strv *ret, struct err *e)
{
	struct jval *v SCOPED(jval_freep) = NULL;
	const struct jval *list;

	if (jval_parse(r->body.data, r->body.len, "tags", &v, e) != 0) {
		e->kind = ERR_REMOTE;
		return -1;
	}
	list = jval_get(v, "tags"); /* null for a repository whose tags are all gone */
	if (ret->n + jval_len(list) > TAGS_MAX)
		return err_set(e, ERR_REMOTE, "more than %d tags", TAGS_MAX);
	for (size_t i = 0; i < jval_len(list); i++) {
		const char *tag = jval_str(jval_at(list, i));

		if (tag == NULL || !ref_tag_ok(tag))
			return err_set(e, ERR_REMOTE, "what should be a tag is none");
		strv_add(ret, tag);
	}
	return 0;
}

static int get_page(struct registry *r, char **url, struct strv *ret, struct err *e)
{
	struct http_request q = {.method = "GET", .url = *url, .body_fd = -1, .tries = r->tries};
	struct http_reply reply = {0};
	int rc = registry_send(r, &q, &reply, e);

	if (rc != 0)
		return -1;
	rc = reply.status == 200 ? read_page(&reply, ret, e) : registry_refused(&q, &reply, e);
	free(*url);
	*url = rc == 0 ? registry_next_page(&reply) : NULL;
	http_reply_release(&reply);
	return rc;
}

int tags_list(struct registry *r, struct strv *ret, struct err *e)
{
	char *url SCOPED(mem_freep) = registry_url(r, "tags", "list?n=1000");

	if (r->s3 != NULL)
		return s3_tags(r, ret, e);
	for (unsigned page = 0; url != NULL; page++) {
		if (page == PAGES_MAX)
			return err_set(e, ERR_REMOTE, "tags without an end");
		if (get_page(r, &url, ret, e) != 0)
			return err_in(e, "tags");
	}
	strv_sort(ret);
	strv_uniq(ret);
	return 0;
}

bool tags_is_image(const char *tag)
{
	return strncmp(tag, "sha256-", 7) != 0 || strspn(tag + 7, "0123456789abcdef") != DIGEST_HEX;
}

int tags_remove(struct registry *r, const char *name, struct err *e)
{
	char *url SCOPED(mem_freep) = registry_url(r, "manifests", name);
	struct http_request q = {.method = "DELETE", .url = url, .body_fd = -1, .tries = r->tries};
	struct http_reply reply = {0};
	int rc;

	if (r->s3 != NULL)
		return s3_remove(r, name, e);
	rc = registry_send(r, &q, &reply, e);
	if (rc != 0)
		return -1;
	if (reply.status / 100 == 2)
		rc = 0;
	else if (reply.status == 404)
		rc = 1;
	else if (reply.status == 400 || reply.status == 405 || reply.status == 501)
		rc = 2;
	else
		rc = registry_refused(&q, &reply, e);
	http_reply_release(&reply);
	return rc;
}

int remote_tags(const struct ref *at, const struct remote_opts *o, struct strv *ret, struct err *e)
{
	const struct registry_want want = {.actions = "pull"};
	struct registry r SCOPED(registry_close) = {0};
	struct strv tags SCOPED(strv_release) = {0};

	if (registry_open(at, o, &want, &r, e) != 0 || tags_list(&r, &tags, e) != 0)
		return -1;
	strv_extend(ret, &tags);
	return 0;
}
