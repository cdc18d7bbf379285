#include "remote/push.h"
#include "remote/artifact.h"
#include "remote/attached.h"

#include "base/log.h"
#include <string.h>

int push_target_ok(const struct ref *to, const struct oci_desc *manifest, struct err *e)
{
	char *text SCOPED(mem_freep) = ref_text(to);

	if (to->kind != REF_DOCKER && to->kind != REF_S3)
		return err_set(e, ERR_USAGE, "%s: not a registry's", text);
	if (to->tag[0] == '\0' && !to->has_digest) {
		(void)err_set(e, ERR_USAGE, "%s: names no tag", text);
		return err_hint(e, "add one: %s:TAG", text);
	}
	if (to->has_digest && !digest_equal(&to->digest, &manifest->digest))
		return err_set(e, ERR_USAGE, "%s: the image is %s", text,
			       digest_text(&manifest->digest).s);
	return 0;
}

/* An index comes after the images in it, each with the signatures that engines look for. */
static int push_index(const struct carry *c, const struct oci_desc *d, const struct lookaside *a,
		      struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct oci_index x SCOPED(oci_index_release) = {0};

	if (oci_layout_read(c->l, &d->digest, &b, e) != 0 ||
	    oci_index_parse(b.data, b.len, &x, e) != 0)
		return -1;
	for (size_t i = 0; i < x.n; i++) {
		const struct lookaside one = {a->at, a->repo, &x.v[i].digest};

		if (artifact_push(c, &x.v[i], "", e) != 0 || attached_push(c, &one, e) != 0)
			return -1;
	}
	return artifact_push_index(c->r, c->l, d, e);
}

/* Whether the tag stands for this image there. What says otherwise, or nothing, is found out in
 * what follows. */
static bool is_there(const struct carry *c, const struct oci_desc *d, const char *tag)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct oci_desc got SCOPED(oci_desc_release) = {0};
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};
	struct blob_list list SCOPED(blob_list_release) = {0};
	struct err quiet = ERR_INIT;

	if (c->r->s3 != NULL || tag[0] == '\0' || artifact_get(c->r, tag, &b, &got, &quiet) != 0 ||
	    !digest_equal(&got.digest, &d->digest) ||
	    oci_manifest_parse(b.data, b.len, &m, &quiet) != 0)
		return false;
	blob_list_of(&m, &list);
	c->stats->blobs_skipped += list.n;
	c->stats->bytes_skipped += list.bytes;
	return true;
}

/* Nobody has to find anything before the tag: then the manifest is written once. */
static bool at_once(const struct carry *c, const struct oci_desc *d, const char *tag)
{
	return c->r->s3 == NULL && tag[0] != '\0' && !attached_any(c->l, &d->digest);
}

static int push_image(const struct carry *c, const struct oci_desc *d, const struct lookaside *a,
		      const char *tag, struct err *e)
{
	if (is_there(c, d, tag))
		return attached_push(c, a, e);
	if (at_once(c, d, tag))
		return artifact_push_as(c, d, tag, e) != 0 ? -1 : attached_push(c, a, e);
	if (artifact_push(c, d, "", e) != 0 || attached_push(c, a, e) != 0)
		return -1;
	return tag[0] == '\0' ? 0 : artifact_set_tag(c->r, c->l, d, tag, e);
}

int push_whole(const struct carry *c, const struct oci_desc *d, const struct lookaside *a,
	       const char *tag, struct err *e)
{
	if (strcmp(d->media_type, OCI_INDEX) != 0)
		return push_image(c, d, a, tag, e);
	if (push_index(c, d, a, e) != 0 || attached_push(c, a, e) != 0)
		return -1;
	return tag[0] == '\0' ? 0 : artifact_set_tag(c->r, c->l, d, tag, e);
}

int remote_push(struct oci_layout *l, const struct oci_desc *manifest, const struct ref *to,
		const struct remote_opts *o, struct remote_stats *ret, struct err *e)
{
	const struct lookaside a = {o->lookaside, to->path, &manifest->digest};
	const struct registry_want want = {.actions = "pull,push"};
	struct registry r SCOPED(registry_close) = {0};
	struct remote_stats stats = {0};
	const struct carry c = {.r = &r, .l = l, .stats = &stats};
	char *text SCOPED(mem_freep) = ref_text(to);

	if (push_target_ok(to, manifest, e) != 0 || registry_open(to, o, &want, &r, e) != 0)
		return -1;
	/* who can see the tag must find the signatures */
	if (push_whole(&c, manifest, &a, to->tag, e) != 0)
		return err_in(e, "push to %s", text);
	log_progress("push", stats.bytes, stats.bytes);
	*ret = stats;
	return 0;
}
