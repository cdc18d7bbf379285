#include "remote/artifact.h"
#include "remote/attached.h"
#include "remote/incoming.h"

#include "base/log.h"
#include <string.h>

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

		rc = attached_pull(c, &one, e);
	}
	if (rc != 1)
		return rc;
	(void)err_set(e, ERR_REMOTE, "no such image");
	return err_hint(e, "check the name: posmedia tags docker://%s/%s", from->host, from->path);
}

static int check_source(const struct ref *from, struct err *e)
{
	char *text SCOPED(mem_freep) = ref_text(from);

	if (from->kind != REF_DOCKER && from->kind != REF_S3)
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
	const struct registry_want want = {.actions = "pull"};
	const struct carry c = {.r = &r,
				.l = l,
				.stats = &got.stats,
				.platform = o->platform,
				.arch = o->arch,
				.only_manifest = o->only_manifest};
	const struct lookaside at = {o->lookaside, from->path, &got.manifest.digest};
	const struct lookaside *a = o->only_image ? NULL : &at;
	char *text SCOPED(mem_freep) = ref_text(from);

	if (check_source(from, e) != 0)
		return -1;
	if (registry_open(from, o, &want, &r, e) != 0)
		return err_in(e, "pull %s", text);
	if (pull_image(&c, from, a, &got, e) != 0 || (a != NULL && attached_pull(&c, a, e) != 0) ||
	    oci_layout_tag(l, tag, &got.manifest, e) != 0) {
		oci_desc_release(&got.manifest);
		return err_in(e, "pull %s", text);
	}
	incoming_sweep(l);
	log_progress("pull", got.stats.bytes, got.stats.bytes);
	*ret = got;
	return 0;
}
