#include "build/job.h"

#include "base/log.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include "sys/intr.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int run_tests(struct job *j, const char *root, struct err *e)
{
	for (size_t i = 0; i < j->r->tests_n; i++) {
		const struct recipe_test *t = &j->r->tests[i];
		char *what SCOPED(mem_freep) = mem_format("test %s", t->name);
		struct sandbox_spec spec = {.root = root,
					    .argv = (const char *const *)t->run.v,
					    .read_only = true,
					    .timeout_ms = t->timeout_ms};

		if (job_sandbox(j, what, &spec, e) != 0) {
			char *at SCOPED(mem_freep) = recipe_pos_text(&t->pos);

			return err_in(e, "%s", at);
		}
		log_info("%s: passed", what);
	}
	return 0;
}

static int pack_new(struct job *j, int rootfd, const struct tree *t, const struct pack_opts *o,
		    struct pack_result *ret, struct err *e)
{
	struct store_put *put SCOPED(store_put_freep) = NULL;
	struct sink to;

	if (store_put_begin(j->s, &put, e) != 0)
		return -1;
	to = store_put_sink(put);
	if (pack_layer(rootfd, t, o, &to, ret, e) != 0)
		return -1;
	return store_put_commit(put, &ret->digest, NULL, NULL, e);
}

/* Cached trees lie open on a disk: what goes into a layer is what the stage wrote. */
static const struct digest *want_content(void *ctx, size_t i, const struct tree_entry *en)
{
	const struct job *j = ctx;

	return contents_find(&j->contents[j->origins[i]], en->path);
}

static int pack_one(struct job *j, int rootfd, const struct tree *t, int layer,
		    struct job_layer *ret, struct err *e)
{
	struct pack_opts o = {.layer = layer,
			      .compression =
				  strcmp(j->r->compression, "zstd") == 0 ? PACK_ZSTD : PACK_GZIP,
			      .threads = j->o->threads,
			      .epoch = j->l->epoch,
			      .want = want_content,
			      .ctx = j};
	char *compressor SCOPED(mem_freep) = pack_compressor_id(&o);
	struct digest key = job_layer_key(j, t, layer, compressor);

	ret->name = job_layer_name(j, (size_t)layer);
	if (!j->o->no_cache && job_layer_recall(j, &key, &ret->packed)) {
		log_info("layer %s: unchanged", ret->name);
		return 0;
	}
	if (pack_new(j, rootfd, t, &o, &ret->packed, e) != 0) {
		j->damaged = e->kind == ERR_VERIFY;
		return err_in(e, "layer %s", ret->name);
	}
	if (job_layer_remember(j, &key, &ret->packed, e) != 0)
		return err_in(e, "layer %s", ret->name);
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

static int pack_all(struct job *j, const char *root, struct job_layer **ret, size_t *ret_n,
		    struct err *e)
{
	struct tree t SCOPED(tree_release) = {0};
	struct job_layer *layers SCOPED(mem_freep) = NULL;
	int rootfd SCOPED(fd_closep) = -1;
	size_t possible, n = 0, left_out = 0;

	if (fs_open_dir(AT_FDCWD, root, &rootfd, e) != 0 ||
	    tree_scan(rootfd, &t, &left_out, e) != 0 || job_layers(j, &t, &possible, e) != 0)
		return err_in(e, "index the tree");
	if (left_out > 0)
		log_debug("%zu sockets, pipes and device nodes are not part of the image",
			  left_out);
	layers = mem_zalloc(possible * sizeof(*layers));
	for (size_t i = 0; i < possible; i++) {
		if (!any_in(&t, (int)i))
			continue;
		log_progress("pack", i, possible);
		if (pack_one(j, rootfd, &t, (int)i, &layers[n], e) != 0)
			return -1;
		n++;
	}
	log_progress("pack", possible, possible);
	*ret = STEAL(layers);
	*ret_n = n;
	return 0;
}

static int put_json(struct job *j, const struct jval *v, struct oci_desc *ret, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);

	jval_write(v, &b);
	if (buf_over(&b))
		return err_set(e, ERR_FAIL, "image config: too large");
	ret->size = b.len;
	return store_put_bytes(j->s, b.data, b.len, &ret->digest, e);
}

static struct jval *annotations(const struct job *j)
{
	struct jval *v = jval_object();
	char *created SCOPED(mem_freep) = clock_rfc3339(j->l->epoch);

	jval_put_text(v, "org.opencontainers.image.created", created);
	jval_put_text(v, "org.opencontainers.image.title", j->r->name);
	jval_put_text(v, "org.opencontainers.image.version", j->r->version);
	return v;
}

static int put_manifest(struct job *j, const struct job_layer *layers, size_t n,
			struct build_result *ret, struct err *e)
{
	struct jval *config SCOPED(jval_freep) = job_image_config(j, layers, n);
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	bool zstd = strcmp(j->r->compression, "zstd") == 0;

	m.config.media_type = mem_strdup(OCI_CONFIG);
	m.annotations = annotations(j);
	if (put_json(j, config, &m.config, e) != 0)
		return -1;
	m.layers = mem_zalloc(n * sizeof(*m.layers));
	for (; m.layers_n < n; m.layers_n++) {
		struct oci_desc *d = &m.layers[m.layers_n];

		d->media_type = mem_strdup(zstd ? OCI_LAYER_ZSTD : OCI_LAYER_GZIP);
		d->digest = layers[m.layers_n].packed.digest;
		d->size = layers[m.layers_n].packed.size;
		d->annotations = jval_object();
		jval_put_text(d->annotations, "org.posmedia.layer", layers[m.layers_n].name);
		ret->layers_size += d->size;
	}
	oci_manifest_write(&m, &b);
	ret->layers = n;
	ret->manifest_size = b.len;
	return store_put_bytes(j->s, b.data, b.len, &ret->manifest, e);
}

int job_image(struct job *j, const char *root, struct build_result *ret, struct err *e)
{
	struct job_layer *layers SCOPED(mem_freep) = NULL;
	size_t n = 0;

	for (size_t i = 0; i < j->trees.n; i++)
		if (job_contents(j, i, e) != 0)
			return -1;
	if (run_tests(j, root, e) != 0 || pack_all(j, root, &layers, &n, e) != 0)
		return -1;
	return put_manifest(j, layers, n, ret, e);
}
