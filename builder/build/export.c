#include "build/job.h"

#include "base/log.h"
#include "base/num.h"
#include "build/exported.h"
#include "proxy/record.h"
#include "sys/fs.h"
#include <string.h>
#include <unistd.h>

/* What an image consists of, in the order in which it is written: each part after those that it
 * names. */
struct parts {
	struct oci_desc *v;
	size_t n;
	size_t first, layers; /* where the layers of the first manifest are, and how many */
};

static void parts_release(struct parts *p)
{
	for (size_t i = 0; i < p->n; i++)
		oci_desc_release(&p->v[i]);
	mem_freep(&p->v);
}

static void add(struct parts *p, const struct oci_desc *d)
{
	p->v = mem_resize(p->v, p->n + 1, sizeof(*p->v));
	oci_desc_copy(d, &p->v[p->n++]);
}

/* Moves one blob from the store into the layout, verified on the way. */
static int move(struct job *j, struct oci_layout *l, const struct oci_desc *d, struct err *e)
{
	int fd SCOPED(fd_closep) = -1;

	if (store_get(j->s, &d->digest, &fd, e) != 0)
		return -1;
	return oci_layout_add_fd(l, fd, &d->digest, d->size, e);
}

static int move_all(struct job *j, struct oci_layout *l, const struct parts *p, struct err *e)
{
	struct exported *x SCOPED(exported_freep) = exported_open(j, l);

	for (size_t i = 0; i < p->n; i++) {
		if (!exported_same(x, &p->v[i]) && move(j, l, &p->v[i], e) != 0)
			return -1;
		exported_add(x, &p->v[i]);
	}
	exported_keep(x);
	return 0;
}

static int add_manifest(struct job *j, const struct oci_desc *d, struct parts *ret, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};

	if (store_read(j->s, &d->digest, &b, e) != 0 ||
	    oci_manifest_parse(b.data, b.len, &m, e) != 0)
		return -1;
	if (ret->layers == 0) {
		ret->first = ret->n;
		ret->layers = m.layers_n;
	}
	for (size_t i = 0; i < m.layers_n; i++)
		add(ret, &m.layers[i]);
	add(ret, &m.config);
	add(ret, d);
	return 0;
}

/* The image of a result; the last part is what its tag points at. */
static int read_parts(struct job *j, const struct build_result *r, struct parts *ret, struct err *e)
{
	bool both = strcmp(j->r->compression, "both") == 0;
	struct oci_desc top SCOPED(oci_desc_release) = {
	    .media_type = mem_strdup(both ? OCI_INDEX : OCI_MANIFEST),
	    .digest = r->manifest,
	    .size = r->manifest_size};
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct oci_index x SCOPED(oci_index_release) = {0};

	if (!both)
		return add_manifest(j, &top, ret, e);
	if (store_read(j->s, &top.digest, &b, e) != 0 || oci_index_parse(b.data, b.len, &x, e) != 0)
		return -1;
	for (size_t i = 0; i < x.n; i++)
		if (add_manifest(j, &x.v[i], ret, e) != 0)
			return -1;
	add(ret, &top);
	return 0;
}

static void put_note(struct jval *o, const char *key, const struct oci_desc *d, const char *note)
{
	const char *s = jval_get_str(d->annotations, note);

	if (s != NULL)
		jval_put_text(o, key, s);
}

/* Counts and table of the result, from the manifest that old engines take. */
static void describe(struct build_result *r, const struct parts *p)
{
	jval_free(r->table);
	r->table = jval_array();
	r->layers = p->layers;
	r->layers_size = 0;
	for (size_t i = p->first; i < p->first + p->layers; i++) {
		const struct oci_desc *d = &p->v[i];
		const char *n = jval_get_str(d->annotations, "org.posmedia.layer.entries");
		struct jval *o = jval_object();
		uint64_t entries = 0;

		put_note(o, "name", d, "org.posmedia.layer");
		put_note(o, "why", d, "org.posmedia.layer.why");
		if (n != NULL && num_u64(n, INT64_MAX, &entries) == 0)
			jval_put_int(o, "entries", (int64_t)entries);
		jval_put_int(o, "bytes", (int64_t)d->size);
		jval_push(r->table, o);
		r->layers_size += d->size;
	}
}

/* By size only: a build that has nothing to do must be quick, and verify hashes. */
static bool has_blob(const struct oci_layout *l, const struct oci_desc *d)
{
	int fd SCOPED(fd_closep) = -1;
	struct err quiet = ERR_INIT;
	uint64_t size = 0;

	return oci_layout_blob(l, &d->digest, &fd, &size, &quiet) == 0 && size == d->size;
}

static bool has_blobs(struct job *j, const struct oci_layout *l, const struct build_result *r)
{
	struct parts p SCOPED(parts_release) = {0};
	struct err quiet = ERR_INIT;

	if (read_parts(j, r, &p, &quiet) != 0)
		return false;
	for (size_t i = 0; i < p.n; i++)
		if (!has_blob(l, &p.v[i]))
			return false;
	return true;
}

bool job_exported(struct job *j, const struct build_result *r)
{
	struct oci_layout *l SCOPED(oci_layout_freep) = NULL;
	struct oci_desc d SCOPED(oci_desc_release) = {0};
	struct err quiet = ERR_INIT;

	return oci_layout_open(j->o->layout, false, &l, &quiet) == 0 &&
	       oci_layout_find(l, j->o->tag, &r->manifest, &d, &quiet) == 0 && has_blobs(j, l, r);
}

int job_export(struct job *j, struct build_result *r, struct err *e)
{
	struct oci_layout *l SCOPED(oci_layout_freep) = NULL;
	struct parts p SCOPED(parts_release) = {0};

	if (read_parts(j, r, &p, e) != 0 || oci_layout_open(j->o->layout, true, &l, e) != 0)
		return -1;
	if (move_all(j, l, &p, e) != 0)
		return -1;
	describe(r, &p);
	return oci_layout_tag(l, j->o->tag, &p.v[p.n - 1], e);
}

int job_describe(struct job *j, struct build_result *r, struct err *e)
{
	struct parts p SCOPED(parts_release) = {0};

	if (read_parts(j, r, &p, e) != 0)
		return -1;
	describe(r, &p);
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
	struct parts p SCOPED(parts_release) = {0};
	struct jval *v = jval_object(), *blobs = jval_array(), *stages = jval_array();
	struct err quiet = ERR_INIT;

	jval_put_text(v, "manifest", digest_text(&r->manifest).s);
	jval_put(v, "blobs", blobs);
	jval_put(v, "stages", stages);
	put_records(j, v);
	for (size_t i = 0; i + 1 < j->plan->n; i++)
		jval_push(stages, jval_text(digest_text(&j->plan->v[i].key).s));
	if (read_parts(j, r, &p, &quiet) != 0)
		return v;
	for (size_t i = 0; i + 1 < p.n; i++) /* the last is the manifest or index itself */
		jval_push(blobs, jval_text(digest_text(&p.v[i].digest).s));
	return v;
}
