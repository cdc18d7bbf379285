#include "oci/oci.h"

#include "sys/par.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct verify {
	const struct oci_layout *l;
	void (*seen)(void *ctx, const struct oci_desc *d);
	void *ctx;
};

static int hash_blob(const struct oci_layout *l, const struct oci_desc *d, struct err *e)
{
	int fd SCOPED(fd_closep) = -1;
	struct digest got;
	uint64_t n;

	if (oci_layout_blob(l, &d->digest, &fd, NULL, e) != 0) {
		e->kind = ERR_VERIFY;
		return -1;
	}
	if (digest_fd(fd, &got, &n, e) != 0)
		return err_in(e, "blob %s", digest_text(&d->digest).s);
	if (!digest_equal(&got, &d->digest) || n != d->size)
		return err_set(e, ERR_VERIFY,
			       "%s: blob %s has the digest %s and %llu of %llu bytes",
			       oci_layout_path(l), digest_text(&d->digest).s, digest_text(&got).s,
			       (unsigned long long)n, (unsigned long long)d->size);
	return 0;
}

static int check_blob(const struct verify *v, const struct oci_desc *d, struct err *e)
{
	if (hash_blob(v->l, d, e) != 0)
		return -1;
	if (v->seen != NULL)
		v->seen(v->ctx, d);
	return 0;
}

/* Blobs that are hashed beside each other. */
struct hashing {
	const struct oci_layout *l;
	const struct oci_desc *v;
	struct outcome {
		int rc;
		struct err err;
	} * of; /* each */
};

static void hash_one(void *ctx, size_t i)
{
	struct hashing *h = ctx;

	h->of[i].err = (struct err)ERR_INIT;
	h->of[i].rc = hash_blob(h->l, &h->v[i], &h->of[i].err);
}

/* What is wrong with the first of them that is damaged is what is said. */
static int check_layers(const struct verify *v, const struct oci_manifest *m, struct err *e)
{
	struct outcome *of SCOPED(mem_freep) = mem_zalloc((m->layers_n + 1) * sizeof(*of));
	struct hashing h = {v->l, m->layers, of};

	par_each(m->layers_n, 0, hash_one, &h);
	for (size_t i = 0; i < m->layers_n; i++) {
		if (of[i].rc != 0) {
			*e = of[i].err;
			return -1;
		}
		if (v->seen != NULL)
			v->seen(v->ctx, &m->layers[i]);
	}
	return 0;
}

/* An image's config must list one diff_id a layer (OCI image-spec, config.md, rootfs). */
static int check_config(const struct verify *v, const struct oci_manifest *m, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct jval *c SCOPED(jval_freep) = NULL;
	const struct jval *ids;

	if (strcmp(m->config.media_type, OCI_CONFIG) != 0 || m->artifact_type[0] != '\0')
		return 0;
	if (oci_layout_read(v->l, &m->config.digest, &b, e) != 0 ||
	    jval_parse(b.data, b.len, "image config", &c, e) != 0) {
		e->kind = ERR_VERIFY;
		return -1;
	}
	ids = jval_get(jval_get(c, "rootfs"), "diff_ids");
	if (jval_len(ids) != m->layers_n)
		return err_set(e, ERR_VERIFY, "image config: %zu diff_ids for %zu layers",
			       jval_len(ids), m->layers_n);
	return 0;
}

static int check_manifest(const struct verify *v, const struct oci_desc *d, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};

	if (check_blob(v, d, e) != 0 || oci_layout_read(v->l, &d->digest, &b, e) != 0)
		return -1;
	if (oci_manifest_parse(b.data, b.len, &m, e) != 0) {
		e->kind = ERR_VERIFY;
		return -1;
	}
	if (check_blob(v, &m.config, e) != 0 || check_layers(v, &m, e) != 0)
		return -1;
	return check_config(v, &m, e);
}

static int check_index(const struct verify *v, const struct oci_desc *d, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct oci_index x SCOPED(oci_index_release) = {0};

	if (check_blob(v, d, e) != 0 || oci_layout_read(v->l, &d->digest, &b, e) != 0)
		return -1;
	if (oci_index_parse(b.data, b.len, &x, e) != 0) {
		e->kind = ERR_VERIFY;
		return -1;
	}
	for (size_t i = 0; i < x.n; i++)
		if (check_manifest(v, &x.v[i], e) != 0)
			return -1;
	return 0;
}

static int check_entry(const struct verify *v, const struct oci_desc *d, struct err *e)
{
	return strcmp(d->media_type, OCI_INDEX) == 0 ? check_index(v, d, e)
						     : check_manifest(v, d, e);
}

int oci_layout_verify(const struct oci_layout *l, const struct oci_desc *from,
		      void (*seen)(void *ctx, const struct oci_desc *d), void *ctx, struct err *e)
{
	const struct verify v = {l, seen, ctx};
	const struct oci_desc *entries;
	size_t n;

	if (from != NULL)
		return check_entry(&v, from, e);
	entries = oci_layout_entries(l, &n);
	for (size_t i = 0; i < n; i++)
		if (check_entry(&v, &entries[i], e) != 0)
			return -1;
	return 0;
}
