#include "remote/lookaside.h"
#include "remote/referrers.h"
#include "remote/signatures.h"

#include "base/log.h"
#include <string.h>

static const char *const suffixes[] = {"sig", "pgp", "att"};

static int push_signatures(const struct carry *c, const struct digest *image, struct err *e)
{
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		char *tag SCOPED(mem_freep) = artifact_tag(image, suffixes[i]);

		if (signatures_push(c, tag, e) != 0)
			return err_in(e, "signatures %s", tag);
	}
	return referrers_push(c, image, e);
}

static int fill_lookaside(const struct oci_layout *l, const struct lookaside *a, struct err *e)
{
	char *tag SCOPED(mem_freep) = artifact_tag(a->image, "pgp");
	const struct oci_desc *d = signatures_tagged(l, tag);
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};

	if (d == NULL) {
		log_warn("no OpenPGP signature to put into the lookaside %s", a->at);
		return 0;
	}
	if (oci_layout_read(l, &d->digest, &b, e) != 0 ||
	    oci_manifest_parse(b.data, b.len, &m, e) != 0)
		return -1;
	for (size_t i = 0; i < m.layers_n; i++) {
		struct buf sig SCOPED(buf_release) = BUF_INIT(LOOKASIDE_BYTES_MAX);

		if (oci_layout_read(l, &m.layers[i].digest, &sig, e) != 0 ||
		    lookaside_put(a, &sig, e) != 0)
			return -1;
	}
	return 0;
}

static int check_target(const struct ref *to, const struct oci_desc *manifest, struct err *e)
{
	char *text SCOPED(mem_freep) = ref_text(to);

	if (to->kind != REF_DOCKER)
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

static int push_signed(const struct carry *c, const struct lookaside *a, struct err *e)
{
	if (push_signatures(c, a->image, e) != 0)
		return -1;
	return a->at != NULL ? fill_lookaside(c->l, a, e) : 0;
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

		if (artifact_push(c->r, c->l, &x.v[i], "", c->stats, e) != 0 ||
		    push_signed(c, &one, e) != 0)
			return -1;
	}
	return artifact_push_index(c->r, c->l, d, e);
}

static int push_all(const struct carry *c, const struct oci_desc *d, const struct lookaside *a,
		    struct err *e)
{
	bool index = strcmp(d->media_type, OCI_INDEX) == 0;

	if ((index ? push_index(c, d, a, e) : artifact_push(c->r, c->l, d, "", c->stats, e)) != 0)
		return -1;
	return push_signed(c, a, e);
}

int remote_push(struct oci_layout *l, const struct oci_desc *manifest, const struct ref *to,
		const struct remote_opts *o, struct remote_stats *ret, struct err *e)
{
	const struct lookaside a = {o->lookaside, to->path, &manifest->digest};
	struct registry r SCOPED(registry_close) = {0};
	struct remote_stats stats = {0};
	const struct carry c = {.r = &r, .l = l, .stats = &stats};
	char *text SCOPED(mem_freep) = ref_text(to);

	if (check_target(to, manifest, e) != 0 || registry_open(to, o, true, &r, e) != 0)
		return -1;
	/* who can see the tag must find the signatures */
	if (push_all(&c, manifest, &a, e) != 0 ||
	    (to->tag[0] != '\0' && artifact_set_tag(&r, l, manifest, to->tag, e) != 0))
		return err_in(e, "push to %s", text);
	log_progress("push", stats.bytes, stats.bytes);
	*ret = stats;
	return 0;
}
