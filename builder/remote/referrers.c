#include "remote/referrers.h"
#include "remote/layout_copy.h"
#include "remote/s3.h"
#include "remote/signatures.h"

#include "base/log.h"
#include <stdlib.h>
#include <string.h>

enum { PAGES_MAX = 16, REFERRER_BYTES_MAX = 64 << 20 };

static char *fallback_tag(const struct digest *image)
{
	return mem_format("sha256-%s", digest_hex(image).s);
}

static bool listed(const struct jval *list, const char *digest)
{
	for (size_t i = 0; i < jval_len(list); i++) {
		const char *d = jval_get_str(jval_at(list, i), "digest");

		if (d != NULL && strcmp(d, digest) == 0)
			return true;
	}
	return false;
}

/* Appends the descriptors of an index that are not in the list yet. Returns how many; *ret_bad is
 * set when it is no index at all. */
static size_t add_all(struct jval *list, const struct buf *b, bool *ret_bad)
{
	struct jval *v SCOPED(jval_freep) = NULL;
	struct err quiet = ERR_INIT;
	const struct jval *more;
	size_t added = 0;

	*ret_bad = jval_parse(b->data, b->len, "index", &v, &quiet) != 0;
	more = jval_get(v, "manifests");
	*ret_bad = *ret_bad || !jval_is_array(more);
	for (size_t i = 0; i < jval_len(more) && jval_len(list) < REFERRERS_MAX; i++) {
		struct jval *one = jval_at(more, i);
		const char *d = jval_get_str(one, "digest");

		if (d == NULL || listed(list, d))
			continue;
		jval_push(list, jval_ref(one));
		added++;
	}
	return added;
}

/* One page of the API. Returns 1 when the registry has no such thing. */
static int get_page(struct registry *r, char **url, struct jval *list, struct err *e)
{
	struct http_request q = {.method = "GET", .url = *url, .body_fd = -1, .tries = r->tries};
	struct http_reply reply = {0};
	bool bad = false;
	int rc;

	strv_add(&q.headers, "Accept: " OCI_INDEX);
	rc = registry_send(r, &q, &reply, e);
	strv_release(&q.headers);
	if (rc != 0)
		return -1;
	if (reply.status == 200) {
		(void)add_all(list, &reply.body, &bad);
		free(*url);
		*url = bad ? NULL : registry_next_page(&reply);
		rc = bad ? 1 : 0;
	} else if (reply.status == 401 || reply.status == 403 || reply.status == 429 ||
		   reply.status >= 502) {
		rc = registry_refused(&q, &reply, e);
	} else {
		rc = 1;
	}
	http_reply_release(&reply);
	return rc;
}

/* Returns 1 when there is no API. */
static int by_api(struct registry *r, const struct digest *image, struct jval *list, struct err *e)
{
	char *url SCOPED(mem_freep) = registry_url(r, "referrers", digest_text(image).s);

	for (unsigned page = 0; page < PAGES_MAX && url != NULL; page++) {
		int rc = get_page(r, &url, list, e);

		if (rc != 0)
			return rc;
	}
	return 0;
}

static int by_tag(struct registry *r, const struct digest *image, struct jval *list, struct err *e)
{
	char *tag SCOPED(mem_freep) = fallback_tag(image);
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct oci_desc d SCOPED(oci_desc_release) = {0};
	bool bad = false;
	int rc = artifact_get(r, tag, &b, &d, e);

	if (rc < 0)
		return -1;
	if (rc == 0)
		(void)add_all(list, &b, &bad);
	if (bad)
		log_warn("%s is not an index: it is written anew", tag);
	return 0;
}

/* What is written when there is more: in a bucket the keys are the API. */
static int current(struct registry *r, const struct digest *image, struct jval *list, struct err *e)
{
	if (r->s3 == NULL)
		return by_tag(r, image, list, e);
	return by_api(r, image, list, e) < 0 ? -1 : 0;
}

static int find(struct registry *r, const struct digest *image, struct jval *list, struct err *e)
{
	int rc = by_api(r, image, list, e);

	return rc == 1 ? current(r, image, list, e) : rc;
}

int referrers_list(struct registry *r, const struct digest *image, struct strv *ret, struct err *e)
{
	struct jval *list SCOPED(jval_freep) = jval_array();

	if (find(r, image, list, e) != 0)
		return -1;
	for (size_t i = 0; i < jval_len(list); i++)
		strv_add(ret, jval_get_str(jval_at(list, i), "digest"));
	return 0;
}

/* What the layout lists. */
static int ours(const struct oci_layout *l, const struct digest *image, struct jval *list,
		struct err *e)
{
	char *tag SCOPED(mem_freep) = fallback_tag(image);
	const struct oci_desc *d = signatures_tagged(l, tag);
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	bool bad = false;

	if (d == NULL)
		return 0;
	if (oci_layout_read(l, &d->digest, &b, e) != 0)
		return -1;
	(void)add_all(list, &b, &bad);
	return bad ? err_set(e, ERR_VERIFY, "%s: not an index", tag) : 0;
}

static void write_index(const struct jval *list, struct buf *b)
{
	struct jval *v SCOPED(jval_freep) = jval_object();

	jval_put_int(v, "schemaVersion", 2);
	jval_put_text(v, "mediaType", OCI_INDEX);
	jval_put(v, "manifests", jval_ref((struct jval *)(uintptr_t)list));
	jval_write(v, b);
}

static int save(struct oci_layout *l, const struct digest *image, const struct jval *list,
		struct err *e)
{
	char *tag SCOPED(mem_freep) = fallback_tag(image);
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	char type[] = OCI_INDEX;
	struct oci_desc d = {.media_type = type};

	write_index(list, &b);
	if (buf_over(&b))
		return err_set(e, ERR_FAIL, "%s: too large", tag);
	d.size = b.len;
	if (oci_layout_add(l, b.data, b.len, &d.digest, e) != 0)
		return -1;
	return oci_layout_tag(l, tag, &d, e);
}

/* The descriptor by the manifest itself: lists are written by whoever may push. */
static struct jval *describe(const struct oci_desc *d, const struct oci_manifest *m)
{
	const struct oci_desc bare = {
	    .media_type = d->media_type, .digest = d->digest, .size = d->size};
	struct jval *v = oci_desc_json(&bare);

	jval_put_text(v, "artifactType",
		      m->artifact_type[0] != '\0' ? m->artifact_type : m->config.media_type);
	if (m->annotations != NULL)
		jval_put(v, "annotations", jval_ref(m->annotations));
	return v;
}

/* Returns 1 for what is no referrer of this image, or too large for one. */
static int pull_one(const struct carry *c, const struct digest *image, const char *name,
		    struct jval *list, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct oci_desc d SCOPED(oci_desc_release) = {0};
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};
	struct blob_list blobs SCOPED(blob_list_release) = {0};
	struct err quiet = ERR_INIT;
	struct digest is;
	int rc;

	if (digest_parse(name, &is) != 0)
		return 1;
	rc = artifact_get(c->r, name, &b, &d, e);
	if (rc != 0)
		return rc;
	if (strcmp(d.media_type, OCI_MANIFEST) != 0 ||
	    oci_manifest_parse(b.data, b.len, &m, &quiet) != 0 || m.subject == NULL ||
	    !digest_equal(&m.subject->digest, image))
		return 1;
	blob_list_of(&m, &blobs);
	if (blobs.bytes > REFERRER_BYTES_MAX)
		return 1;
	if (artifact_take(c, &d, &b, REFERRER_BYTES_MAX, e) != 0)
		return err_in(e, "%s", name);
	jval_push(list, describe(&d, &m));
	return 0;
}

/* Whether `theirs` has all of `list`; those that it lacks are appended. */
static bool complete(struct jval *theirs, const struct jval *list)
{
	bool all = true;

	for (size_t i = 0; i < jval_len(list); i++) {
		struct jval *one = jval_at(list, i);
		const char *d = jval_get_str(one, "digest");

		if (d == NULL || listed(theirs, d))
			continue;
		jval_push(theirs, jval_ref(one));
		all = false;
	}
	return all;
}

int referrers_copy(const struct oci_layout *from, struct oci_layout *to, const struct digest *image,
		   struct err *e)
{
	struct jval *theirs SCOPED(jval_freep) = jval_array();
	struct jval *list SCOPED(jval_freep) = jval_array();

	if (ours(from, image, theirs, e) != 0 || ours(to, image, list, e) != 0)
		return -1;
	for (size_t i = 0; i < jval_len(theirs); i++) {
		struct oci_desc d SCOPED(oci_desc_release) = {0};

		if (oci_desc_parse(jval_at(theirs, i), "referrers", &d, e) != 0 ||
		    layout_copy_manifest(from, to, &d, e) != 0)
			return -1;
	}
	return complete(list, theirs) ? 0 : save(to, image, list, e);
}

int referrers_pull(const struct carry *c, const struct digest *image, struct err *e)
{
	/* of the image its blobs may be left where they are: not of what says who signed it */
	const struct carry whole = {.r = c->r, .l = c->l, .stats = c->stats};
	struct jval *theirs SCOPED(jval_freep) = jval_array();
	struct jval *list SCOPED(jval_freep) = jval_array();
	size_t before;

	if (find(c->r, image, theirs, e) != 0 || ours(c->l, image, list, e) != 0)
		return -1;
	before = jval_len(list);
	for (size_t i = 0; i < jval_len(theirs); i++) {
		const char *name = jval_get_str(jval_at(theirs, i), "digest");
		int rc = listed(list, name) ? 0 : pull_one(&whole, image, name, list, e);

		if (rc < 0)
			return -1;
		if (rc > 0)
			log_warn("referrer %.80s is left out: it is none of this image, or too "
				 "large",
				 name);
	}
	return jval_len(list) > before ? save(c->l, image, list, e) : 0;
}

static int put_list(struct registry *r, const struct digest *image, const struct buf *b,
		    struct err *e)
{
	char *tag SCOPED(mem_freep) = fallback_tag(image);
	char *url SCOPED(mem_freep) = registry_url(r, "referrers", digest_text(image).s);
	const struct s3_put p = {
	    .url = url, .type = OCI_INDEX, .p = b->data, .n = b->len, .checked = true};

	return r->s3 != NULL ? s3_put(r->s3, r->http, &p, e)
			     : artifact_put(r, tag, OCI_INDEX, b, e);
}

static int add_by_tag(struct registry *r, const struct digest *image, const struct jval *list,
		      bool *ret_wrote, struct err *e)
{
	struct jval *theirs SCOPED(jval_freep) = jval_array();
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);

	if (current(r, image, theirs, e) != 0)
		return -1;
	if (complete(theirs, list))
		return 0;
	write_index(theirs, &b);
	if (buf_over(&b))
		return err_set(e, ERR_FAIL, "the list of referrers is too large");
	*ret_wrote = true;
	return put_list(r, image, &b, e);
}

static int push_one(const struct carry *c, const struct jval *one, struct err *e)
{
	struct oci_desc d SCOPED(oci_desc_release) = {0};

	if (oci_desc_parse(one, "referrers", &d, e) != 0 || artifact_push(c, &d, "", e) != 0)
		return -1;
	return 0;
}

int referrers_push(const struct carry *c, const struct digest *image, struct err *e)
{
	struct jval *list SCOPED(jval_freep) = jval_array();

	if (ours(c->l, image, list, e) != 0)
		return -1;
	for (size_t i = 0; i < jval_len(list); i++)
		if (push_one(c, jval_at(list, i), e) != 0)
			return -1;
	return 0;
}

int referrers_enter(const struct carry *c, const struct digest *image, bool *ret_wrote,
		    struct err *e)
{
	struct jval *list SCOPED(jval_freep) = jval_array();
	struct jval *theirs SCOPED(jval_freep) = jval_array();
	int rc;

	if (ours(c->l, image, list, e) != 0)
		return -1;
	if (jval_len(list) == 0)
		return 0;
	/* a registry that has the API lists them by itself; that it says OCI-Subject proves nothing
	 */
	rc = by_api(c->r, image, theirs, e);
	if (rc == 0 && complete(theirs, list))
		return 0;
	return rc < 0 ? -1 : add_by_tag(c->r, image, list, ret_wrote, e);
}
