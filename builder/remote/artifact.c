#include "remote/artifact.h"
#include "remote/s3.h"

#include <stdlib.h>
#include <string.h>

#define DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define DOCKER_LIST     "application/vnd.docker.distribution.manifest.list.v2+json"

char *artifact_tag(const struct digest *image, const char *suffix)
{
	return mem_format("sha256-%s.%s", digest_hex(image).s, suffix);
}

/* What the registry says the digest is must be what we know. */
static int check_said(const struct http_reply *r, const struct digest *want, struct err *e)
{
	const char *said = http_header(r, "docker-content-digest");
	struct digest d;

	if (said == NULL || digest_parse(said, &d) != 0 || digest_equal(&d, want))
		return 0;
	return err_set(e, ERR_VERIFY, "the registry calls it %s, but it is %s", said,
		       digest_text(want).s);
}

/* Debian's registry 2.8 says so of right bytes while another client writes the very same ones: it
 * reads the other's half-written file. */
static bool met_another(const struct http_reply *r)
{
	return r->status == 400 && r->body.len != 0 &&
	       memmem(r->body.data, r->body.len, "DIGEST_INVALID", 14) != NULL;
}

/* *ret_again: it may go the next time. */
static int put_once(struct registry *r, const struct http_request *as, const struct digest *d,
		    bool *ret_again, struct err *e)
{
	struct http_request q = *as;
	struct http_reply reply = {0};
	int rc;

	q.headers = (struct strv){0};
	strv_extend(&q.headers, &as->headers);
	rc = registry_send(r, &q, &reply, e);
	strv_release(&q.headers);
	*ret_again = rc == 0 && met_another(&reply);
	if (rc != 0)
		return -1;
	rc = reply.status / 100 == 2 ? check_said(&reply, d, e) : registry_refused(&q, &reply, e);
	http_reply_release(&reply);
	return rc;
}

int artifact_put(struct registry *r, const char *name, const char *type, const struct buf *b,
		 struct err *e)
{
	char *url SCOPED(mem_freep) = registry_url(r, "manifests", name);
	struct http_request q = {.method = "PUT",
				 .url = url,
				 .body_fd = -1,
				 .body = b->data,
				 .body_size = b->len,
				 .tries = r->tries};
	struct digest d = digest_of(b->data, b->len);
	bool again = true;
	int rc = -1;

	if (r->s3 != NULL)
		return s3_manifest_put(r, name, type, b, e);
	strv_addf(&q.headers, "Content-Type: %s", type);
	for (unsigned round = 0; again && round < r->tries; round++) {
		if (round > 0)
			registry_back_off(round);
		rc = put_once(r, &q, &d, &again, e);
	}
	strv_release(&q.headers);
	return rc;
}

static int read_manifest(const struct oci_layout *l, const struct oci_desc *d, struct buf *b,
			 struct err *e)
{
	if (oci_layout_read(l, &d->digest, b, e) != 0)
		return -1;
	if (b->len != d->size)
		return err_set(e, ERR_VERIFY, "manifest %s: has %zu bytes, not %llu",
			       digest_text(&d->digest).s, b->len, (unsigned long long)d->size);
	return 0;
}

int artifact_set_tag(struct registry *r, const struct oci_layout *l, const struct oci_desc *d,
		     const char *tag, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);

	if (read_manifest(l, d, &b, e) != 0 || artifact_put(r, tag, d->media_type, &b, e) != 0)
		return err_in(e, "tag %s", tag);
	return 0;
}

int artifact_push_as(const struct carry *c, const struct oci_desc *d, const char *name,
		     struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};
	struct blob_list list SCOPED(blob_list_release) = {0};

	if (read_manifest(c->l, d, &b, e) != 0 || oci_manifest_parse(b.data, b.len, &m, e) != 0)
		return -1;
	blob_list_of(&m, &list);
	if (blobs_push(c, &list, e) != 0)
		return -1;
	return artifact_put(c->r, name, OCI_MANIFEST, &b, e);
}

int artifact_push(const struct carry *c, const struct oci_desc *d, const char *tag, struct err *e)
{
	if (artifact_push_as(c, d, digest_text(&d->digest).s, e) != 0)
		return -1;
	return tag[0] == '\0' ? 0 : artifact_set_tag(c->r, c->l, d, tag, e);
}

int artifact_push_index(struct registry *r, const struct oci_layout *l, const struct oci_desc *d,
			struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);

	if (read_manifest(l, d, &b, e) != 0)
		return -1;
	return artifact_put(r, digest_text(&d->digest).s, OCI_INDEX, &b, e);
}

/* The media type from the header, without parameters, else from the JSON. */
static char *type_of(const struct http_reply *r)
{
	const char *type = http_header(r, "content-type");
	struct jval *v SCOPED(jval_freep) = NULL;
	struct err quiet = ERR_INIT;
	const char *own = NULL;

	if (jval_parse(r->body.data, r->body.len, "manifest", &v, &quiet) == 0)
		own = jval_get_str(v, "mediaType");
	if (own != NULL)
		return mem_strdup(own);
	return type != NULL ? mem_strndup(type, strcspn(type, "; ")) : mem_strdup("");
}

static int is_several(struct err *e)
{
	(void)err_set(e, ERR_FAIL, "is an index of images for several platforms");
	return err_hint(e, "say for which: --platform linux/amd64, or --platform all");
}

int artifact_check_type(const char *type, struct err *e)
{
	if (strcmp(type, OCI_INDEX) == 0)
		return is_several(e);
	if (strcmp(type, DOCKER_MANIFEST) == 0 || strcmp(type, DOCKER_LIST) == 0) {
		(void)err_set(e, ERR_FAIL, "is an image in docker's own format");
		return err_hint(e, "convert it: skopeo copy --format oci");
	}
	return 0;
}

static int check_manifest(const struct http_reply *r, const char *name, struct digest *ret,
			  struct err *e)
{
	struct digest want, got = digest_of(r->body.data, r->body.len);

	if (r->body.len > OCI_MANIFEST_MAX)
		return err_set(e, ERR_REMOTE, "manifest larger than %d bytes", OCI_MANIFEST_MAX);
	if (digest_parse(name, &want) == 0 && !digest_equal(&want, &got))
		return err_set(e, ERR_VERIFY, "manifest %s: its digest is %s", name,
			       digest_text(&got).s);
	if (check_said(r, &got, e) != 0)
		return -1;
	*ret = got;
	return 0;
}

int artifact_get(struct registry *r, const char *name, struct buf *b, struct oci_desc *ret,
		 struct err *e)
{
	char *url SCOPED(mem_freep) = registry_url(r, "manifests", name);
	struct http_request q = {.method = "GET", .url = url, .body_fd = -1, .tries = r->tries};
	struct http_reply reply = {0};
	int rc;

	strv_add(&q.headers,
		 "Accept: " OCI_MANIFEST ", " OCI_INDEX ", " DOCKER_MANIFEST ", " DOCKER_LIST);
	rc = registry_send(r, &q, &reply, e);
	strv_release(&q.headers);
	if (rc != 0)
		return -1;
	if (reply.status == 404)
		rc = 1;
	else if (reply.status != 200)
		rc = registry_refused(&q, &reply, e);
	else
		rc = check_manifest(&reply, name, &ret->digest, e);
	if (rc == 0) {
		buf_add(b, reply.body.data, reply.body.len);
		ret->media_type = type_of(&reply);
		ret->size = b->len;
	}
	http_reply_release(&reply);
	return rc;
}

static int pull_rest(const struct carry *c, const struct buf *b, uint64_t max_bytes, struct err *e)
{
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};
	struct blob_list list SCOPED(blob_list_release) = {0};
	struct digest d;

	if (oci_manifest_parse(b->data, b->len, &m, e) != 0) {
		e->kind = ERR_REMOTE;
		return -1;
	}
	blob_list_of(&m, &list);
	if (list.bytes > max_bytes)
		return err_set(e, ERR_REMOTE, "has blobs of %llu bytes; the limit is %llu",
			       (unsigned long long)list.bytes, (unsigned long long)max_bytes);
	if (!c->only_manifest && blobs_pull(c, &list, e) != 0)
		return -1;
	return oci_layout_add(c->l, b->data, b->len, &d, e);
}

int artifact_take(const struct carry *c, struct oci_desc *got, const struct buf *b,
		  uint64_t max_bytes, struct err *e)
{
	if (artifact_check_type(got->media_type, e) != 0 || pull_rest(c, b, max_bytes, e) != 0)
		return -1;
	free(got->media_type);
	got->media_type = mem_strdup(OCI_MANIFEST); /* whatever the registry called it */
	return 0;
}

int artifact_pull(const struct carry *c, const char *name, uint64_t max_bytes, struct oci_desc *ret,
		  struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct oci_desc got SCOPED(oci_desc_release) = {0};
	int rc = artifact_get(c->r, name, &b, &got, e);

	if (rc != 0)
		return rc;
	if (artifact_take(c, &got, &b, max_bytes, e) != 0)
		return -1;
	*ret = got;
	got = (struct oci_desc){0};
	return 0;
}

/* Images for one platform, such as two compressions of one, come all; of several, a machine needs
 * only its own. */
static bool one_platform(const struct oci_index *x)
{
	for (size_t i = 0; i < x->n; i++)
		if (x->v[i].platform == NULL || !jval_equal(x->v[i].platform, x->v[0].platform))
			return false;
	return x->n > 0;
}

static int pull_members(const struct carry *c, const struct buf *b, struct oci_index *x,
			struct err *e)
{
	struct digest d;

	for (size_t i = 0; i < x->n; i++) {
		struct oci_desc one SCOPED(oci_desc_release) = {0};
		struct digest_text name = digest_text(&x->v[i].digest);
		int rc = artifact_pull(c, name.s, UINT64_MAX, &one, e);

		if (rc > 0)
			return err_set(e, ERR_REMOTE, "its image %s is not there", name.s);
		if (rc != 0)
			return err_in(e, "image %s", name.s);
	}
	return oci_layout_add(c->l, b->data, b->len, &d, e);
}

/* "OS/ARCHITECTURE[/VARIANT]", as the index writes it. */
static bool is_for(const struct oci_desc *d, const char *platform)
{
	const char *os = jval_get_str(d->platform, "os");
	const char *arch = jval_get_str(d->platform, "architecture");
	const char *variant = jval_get_str(d->platform, "variant");
	char *bare SCOPED(mem_freep) = NULL, *full SCOPED(mem_freep) = NULL;

	if (os == NULL || arch == NULL)
		return false;
	bare = mem_format("%s/%s", os, arch);
	full = mem_format("%s/%s", bare, variant != NULL ? variant : "");
	return strcmp(bare, platform) == 0 || strcmp(full, platform) == 0;
}

static int pull_one_of(const struct carry *c, const struct oci_index *x, struct oci_desc *got,
		       struct err *e)
{
	for (size_t i = 0; i < x->n; i++) {
		struct oci_desc one = {0};
		int rc;

		if (!is_for(&x->v[i], c->platform))
			continue;
		rc = artifact_pull(c, digest_text(&x->v[i].digest).s, UINT64_MAX, &one, e);
		if (rc > 0)
			return err_set(e, ERR_REMOTE, "its image is not there");
		if (rc != 0)
			return -1;
		oci_desc_release(got);
		*got = one;
		return 0;
	}
	return err_set(e, ERR_FAIL, "no image for %s in the index", c->platform);
}

/* Leaves the one image that is wanted in the list. */
static int choose(struct oci_index *x, const char *arch, struct err *e)
{
	char *platform SCOPED(mem_freep) = mem_format("linux/%s", arch);
	size_t at = 0;

	while (at < x->n && !is_for(&x->v[at], platform))
		at++;
	if (at == x->n)
		return err_set(e, ERR_REMOTE, "has no image for linux on %s", arch);
	SWAP(x->v[0], x->v[at]);
	while (x->n > 1)
		oci_desc_release(&x->v[--x->n]);
	return 0;
}

static int pull_index(const struct carry *c, const struct buf *b, struct oci_desc *got,
		      struct oci_index *ret, struct err *e)
{
	struct oci_index x SCOPED(oci_index_release) = {0};
	bool all = c->platform != NULL && strcmp(c->platform, "all") == 0;

	if (oci_index_parse(b->data, b->len, &x, e) != 0) {
		e->kind = ERR_REMOTE;
		return -1;
	}
	if (c->platform != NULL && !all)
		return pull_one_of(c, &x, got, e);
	if (c->arch != NULL && choose(&x, c->arch, e) != 0)
		return -1;
	if (!all && !one_platform(&x))
		return is_several(e);
	if (pull_members(c, b, &x, e) != 0)
		return -1;
	*ret = x;
	x = (struct oci_index){0};
	return 0;
}

int artifact_pull_image(const struct carry *c, const char *name, struct oci_desc *ret,
			struct oci_index *ret_members, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct oci_desc got SCOPED(oci_desc_release) = {0};
	int rc = artifact_get(c->r, name, &b, &got, e);

	if (rc != 0)
		return rc;
	if (strcmp(got.media_type, OCI_INDEX) == 0)
		rc = pull_index(c, &b, &got, ret_members, e);
	else
		rc = artifact_take(c, &got, &b, UINT64_MAX, e);
	if (rc != 0)
		return -1;
	*ret = got;
	got = (struct oci_desc){0};
	return 0;
}
