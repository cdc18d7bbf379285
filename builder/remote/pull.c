#include "remote/lookaside.h"
#include "remote/referrers.h"
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

static int pull_signatures(const struct carry *c, const struct lookaside *a, struct err *e)
{
	char *sig SCOPED(mem_freep) = artifact_tag(a->image, "sig");
	char *pgp SCOPED(mem_freep) = artifact_tag(a->image, "pgp");
	char *att SCOPED(mem_freep) = artifact_tag(a->image, "att");
	int rc;

	if (signatures_pull(c, sig, e) < 0)
		return err_in(e, "signatures %s", sig);
	if (signatures_pull(c, att, e) < 0)
		return err_in(e, "attestations %s", att);
	if (referrers_pull(c, a->image, e) != 0)
		return -1;
	rc = signatures_pull(c, pgp, e);
	if (rc == 1 && a->at != NULL)
		rc = from_lookaside(c, a, pgp, e);
	return rc < 0 ? err_in(e, "signatures %s", pgp) : 0;
}

/* The image, and the signatures of what an index holds: an engine asks for those. */
static int pull_image(const struct carry *c, const struct ref *from, const struct lookaside *a,
		      struct remote_pulled *ret, struct err *e)
{
	struct digest_text digest = digest_text(&from->digest);
	struct oci_index members SCOPED(oci_index_release) = {0};
	const char *name = from->has_digest ? digest.s : from->tag;
	int rc = artifact_pull_image(c, name, &ret->manifest, &members, e);

	ret->image = members.n > 0 ? members.v[0].digest : ret->manifest.digest;
	for (size_t i = 0; i < members.n && rc == 0 && a != NULL; i++) {
		const struct lookaside one = {a->at, a->repo, &members.v[i].digest};

		rc = pull_signatures(c, &one, e);
	}
	if (rc != 1)
		return rc;
	(void)err_set(e, ERR_REMOTE, "no such image");
	return err_hint(e, "check the name: skopeo list-tags docker://%s/%s", from->host,
			from->path);
}

static int check_source(const struct ref *from, struct err *e)
{
	char *text SCOPED(mem_freep) = ref_text(from);

	if (from->kind != REF_DOCKER)
		return err_set(e, ERR_USAGE, "%s: not a registry's", text);
	if (from->tag[0] != '\0' || from->has_digest)
		return 0;
	(void)err_set(e, ERR_USAGE, "%s: names neither tag nor digest", text);
	return err_hint(e, "\"latest\" is not assumed: add :TAG or @sha256:...");
}

int remote_pull(const struct ref *from, struct oci_layout *l, const char *tag,
		const struct remote_opts *o, struct remote_pulled *ret, struct err *e)
{
	struct registry r SCOPED(registry_close) = {0};
	struct remote_pulled got = {0};
	const struct carry c = {&r, l, &got.stats, o->arch, o->only_manifest};
	const struct lookaside at = {o->lookaside, from->path, &got.manifest.digest};
	const struct lookaside *a = o->only_image ? NULL : &at;
	char *text SCOPED(mem_freep) = ref_text(from);

	if (check_source(from, e) != 0)
		return -1;
	if (registry_open(from, o, false, &r, e) != 0)
		return err_in(e, "pull %s", text);
	if (pull_image(&c, from, a, &got, e) != 0 ||
	    (a != NULL && pull_signatures(&c, a, e) != 0) ||
	    oci_layout_tag(l, tag, &got.manifest, e) != 0) {
		oci_desc_release(&got.manifest);
		return err_in(e, "pull %s", text);
	}
	log_progress("pull", got.stats.bytes, got.stats.bytes);
	*ret = got;
	return 0;
}
