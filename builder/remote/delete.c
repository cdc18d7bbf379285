#include "remote/delete.h"
#include "remote/attached.h"
#include "remote/referrers.h"
#include "remote/tags.h"

#include <string.h>

static int does_not(const struct registry *r, struct err *e)
{
	(void)err_set(e, ERR_REMOTE, "%s: the registry does not delete", r->base);
	return err_hint(e, "its configuration has to allow it (docker-registry: "
			   "storage.delete.enabled)");
}

static int remove_one(struct registry *r, const char *digest, struct strv *ret, struct err *e)
{
	int rc = tags_remove(r, digest, e);

	if (rc == 2)
		return does_not(r, e);
	if (rc == 0)
		strv_add(ret, digest);
	return rc < 0 ? -1 : 0;
}

/* What a tag of signatures stands for. */
static int remove_tagged(struct registry *r, const char *tag, struct strv *ret, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct oci_desc d SCOPED(oci_desc_release) = {0};
	int rc = artifact_get(r, tag, &b, &d, e);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	return remove_one(r, digest_text(&d.digest).s, ret, e);
}

int delete_image(struct registry *r, const struct digest *d, struct strv *ret, struct err *e)
{
	struct strv attached SCOPED(strv_release) = {0}, tags SCOPED(strv_release) = {0};

	/* the image first: one that is there without its signatures must not be */
	if (referrers_list(r, d, &attached, e) != 0 || remove_one(r, digest_text(d).s, ret, e) != 0)
		return -1;
	for (size_t i = 0; i < attached.n; i++)
		if (remove_one(r, attached.v[i], ret, e) != 0)
			return -1;
	attached_tags(d, &tags);
	for (size_t i = 0; i < tags.n; i++)
		if (remove_tagged(r, tags.v[i], ret, e) != 0)
			return -1;
	return 0;
}

/* Whether another tag stands for the same manifest: it is appended to *ret. */
static int shared(struct registry *r, const char *tag, const struct digest *d, struct strv *ret,
		  struct err *e)
{
	struct strv all SCOPED(strv_release) = {0};

	if (tags_list(r, &all, e) != 0)
		return -1;
	for (size_t i = 0; i < all.n && ret->n == 0; i++) {
		struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
		struct oci_desc o SCOPED(oci_desc_release) = {0};
		int rc;

		if (strcmp(all.v[i], tag) == 0 || !tags_is_image(all.v[i]))
			continue;
		rc = artifact_get(r, all.v[i], &b, &o, e);
		if (rc < 0)
			return -1;
		if (rc == 0 && digest_equal(&o.digest, d))
			strv_add(ret, all.v[i]);
	}
	return 0;
}

static int delete_tag(struct registry *r, const char *tag, struct strv *ret, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct oci_desc d SCOPED(oci_desc_release) = {0};
	struct strv others SCOPED(strv_release) = {0};
	int rc = artifact_get(r, tag, &b, &d, e);

	if (rc > 0)
		return err_set(e, ERR_REMOTE, "no such image");
	if (rc < 0 || shared(r, tag, &d.digest, &others, e) != 0)
		return -1;
	if (others.n == 0)
		return delete_image(r, &d.digest, ret, e);
	rc = tags_remove(r, tag, e);
	if (rc != 2)
		return rc < 0 ? -1 : 0;
	(void)err_set(e, ERR_REMOTE,
		      "the registry deletes images only, not tags, and this one is also %s",
		      others.v[0]);
	return err_hint(e, "name the digest to delete it with all its tags");
}

int remote_delete(const struct ref *at, const struct remote_opts *o, struct strv *ret,
		  struct err *e)
{
	const struct registry_want want = {"pull,push,delete", NULL};
	struct registry r SCOPED(registry_close) = {0};
	struct strv gone SCOPED(strv_release) = {0};
	char *text SCOPED(mem_freep) = ref_text(at);
	int rc;

	if (at->tag[0] == '\0' && !at->has_digest)
		return err_set(e, ERR_USAGE, "%s: names neither tag nor digest", text);
	if (registry_open(at, o, &want, &r, e) != 0)
		return -1;
	rc = at->has_digest ? delete_image(&r, &at->digest, &gone, e)
			    : delete_tag(&r, at->tag, &gone, e);
	if (rc == 0 && at->has_digest && gone.n == 0)
		rc = err_set(e, ERR_REMOTE, "no such image");
	if (rc != 0)
		return err_in(e, "delete %s", text);
	strv_extend(ret, &gone);
	return 0;
}
