#include "remote/delete.h"
#include "remote/attached.h"
#include "remote/referrers.h"
#include "remote/tags.h"

#include "base/log.h"
#include <stdlib.h>
#include <string.h>

static int does_not(const struct registry *r, struct err *e)
{
	(void)err_set(e, ERR_REMOTE, "%s: the registry does not delete", r->base);
	return err_hint(e, "its configuration has to allow it (docker-registry: "
			   "storage.delete.enabled)");
}

void removal_release(struct removal *x)
{
	strv_release(&x->tags);
	free(x->stands);
	free(x->known);
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

static bool stays(const struct removal *x, const struct digest *d)
{
	return x->needed != NULL && x->needed(x->ctx, d);
}

/* Whether all layers are of the type. */
static bool all_layers(const struct oci_manifest *m, const char *type)
{
	for (size_t i = 0; i < m->layers_n; i++)
		if (strcmp(m->layers[i].media_type, type) != 0)
			return false;
	return m->layers_n > 0;
}

/* Whether an index lists nothing but what is gone: an index of images may have got this tag. */
static bool lists_only(const struct buf *b, const struct strv *gone)
{
	struct jval *v SCOPED(jval_freep) = NULL;
	struct err quiet = ERR_INIT;
	const struct jval *list;

	if (jval_parse(b->data, b->len, "referrers", &v, &quiet) != 0)
		return false;
	list = jval_get(v, "manifests");
	for (size_t i = 0; i < jval_len(list); i++) {
		const char *d = jval_get_str(jval_at(list, i), "digest");

		if (d == NULL || !strv_has(gone, d))
			return false;
	}
	return jval_is_array(list);
}

/* Whether the manifest under a tag of signatures is of what belongs there. */
static bool is_what_it_should(const char *tag, const struct buf *b)
{
	static const char *const types[][2] = {
	    {".sig", ARTIFACT_COSIGN},
	    {".pgp", ARTIFACT_PGP},
	    {".att", ARTIFACT_DSSE},
	};
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};
	struct err quiet = ERR_INIT;
	const char *suffix = strrchr(tag, '.');

	if (suffix == NULL || oci_manifest_parse(b->data, b->len, &m, &quiet) != 0)
		return false;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(suffix, types[i][0]) == 0)
			return all_layers(&m, types[i][1]);
	return false;
}

/* Asks what a tag stands for, once. Returns 1 when it is gone. */
static int ask(struct removal *x, size_t i, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct oci_desc d SCOPED(oci_desc_release) = {0};
	int rc;

	if (x->known[i])
		return 0;
	rc = artifact_get(x->r, x->tags.v[i], &b, &d, e);
	if (rc != 0)
		return rc;
	x->stands[i] = d.digest;
	x->known[i] = true;
	return 0;
}

/* Whether a tag of signatures of another image stands for the manifest: registries remove it from
 * under all of its tags. Returns 1 if so. */
static int of_another(struct removal *x, const char *tag, const struct digest *d, struct err *e)
{
	const size_t start = strcspn(tag, ".");

	if (x->known == NULL) {
		if (tags_list(x->r, &x->tags, e) != 0)
			return -1;
		x->stands = mem_zalloc((x->tags.n + 1) * sizeof(*x->stands));
		x->known = mem_zalloc((x->tags.n + 1) * sizeof(*x->known));
	}
	for (size_t i = 0; i < x->tags.n; i++) {
		const char *other = x->tags.v[i];
		int rc;

		if (tags_is_image(other) || strcmp(other, tag) == 0 ||
		    strcmp(other + strcspn(other, "."), tag + start) != 0)
			continue;
		rc = ask(x, i, e);
		if (rc < 0)
			return -1;
		if (rc == 0 && digest_equal(&x->stands[i], d))
			return 1;
	}
	return 0;
}

/* What a tag of signatures stands for. */
static int remove_tagged(struct removal *x, const char *tag, const struct strv *gone,
			 struct strv *ret, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct oci_desc d SCOPED(oci_desc_release) = {0};
	int rc = artifact_get(x->r, tag, &b, &d, e);
	bool fits;

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	fits = strchr(tag, '.') == NULL ? lists_only(&b, gone) : is_what_it_should(tag, &b);
	rc = fits && !stays(x, &d.digest) ? of_another(x, tag, &d.digest, e) : 1;
	if (rc == 0)
		return remove_one(x->r, digest_text(&d.digest).s, ret, e);
	if (rc > 0)
		log_warn("%s stays: it is not of this image alone", tag);
	return rc < 0 ? -1 : 0;
}

/* Whether a listed manifest says itself that it is about the image. 1: it is not there. */
static int look_at(struct registry *r, const char *name, const struct digest *image, bool *ret,
		   struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct oci_desc d SCOPED(oci_desc_release) = {0};
	struct jval *v SCOPED(jval_freep) = NULL;
	struct err quiet = ERR_INIT;
	struct digest is;
	const char *of;
	int rc;

	*ret = false;
	if (name == NULL || digest_parse(name, &is) != 0)
		return 0;
	rc = artifact_get(r, name, &b, &d, e);
	if (rc != 0)
		return rc;
	if (jval_parse(b.data, b.len, "manifest", &v, &quiet) != 0)
		return 0;
	of = jval_get_str(jval_get(v, "subject"), "digest");
	*ret = of != NULL && strcmp(of, digest_text(image).s) == 0;
	return 0;
}

/* Of what is listed as attached to the image, what is: in *ret, and what is not there at all: in
 * *ret_absent. */
static int attached_to(struct removal *x, const struct digest *image, struct strv *ret,
		       struct strv *ret_absent, struct err *e)
{
	struct strv listed SCOPED(strv_release) = {0};

	if (referrers_list(x->r, image, &listed, e) != 0)
		return -1;
	for (size_t i = 0; i < listed.n; i++) {
		struct digest d;
		bool is;
		int rc = look_at(x->r, listed.v[i], image, &is, e);

		if (rc < 0)
			return err_in(e, "referrer %.80s", listed.v[i]);
		is = is && digest_parse(listed.v[i], &d) == 0 && !stays(x, &d);
		if (rc > 0)
			strv_add(ret_absent, listed.v[i]);
		else if (is)
			strv_add(ret, listed.v[i]);
		else
			log_warn("referrer %.80s stays: it is not of this image alone",
				 listed.v[i]);
	}
	return 0;
}

int delete_image(struct removal *x, const struct digest *d, struct strv *ret, struct err *e)
{
	struct strv attached SCOPED(strv_release) = {0}, absent SCOPED(strv_release) = {0};
	struct strv tags SCOPED(strv_release) = {0};

	/* the image first: one that is there without its signatures must not be */
	if (attached_to(x, d, &attached, &absent, e) != 0 ||
	    remove_one(x->r, digest_text(d).s, ret, e) != 0)
		return -1;
	for (size_t i = 0; i < attached.n; i++)
		if (remove_one(x->r, attached.v[i], ret, e) != 0)
			return -1;
	attached_tags(d, &tags);
	strv_extend(&absent, &attached); /* by now */
	for (size_t i = 0; i < tags.n; i++)
		if (remove_tagged(x, tags.v[i], &absent, ret, e) != 0)
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
	struct removal x SCOPED(removal_release) = {.r = r};
	int rc = artifact_get(r, tag, &b, &d, e);

	if (rc > 0)
		return err_set(e, ERR_REMOTE, "no such image");
	if (rc < 0 || shared(r, tag, &d.digest, &others, e) != 0)
		return -1;
	if (others.n == 0)
		return delete_image(&x, &d.digest, ret, e);
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
	const struct registry_want want = {.actions = "pull,push,delete"};
	struct registry r SCOPED(registry_close) = {0};
	struct removal x SCOPED(removal_release) = {.r = &r};
	struct strv gone SCOPED(strv_release) = {0};
	char *text SCOPED(mem_freep) = ref_text(at);
	int rc;

	if (at->tag[0] == '\0' && !at->has_digest)
		return err_set(e, ERR_USAGE, "%s: names neither tag nor digest", text);
	if (registry_open(at, o, &want, &r, e) != 0)
		return -1;
	rc = at->has_digest ? delete_image(&x, &at->digest, &gone, e)
			    : delete_tag(&r, at->tag, &gone, e);
	if (rc == 0 && at->has_digest && gone.n == 0)
		rc = err_set(e, ERR_REMOTE, "no such image");
	if (rc != 0)
		return err_in(e, "delete %s", text);
	strv_extend(ret, &gone);
	return 0;
}
