#include "build/image.h"

#include "build/judge.h"
#include "build/verdict.h"

#include "base/log.h"
#include "build/gates.h"
#include "build/reads.h"
#include "build/tests.h"
#include "sys/aside.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include "sys/intr.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The image is judged while it is packed: until that is over its blobs are no blobs yet, so that
 * what is refused is not in the store. */
static struct kept_back *keep_back(struct packing *p, struct store_put *put,
				   const struct pack_result *r)
{
	struct kept_back *b;

	p->back = mem_resize(p->back, p->back_n + 1, sizeof(*p->back));
	b = &p->back[p->back_n++];
	*b = (struct kept_back){.put = put, .packed = *r};
	store_put_start(put);
	return b;
}

static int give(struct packing *p, struct err *e)
{
	for (size_t i = 0; i < p->back_n; i++) {
		struct kept_back *b = &p->back[i];

		if (store_put_commit(b->put, &b->packed.digest, NULL, NULL, e) != 0 ||
		    (b->remember && job_layer_remember(p->j, &b->key, &b->packed, e) != 0))
			return err_in(e, "image");
	}
	return 0;
}

static int pack_new(struct packing *p, const struct pack_opts *o, const struct digest *key,
		    struct pack_result *ret, struct err *e)
{
	struct store_put *put SCOPED(store_put_freep) = NULL;
	struct kept_back *b;
	struct sink to;

	if (store_put_begin(p->j->s, &put, e) != 0)
		return -1;
	to = store_put_sink(put);
	if (pack_layer(p->rootfd, &p->tree, o, &to, ret, e) != 0)
		return -1;
	b = keep_back(p, STEAL(put), ret);
	b->remember = key != NULL;
	if (key != NULL)
		b->key = *key;
	return 0;
}

static int put_bytes(struct packing *p, const struct buf *b, struct oci_desc *ret, struct err *e)
{
	struct store_put *put SCOPED(store_put_freep) = NULL;
	struct pack_result r = {.digest = digest_of(b->data, b->len)};
	struct sink to;

	if (store_put_begin(p->j->s, &put, e) != 0)
		return -1;
	to = store_put_sink(put);
	if (sink_write(&to, b->data, b->len, e) != 0)
		return -1;
	(void)keep_back(p, STEAL(put), &r);
	ret->size = b->len;
	ret->digest = r.digest;
	return 0;
}

static bool is_delta(const struct packing *p)
{
	return p->delta.base.media_type != NULL;
}

/* Cached trees lie open on a disk: what goes into a layer is what the stage wrote. */
static const struct digest *want_content(void *ctx, size_t i, const struct tree_entry *en)
{
	const struct job *j = ctx;

	(void)en;
	return j->origins[i].content;
}

static int pack_one(struct packing *p, int layer, struct job_layer *ret, struct err *e)
{
	const struct job *j = p->j;
	struct pack_opts o = {.layer = layer,
			      .compression = p->compression,
			      .threads = j->o->threads,
			      .epoch = JOB_DIRECTORY_TIME,
			      .want = want_content,
			      .ctx = p->j};
	char *compressor SCOPED(mem_freep) = pack_compressor_id(&o);
	struct digest key = {0};

	ret->name = is_delta(p) ? mem_strdup("delta") : job_layer_name(j, (size_t)layer);
	ret->why = is_delta(p) ? delta_why(&p->delta) : job_layer_why(j, (size_t)layer);
	if (!is_delta(p)) {
		key = job_layer_key(j, &p->tree, layer, compressor);
		if (!j->o->no_cache && job_layer_recall(j, &key, &ret->packed)) {
			log_info("layer %s: unchanged", ret->name);
			return 0;
		}
	}
	if (pack_new(p, &o, is_delta(p) ? NULL : &key, &ret->packed, e) != 0) {
		p->j->damaged = e->kind == ERR_VERIFY;
		return err_in(e, "layer %s", ret->name);
	}
	log_info("layer %s: %zu entries, %s", ret->name, ret->packed.entries,
		 digest_text(&ret->packed.digest).s);
	return intr_pending() ? intr_err(e) : 0;
}

static bool any_in(const struct tree *t, int layer)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->v[i].layer == layer)
			return true;
	return false;
}

static void drop_layers(struct packing *p)
{
	for (size_t i = 0; i < p->layers_n; i++) {
		free(p->layers[i].name);
		free(p->layers[i].why);
	}
	free(p->layers);
	p->layers = NULL;
	p->layers_n = 0;
}

static int pack_all(struct packing *p, struct err *e)
{
	drop_layers(p);
	p->layers = mem_zalloc((p->possible + 1) * sizeof(*p->layers));
	for (size_t i = 0; i < p->possible; i++) {
		if (!any_in(&p->tree, (int)i))
			continue;
		log_progress("pack", i, p->possible);
		if (pack_one(p, (int)i, &p->layers[p->layers_n++], e) != 0)
			return -1;
	}
	log_progress("pack", p->possible, p->possible);
	return 0;
}

static int put_json(struct packing *p, const struct jval *v, struct oci_desc *ret, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);

	jval_write(v, &b);
	if (buf_over(&b))
		return err_set(e, ERR_FAIL, "image config: too large");
	return put_bytes(p, &b, ret, e);
}

static struct jval *annotations(const struct packing *p)
{
	const struct job *j = p->j;
	struct jval *v = jval_object();
	char *created SCOPED(mem_freep) = clock_rfc3339(j->l->epoch);

	jval_put_text(v, "org.opencontainers.image.created", created);
	jval_put_text(v, "org.opencontainers.image.title", j->r->name);
	jval_put_text(v, "org.opencontainers.image.version", j->r->version);
	if (is_delta(p)) {
		jval_put_text(v, "org.opencontainers.image.base.digest",
			      digest_text(&p->delta.base.digest).s);
		if (p->j->o->delta_from != NULL)
			jval_put_text(v, "org.posmedia.delta-from",
				      digest_text(&p->delta.base.digest).s);
	}
	return v;
}

static void describe_layer(const struct packing *p, const struct job_layer *from,
			   struct oci_desc *ret)
{
	bool zstd = p->compression == PACK_ZSTD;
	char *entries SCOPED(mem_freep) = mem_format("%zu", from->packed.entries);

	ret->media_type = mem_strdup(zstd ? OCI_LAYER_ZSTD : OCI_LAYER_GZIP);
	ret->digest = from->packed.digest;
	ret->size = from->packed.size;
	ret->annotations = jval_object();
	jval_put_text(ret->annotations, "org.posmedia.layer", from->name);
	jval_put_text(ret->annotations, "org.posmedia.layer.why", from->why);
	jval_put_text(ret->annotations, "org.posmedia.layer.entries", entries);
}

static int put_manifest(struct packing *p, struct oci_desc *ret, struct err *e)
{
	struct jval *config SCOPED(jval_freep) = NULL;
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);

	m.config.media_type = mem_strdup(OCI_CONFIG);
	m.annotations = annotations(p);
	if (job_image_config(p->j, p->delta.config, p->layers, p->layers_n, &config, e) != 0 ||
	    put_json(p, config, &m.config, e) != 0)
		return -1;
	m.layers = mem_zalloc((p->delta.below.layers_n + p->layers_n + 1) * sizeof(*m.layers));
	for (; m.layers_n < p->delta.below.layers_n; m.layers_n++)
		oci_desc_copy(&p->delta.below.layers[m.layers_n], &m.layers[m.layers_n]);
	for (size_t i = 0; i < p->layers_n; i++)
		describe_layer(p, &p->layers[i], &m.layers[m.layers_n++]);
	oci_manifest_write(&m, &b);
	ret->media_type = mem_strdup(OCI_MANIFEST);
	return put_bytes(p, &b, ret, e);
}

/* An engine that knows neither index nor annotation takes the first for this platform. */
static int put_index(struct packing *p, struct oci_index *x, struct oci_desc *ret, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);

	for (size_t i = 0; i < x->n; i++) {
		x->v[i].platform = jval_object();
		jval_put_text(x->v[i].platform, "architecture", recipe_platform(p->j->r));
		jval_put_text(x->v[i].platform, "os", "linux");
	}
	x->v[1].annotations = jval_object();
	jval_put_text(x->v[1].annotations, OCI_ZSTD_VARIANT, "true");
	oci_index_write(x, &b);
	ret->media_type = mem_strdup(OCI_INDEX);
	return put_bytes(p, &b, ret, e);
}

static int pack_as(struct packing *p, enum pack_compression c, struct oci_desc *ret, struct err *e)
{
	p->compression = c;
	return pack_all(p, e) == 0 ? put_manifest(p, ret, e) : -1;
}

static int put_image(struct packing *p, struct oci_desc *ret, struct err *e)
{
	struct oci_index x SCOPED(oci_index_release) = {0};
	const char *wanted = p->j->r->compression;

	if (strcmp(wanted, "both") != 0)
		return pack_as(p, strcmp(wanted, "zstd") == 0 ? PACK_ZSTD : PACK_GZIP, ret, e);
	x.v = mem_zalloc(2 * sizeof(*x.v));
	x.n = 2;
	if (pack_as(p, PACK_GZIP, &x.v[0], e) != 0 || pack_as(p, PACK_ZSTD, &x.v[1], e) != 0)
		return -1;
	return put_index(p, &x, ret, e);
}

static void packing_release(struct packing *p)
{
	drop_layers(p);
	for (size_t i = 0; i < p->back_n; i++)
		store_put_free(p->back[i].put);
	free(p->back);
	tree_release(&p->tree);
	delta_release(&p->delta);
	fd_closep(&p->rootfd);
}

static int index_tree(struct packing *p, const char *root, struct err *e)
{
	contents_merge(p->j->contents, p->j->trees.n, &p->tree);
	if (fs_open_dir(AT_FDCWD, root, &p->rootfd, e) != 0 ||
	    job_layers(p->j, root, &p->tree, &p->possible, e) != 0)
		return err_in(e, "index the tree");
	p->layout = p->j->o->delta_from != NULL ? p->j->o->delta_layout : p->j->below;
	p->from = p->j->o->delta_from != NULL ? p->j->o->delta_from : &p->j->below_image;
	if (p->layout == NULL)
		return 0;
	p->possible = 1;
	return delta_make(p, e);
}

/* Before the layers are packed: the configuration says everything about the image but these. */
static int judge(struct packing *p, const char *root, struct err *e)
{
	struct jval *config SCOPED(jval_freep) = NULL;

	if (job_image_config(p->j, p->delta.config, NULL, 0, &config, e) != 0)
		return -1;
	return verdict_image(p->j, root, config, e);
}

int job_image(struct job *j, const char *root, struct build_result *ret, struct err *e)
{
	struct packing p SCOPED(packing_release) = {.j = j, .rootfd = -1};
	struct oci_desc image SCOPED(oci_desc_release) = {0};
	struct gates wanted = {j, &p.tree, root, {{0}}};
	struct tests tests SCOPED(tests_drop) = {.j = j, .root = root};
	struct aside gates SCOPED(aside_stop) = {0};

	for (size_t i = 0; i < j->trees.n; i++)
		if (job_contents(j, i, e) != 0)
			return -1;
	if (index_tree(&p, root, e) != 0)
		return -1;
	/* they only read, and gates have copies: the layers are made meanwhile */
	wanted.programs = reads_programs(j, &p.tree);
	if (tests_begin(&tests, &p.tree, &wanted.programs, e) != 0)
		return -1;
	if (j->r->profiles.n > 0 && aside_start(gates_run, &wanted, &gates, e) != 0)
		return -1;
	if (judge_seal(j, e) != 0 || judge(&p, root, e) != 0 || put_image(&p, &image, e) != 0)
		return -1;
	if (judge_end(j, e) != 0 || tests_end(&tests, e) != 0 || aside_join(&gates, e) != 0 ||
	    give(&p, e) != 0)
		return -1;
	ret->manifest = image.digest;
	ret->manifest_size = image.size;
	return 0;
}
