#include "remote/ranges.h"
#include "remote/artifact.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct ranges {
	struct oci_layout *l; /* where it is; or NULL: */
	struct registry registry;
	struct oci_manifest manifest;
	uint64_t bytes;
};

void ranges_free(struct ranges *r)
{
	if (r == NULL)
		return;
	oci_manifest_release(&r->manifest);
	if (r->l == NULL)
		registry_close(&r->registry);
	oci_layout_free(r->l);
	free(r);
}

void ranges_freep(struct ranges **r)
{
	ranges_free(*r);
	*r = NULL;
}

const struct oci_manifest *ranges_manifest(const struct ranges *r)
{
	return &r->manifest;
}

uint64_t ranges_bytes(const struct ranges *r)
{
	return r->bytes;
}

static int open_layout(struct ranges *r, const struct ref *at, struct buf *ret, struct err *e)
{
	struct oci_desc d SCOPED(oci_desc_release) = {0};

	if (oci_layout_open(at->path, false, &r->l, e) != 0 ||
	    oci_layout_find(r->l, at->tag, at->has_digest ? &at->digest : NULL, &d, e) != 0)
		return -1;
	return artifact_check_type(d.media_type, e) != 0 ? -1
							 : oci_layout_read(r->l, &d.digest, ret, e);
}

static int open_remote(struct ranges *r, const struct ref *at, const struct remote_opts *o,
		       struct buf *ret, struct err *e)
{
	const struct registry_want want = {.actions = "pull"};
	const struct digest_text digest = digest_text(&at->digest);
	struct oci_desc d SCOPED(oci_desc_release) = {0};
	int rc;

	if (at->tag[0] == '\0' && !at->has_digest) {
		(void)err_set(e, ERR_USAGE, "it names neither tag nor digest");
		return err_hint(e, "\"latest\" is not assumed: add :TAG or @sha256:...");
	}
	if (registry_open(at, o, &want, &r->registry, e) != 0)
		return -1;
	rc = artifact_get(&r->registry, at->has_digest ? digest.s : at->tag, ret, &d, e);
	if (rc == 1)
		return err_set(e, ERR_REMOTE, "there is no such thing");
	return rc != 0 ? -1 : artifact_check_type(d.media_type, e);
}

int ranges_open(const struct ref *at, const struct remote_opts *o, struct ranges **ret,
		struct err *e)
{
	struct ranges *r SCOPED(ranges_freep) = mem_zalloc(sizeof(*r));
	struct buf text SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	char *name SCOPED(mem_freep) = ref_text(at);

	if (at->kind != REF_OCI && at->kind != REF_DOCKER && at->kind != REF_S3)
		return err_set(e, ERR_USAGE, "%s: wants oci:, docker:// or s3://", name);
	if ((at->kind == REF_OCI ? open_layout(r, at, &text, e)
				 : open_remote(r, at, o, &text, e)) != 0 ||
	    oci_manifest_parse(text.data, text.len, &r->manifest, e) != 0)
		return err_in(e, "%s", name);
	r->bytes = text.len;
	*ret = STEAL(r);
	return 0;
}

static int read_layout(struct ranges *r, const struct range *what, void *p, struct err *e)
{
	int fd SCOPED(fd_closep) = -1;
	ssize_t n;

	if (oci_layout_blob(r->l, &what->blob->digest, &fd, NULL, e) != 0)
		return -1;
	n = pread(fd, p, what->n, (off_t)what->at);
	if (n < 0)
		return err_sys(e, "blob %s", digest_text(&what->blob->digest).s);
	return (size_t)n == what->n ? 0
				    : err_set(e, ERR_VERIFY, "blob %s ends before its end",
					      digest_text(&what->blob->digest).s);
}

static int no_parts(const struct http_reply *r, struct err *e)
{
	char *shown SCOPED(mem_freep) = http_shown(r->url);

	(void)err_set(e, ERR_REMOTE, "%s: got other bytes than were asked for", shown);
	return err_hint(e, "Where a registry sends no parts of blobs, posmedia copy brings all to "
			   "an oci:DIR:TAG first.");
}

/* A small blob may come whole. */
static int take(const struct range *what, const struct http_request *q, const struct http_reply *r,
		void *p, struct err *e)
{
	const char *from = r->body.data;

	if (r->status != 200 && r->status != 206)
		return registry_refused(q, r, e);
	if (r->status == 200 && r->body.len >= what->at + what->n)
		from += what->at;
	else if (r->status != 206 || !http_goes_on(r, what->at) || r->body.len != what->n)
		return no_parts(r, e);
	memcpy(p, from, what->n);
	return 0;
}

static int read_remote(struct ranges *r, const struct range *what, void *p, struct err *e)
{
	char *url SCOPED(mem_freep) =
	    registry_url(&r->registry, "blobs", digest_text(&what->blob->digest).s);
	struct http_request q = {.method = "GET",
				 .url = url,
				 .body_fd = -1,
				 .offset = what->at,
				 .length = what->n,
				 .tries = r->registry.tries};
	struct http_reply reply = {0};
	int rc = registry_send(&r->registry, &q, &reply, e);

	strv_release(&q.headers);
	if (rc != 0)
		return -1;
	r->bytes += reply.body.len;
	rc = take(what, &q, &reply, p, e);
	http_reply_release(&reply);
	return rc;
}

int ranges_read(struct ranges *r, const struct range *what, void *p, struct err *e)
{
	if (what->n == 0)
		return 0;
	if (what->n > RANGES_AT_ONCE || what->at > what->blob->size ||
	    what->n > what->blob->size - what->at)
		return err_set(e, ERR_VERIFY, "blob %s has no such place",
			       digest_text(&what->blob->digest).s);
	if (r->l == NULL)
		return read_remote(r, what, p, e);
	r->bytes += what->n;
	return read_layout(r, what, p, e);
}

int ranges_blob(struct ranges *r, const struct oci_desc *blob, struct buf *ret, struct err *e)
{
	char *p SCOPED(mem_freep) = mem_zalloc(RANGES_AT_ONCE);
	const size_t before = ret->len;
	struct digest is;

	for (struct range what = {blob, 0, 0}; what.at < blob->size; what.at += what.n) {
		const uint64_t left = blob->size - what.at;

		what.n = left < RANGES_AT_ONCE ? (size_t)left : RANGES_AT_ONCE;
		if (ranges_read(r, &what, p, e) != 0)
			return -1;
		buf_add(ret, p, what.n);
		if (buf_over(ret))
			return err_set(e, ERR_VERIFY, "blob %s is too large",
				       digest_text(&blob->digest).s);
	}
	is = digest_of(ret->data + before, ret->len - before);
	return digest_equal(&is, &blob->digest)
		   ? 0
		   : err_set(e, ERR_VERIFY, "blob %s: its digest is %s",
			     digest_text(&blob->digest).s, digest_text(&is).s);
}
