#include "remote/signatures.h"

#include <stdlib.h>
#include <string.h>

enum { SIGNATURES_BYTES_MAX = 64 << 20, CONFIG_MAX = 64 << 10 };

const struct oci_desc *signatures_tagged(const struct oci_layout *l, const char *tag)
{
	size_t n;
	const struct oci_desc *v = oci_layout_entries(l, &n);

	for (size_t i = 0; i < n; i++)
		if (strcmp(oci_desc_tag(&v[i]), tag) == 0)
			return &v[i];
	return NULL;
}

static int read_manifest(const struct oci_layout *l, const struct oci_desc *d,
			 struct oci_manifest *ret, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);

	if (oci_layout_read(l, &d->digest, &b, e) != 0)
		return -1;
	return oci_manifest_parse(b.data, b.len, ret, e);
}

/* cosign has the signature itself in an annotation: the blob alone does not tell two apart. */
static bool same(const struct oci_desc *a, const struct oci_desc *b)
{
	bool bare = a->annotations == NULL && b->annotations == NULL;

	return digest_equal(&a->digest, &b->digest) &&
	       (bare || (a->annotations != NULL && b->annotations != NULL &&
			 jval_equal(a->annotations, b->annotations)));
}

static bool has(const struct oci_manifest *m, const struct oci_desc *layer)
{
	for (size_t i = 0; i < m->layers_n; i++)
		if (same(&m->layers[i], layer))
			return true;
	return false;
}

/* Moves the layers that m lacks from `from` to m. Returns how many those were. */
static size_t move_layers(struct oci_manifest *m, struct oci_manifest *from)
{
	size_t before = m->layers_n;

	m->layers = mem_resize(m->layers, before + from->layers_n + 1, sizeof(*m->layers));
	for (size_t i = 0; i < from->layers_n; i++) {
		if (has(m, &from->layers[i]))
			continue;
		m->layers[m->layers_n++] = from->layers[i];
		from->layers[i] = (struct oci_desc){0};
	}
	return m->layers_n - before;
}

/* cosign's config lists the payloads; the OpenPGP form's is the empty object and stays. */
static int renew_config(struct oci_layout *l, struct oci_manifest *m, struct err *e)
{
	struct jval *v SCOPED(jval_freep) = jval_object();
	struct buf b SCOPED(buf_release) = BUF_INIT(CONFIG_MAX);

	oci_list_payloads(m, v);
	if (strcmp(m->config.media_type, OCI_CONFIG) != 0)
		return 0;
	jval_write(v, &b);
	m->config.size = b.len;
	return oci_layout_add(l, b.data, b.len, &m->config.digest, e);
}

static int save(struct oci_layout *l, const char *tag, struct oci_manifest *m, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	char type[] = OCI_MANIFEST;
	struct oci_desc d = {.media_type = type};

	if (m->layers_n > OCI_LAYERS_MAX)
		return err_set(e, ERR_FAIL, "%zu signatures together; the limit is %d", m->layers_n,
			       OCI_LAYERS_MAX);
	if (renew_config(l, m, e) != 0)
		return -1;
	oci_manifest_write(m, &b);
	if (buf_over(&b))
		return err_set(e, ERR_FAIL, "signatures of too many bytes");
	d.size = b.len;
	if (oci_layout_add(l, b.data, b.len, &d.digest, e) != 0)
		return -1;
	return oci_layout_tag(l, tag, &d, e);
}

int signatures_add(struct oci_layout *l, const char *tag, const struct oci_desc *more,
		   struct err *e)
{
	const struct oci_desc *ours = signatures_tagged(l, tag);
	struct oci_manifest a SCOPED(oci_manifest_release) = {0};
	struct oci_manifest b SCOPED(oci_manifest_release) = {0};
	size_t ours_n;

	if (ours == NULL)
		return oci_layout_tag(l, tag, more, e);
	if (digest_equal(&ours->digest, &more->digest))
		return 0;
	if (read_manifest(l, ours, &a, e) != 0 || read_manifest(l, more, &b, e) != 0)
		return -1;
	ours_n = a.layers_n;
	/* theirs first: when they have all of ours already, nothing new is made */
	if (move_layers(&b, &a) == 0)
		return oci_layout_tag(l, tag, more, e);
	return b.layers_n == ours_n ? 0 : save(l, tag, &b, e);
}

int signatures_pull(const struct carry *c, const char *tag, struct err *e)
{
	const struct carry whole = {.r = c->r, .l = c->l, .stats = c->stats};
	struct oci_desc d SCOPED(oci_desc_release) = {0};
	int rc = artifact_pull(&whole, tag, SIGNATURES_BYTES_MAX, &d, e);

	return rc == 0 ? signatures_add(c->l, tag, &d, e) : rc;
}

int signatures_push(const struct carry *c, const char *tag, bool *ret_wrote, struct err *e)
{
	struct remote_stats aside = {0};
	const struct carry theirs = {.r = c->r, .l = c->l, .stats = &aside};
	struct oci_desc there SCOPED(oci_desc_release) = {0};
	const struct oci_desc *d = signatures_tagged(c->l, tag);
	int rc;

	if (d == NULL)
		return 0;
	rc = artifact_pull(&theirs, tag, SIGNATURES_BYTES_MAX, &there, e);
	if (rc < 0 || (rc == 0 && signatures_add(c->l, tag, &there, e) != 0))
		return err_in(e, "what is there");
	d = signatures_tagged(c->l, tag);
	if (rc == 0 && digest_equal(&d->digest, &there.digest))
		return 0;
	*ret_wrote = true;
	return artifact_push(c, d, tag, e);
}
