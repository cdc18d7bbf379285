#include "build/job.h"

#include "base/log.h"
#include "proxy/record.h"
#include "sys/fs.h"
#include <unistd.h>

/* Moves one blob from the store into the layout, verified on the way. */
static int move(struct job *j, struct oci_layout *l, const struct oci_desc *d, struct err *e)
{
	int fd SCOPED(fd_closep) = -1;

	if (store_get(j->s, &d->digest, &fd, e) != 0)
		return -1;
	return oci_layout_add_fd(l, fd, &d->digest, d->size, e);
}

static int read_manifest(struct job *j, const struct digest *d, struct oci_manifest *ret,
			 struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);

	if (store_read(j->s, d, &b, e) != 0)
		return -1;
	return oci_manifest_parse(b.data, b.len, ret, e);
}

/* By size only: a build that has nothing to do must be quick, and verify hashes. */
static bool has_blob(const struct oci_layout *l, const struct oci_desc *d)
{
	int fd SCOPED(fd_closep) = -1;
	struct err quiet = ERR_INIT;
	uint64_t size = 0;

	return oci_layout_blob(l, &d->digest, &fd, &size, &quiet) == 0 && size == d->size;
}

static bool has_blobs(struct job *j, const struct oci_layout *l, const struct oci_desc *image)
{
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};
	struct err quiet = ERR_INIT;

	if (!has_blob(l, image) || read_manifest(j, &image->digest, &m, &quiet) != 0 ||
	    !has_blob(l, &m.config))
		return false;
	for (size_t i = 0; i < m.layers_n; i++)
		if (!has_blob(l, &m.layers[i]))
			return false;
	return true;
}

bool job_exported(struct job *j, const struct build_result *r)
{
	struct oci_layout *l SCOPED(oci_layout_freep) = NULL;
	struct oci_desc d SCOPED(oci_desc_release) = {0};
	struct err quiet = ERR_INIT;

	return oci_layout_open(j->o->layout, false, &l, &quiet) == 0 &&
	       oci_layout_find(l, j->o->tag, &r->manifest, &d, &quiet) == 0 && has_blobs(j, l, &d);
}

int job_export(struct job *j, struct build_result *r, struct err *e)
{
	struct oci_layout *l SCOPED(oci_layout_freep) = NULL;
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};
	struct oci_desc d SCOPED(oci_desc_release) = {.media_type = mem_strdup(OCI_MANIFEST),
						      .digest = r->manifest,
						      .size = r->manifest_size};

	if (read_manifest(j, &r->manifest, &m, e) != 0 ||
	    oci_layout_open(j->o->layout, true, &l, e) != 0)
		return -1;
	r->layers = m.layers_n;
	r->layers_size = 0;
	for (size_t i = 0; i < m.layers_n; i++) {
		if (move(j, l, &m.layers[i], e) != 0)
			return -1;
		r->layers_size += m.layers[i].size;
	}
	if (move(j, l, &m.config, e) != 0 || move(j, l, &d, e) != 0)
		return -1;
	return oci_layout_tag(l, j->o->tag, &d, e);
}

int job_describe(struct job *j, struct build_result *r, struct err *e)
{
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};

	if (read_manifest(j, &r->manifest, &m, e) != 0)
		return -1;
	r->layers = m.layers_n;
	for (size_t i = 0; i < m.layers_n; i++)
		r->layers_size += m.layers[i].size;
	return 0;
}

int job_recheck_image(struct job *j, const struct plan_stage *image, bool *ret_moved)
{
	struct plan_image i SCOPED(plan_image_release) = {0};
	struct err why = ERR_INIT;

	if (!plan_image_load(j->s, &image->key, &i) ||
	    store_recheck(j->s, &i.manifest, ret_moved, &why) != 0)
		return -1;
	for (size_t k = 0; k < i.blobs_n; k++) {
		bool moved = false;

		if (store_recheck(j->s, &i.blobs[k], &moved, &why) != 0)
			return -1;
		*ret_moved = *ret_moved || moved;
	}
	return 0;
}

/* What came in through the network, and the records in the store that say so. */
static void put_records(const struct job *j, struct jval *v)
{
	struct jval *keys = jval_array();

	for (size_t i = 0; i < j->r->steps_n; i++) {
		struct digest key;

		if (!j->r->steps[i].network)
			continue;
		key = record_key(j->r, &j->r->steps[i]);
		jval_push(keys, jval_text(digest_text(&key).s));
	}
	jval_put(v, "records", keys);
	jval_put(v, "recorded", lock_recorded_json(j->merged, j->merged_n));
}

struct jval *job_image_blobs(struct job *j, const struct build_result *r)
{
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};
	struct jval *v = jval_object(), *blobs = jval_array(), *stages = jval_array();
	struct err quiet = ERR_INIT;

	jval_put_text(v, "manifest", digest_text(&r->manifest).s);
	jval_put(v, "blobs", blobs);
	jval_put(v, "stages", stages);
	put_records(j, v);
	for (size_t i = 0; i + 1 < j->plan->n; i++)
		jval_push(stages, jval_text(digest_text(&j->plan->v[i].key).s));
	if (read_manifest(j, &r->manifest, &m, &quiet) != 0)
		return v;
	jval_push(blobs, jval_text(digest_text(&m.config.digest).s));
	for (size_t i = 0; i < m.layers_n; i++)
		jval_push(blobs, jval_text(digest_text(&m.layers[i].digest).s));
	return v;
}
