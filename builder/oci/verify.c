#include "oci/oci.h"

#include "sys/par.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What is to be hashed, in the order in which it is told. */
struct job {
	struct oci_desc d;
	struct err err;
	bool failed;
};

struct verify {
	const struct oci_layout *l;
	void (*seen)(void *ctx, const struct oci_desc *d);
	void *ctx;
	struct job *jobs;
	size_t n;
};

static void verify_release(struct verify *v)
{
	for (size_t i = 0; i < v->n; i++)
		oci_desc_release(&v->jobs[i].d);
	free(v->jobs);
}

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

/* Blobs that nothing else is read of wait until all are known. */
static void check_later(struct verify *v, const struct oci_desc *d)
{
	v->jobs = mem_resize(v->jobs, v->n + 1, sizeof(*v->jobs));
	v->jobs[v->n] = (struct job){.err = ERR_INIT};
	oci_desc_copy(d, &v->jobs[v->n++].d);
}

static void hash_one(void *ctx, size_t i)
{
	struct verify *v = ctx;
	struct job *j = &v->jobs[i];

	j->failed = hash_blob(v->l, &j->d, &j->err) != 0;
}

static int run_jobs(struct verify *v, struct err *e)
{
	par_each(v->n, 0, hash_one, v);
	for (size_t i = 0; i < v->n; i++) {
		if (v->jobs[i].failed) {
			*e = v->jobs[i].err;
			return -1;
		}
		if (v->seen != NULL)
			v->seen(v->ctx, &v->jobs[i].d);
	}
	return 0;
}

/* A manifest or an index is hashed before it is believed. */
static int check_blob(struct verify *v, const struct oci_desc *d, struct err *e)
{
	if (hash_blob(v->l, d, e) != 0)
		return -1;
	if (v->seen != NULL)
		v->seen(v->ctx, d);
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

static int check_manifest(struct verify *v, const struct oci_desc *d, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};

	if (check_blob(v, d, e) != 0 || oci_layout_read(v->l, &d->digest, &b, e) != 0)
		return -1;
	if (oci_manifest_parse(b.data, b.len, &m, e) != 0) {
		e->kind = ERR_VERIFY;
		return -1;
	}
	if (check_blob(v, &m.config, e) != 0)
		return -1;
	for (size_t i = 0; i < m.layers_n; i++)
		check_later(v, &m.layers[i]);
	return check_config(v, &m, e);
}

static int check_index(struct verify *v, const struct oci_desc *d, struct err *e)
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

static int check_entry(struct verify *v, const struct oci_desc *d, struct err *e)
{
	return strcmp(d->media_type, OCI_INDEX) == 0 ? check_index(v, d, e)
						     : check_manifest(v, d, e);
}

int oci_layout_verify(const struct oci_layout *l, const struct oci_desc *from,
		      void (*seen)(void *ctx, const struct oci_desc *d), void *ctx, struct err *e)
{
	struct verify v SCOPED(verify_release) = {.l = l, .seen = seen, .ctx = ctx};
	const struct oci_desc *entries;
	size_t n;

	if (from != NULL)
		return check_entry(&v, from, e) != 0 ? -1 : run_jobs(&v, e);
	entries = oci_layout_entries(l, &n);
	for (size_t i = 0; i < n; i++)
		if (check_entry(&v, &entries[i], e) != 0)
			return -1;
	return run_jobs(&v, e);
}
