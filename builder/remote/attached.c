#include "remote/attached.h"
#include "remote/referrers.h"
#include "remote/s3.h"
#include "remote/signatures.h"

#include "base/log.h"
#include <string.h>

/* Builds from the lookaside what the registry does not have. */
static int from_lookaside(const struct carry *c, const struct lookaside *a, const char *tag,
			  struct err *e)
{
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct oci_desc d SCOPED(oci_desc_release) = {.media_type = mem_strdup(OCI_MANIFEST)};

	if (lookaside_get(a, c->l, &m, e) != 0)
		return -1;
	if (m.layers_n == 0)
		return 0;
	oci_manifest_write(&m, &b);
	if (buf_over(&b))
		return err_set(e, ERR_FAIL, "%s: too many signatures", tag);
	d.size = b.len;
	if (oci_layout_add(c->l, b.data, b.len, &d.digest, e) != 0)
		return -1;
	return signatures_add(c->l, tag, &d, e);
}

int attached_pull(const struct carry *c, const struct lookaside *a, struct err *e)
{
	char *sig SCOPED(mem_freep) = artifact_tag(a->image, "sig");
	char *pgp SCOPED(mem_freep) = artifact_tag(a->image, "pgp");
	char *att SCOPED(mem_freep) = artifact_tag(a->image, "att");
	int rc;

	if (signatures_pull(c, sig, e) < 0)
		return err_in(e, "signatures %s", sig);
	if (signatures_pull(c, att, e) < 0)
		return err_in(e, "attestations %s", att);
	rc = signatures_pull(c, pgp, e);
	if (rc == 1 && a->at != NULL)
		rc = from_lookaside(c, a, pgp, e);
	if (rc < 0)
		return err_in(e, "signatures %s", pgp);
	return referrers_pull(c, a->image, e) != 0 ? err_in(e, "referrers") : 0;
}

static const char *const suffixes[] = {"sig", "pgp", "att"};

static int push_signatures(const struct carry *c, const struct digest *image, struct err *e)
{
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		char *tag SCOPED(mem_freep) = artifact_tag(image, suffixes[i]);

		if (signatures_push(c, tag, e) != 0)
			return err_in(e, "signatures %s", tag);
	}
	return 0;
}

/* Each OpenPGP signature of the layout goes to the lookaside, and of a bucket to the one in it. */
static int fill_lookaside(const struct carry *c, const struct lookaside *a, struct err *e)
{
	char *tag SCOPED(mem_freep) = artifact_tag(a->image, "pgp");
	const struct oci_desc *d = signatures_tagged(c->l, tag);
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};

	if (d == NULL && a->at != NULL)
		log_warn("no OpenPGP signature to put into the lookaside %s", a->at);
	if (d == NULL)
		return 0;
	if (oci_layout_read(c->l, &d->digest, &b, e) != 0 ||
	    oci_manifest_parse(b.data, b.len, &m, e) != 0)
		return -1;
	for (size_t i = 0; i < m.layers_n; i++) {
		struct buf sig SCOPED(buf_release) = BUF_INIT(LOOKASIDE_BYTES_MAX);

		if (oci_layout_read(c->l, &m.layers[i].digest, &sig, e) != 0 ||
		    (a->at != NULL && lookaside_put(a, &sig, e) != 0) ||
		    (c->r->s3 != NULL && s3_lookaside_put(c->r, a->image, &sig, e) != 0))
			return -1;
	}
	return 0;
}

int attached_push(const struct carry *c, const struct lookaside *a, struct err *e)
{
	if (push_signatures(c, a->image, e) != 0)
		return -1;
	if (referrers_push(c, a->image, e) != 0)
		return err_in(e, "referrers");
	return a->at != NULL || c->r->s3 != NULL ? fill_lookaside(c, a, e) : 0;
}

void attached_tags(const struct digest *image, struct strv *ret)
{
	strv_addf(ret, "sha256-%s", digest_hex(image).s);
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
		strv_take(ret, artifact_tag(image, suffixes[i]));
}
