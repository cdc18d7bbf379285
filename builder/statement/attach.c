#include "statement/statement.h"

#include "sign/attest.h"
#include "sign/image.h"
#include <string.h>

/* One image, or an index with what is in it. */
static int attach_to(struct oci_layout *l, const struct oci_desc *d, const struct statements *s,
		     const struct sign_key *k, struct err *e)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].is_statement && attest_image(l, d, &s->v[i].text, k, e) != 0)
			return err_in(e, "%s", s->v[i].name);
	return 0;
}

static int attach_to_members(struct oci_layout *l, const struct oci_desc *index,
			     const struct statements *s, const struct sign_key *k, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct oci_index x SCOPED(oci_index_release) = {0};

	if (oci_layout_read(l, &index->digest, &b, e) != 0 ||
	    oci_index_parse(b.data, b.len, &x, e) != 0)
		return -1;
	for (size_t i = 0; i < x.n; i++)
		if (attach_to(l, &x.v[i], s, k, e) != 0)
			return -1;
	return 0;
}

int statements_attach(struct oci_layout *l, const struct oci_desc *manifest,
		      const struct statements *s, const struct statements_by *by, struct err *e)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].is_statement &&
		    attest_check(&s->v[i].text, s->v[i].name, &manifest->digest, e) != 0)
			return -1;
	for (size_t i = 0; i < by->identities->n; i++)
		if (sign_image(l, manifest, by->identities->v[i], by->key, by->time, e) != 0)
			return -1;
	if (attach_to(l, manifest, s, by->key, e) != 0)
		return -1;
	if (strcmp(manifest->media_type, OCI_INDEX) != 0)
		return 0;
	return attach_to_members(l, manifest, s, by->key, e);
}
