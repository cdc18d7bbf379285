/* oci-image.h - small trees as images of a layout. */
#ifndef TESTS_UNIT_OCI_IMAGE_H
#define TESTS_UNIT_OCI_IMAGE_H

#include "harden-lib.h"

#include "archive/pack.h"
#include "oci/oci.h"

enum { IMAGE_LAYERS_MAX = 8 };

static inline void done(int rc, const struct err *e)
{
	if (rc != 0)
		fail_msg("%s", e->msg);
}

static inline int image_to_buf(void *ctx, const void *p, size_t n, struct err *e)
{
	(void)e;
	buf_add(ctx, p, n);
	return 0;
}

/* Adds the tree as a layer; its diff_id goes to the end of diff_ids. */
static inline void image_layer(struct oci_layout *layout, const struct rootfs *from,
			       struct oci_desc *ret, struct jval *diff_ids)
{
	const struct pack_opts po = {.compression = PACK_GZIP};
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 20);
	const struct sink out = {.write = image_to_buf, .ctx = &b};
	struct tree t = {0};
	struct pack_result res;
	struct err e = ERR_INIT;

	done(tree_scan(from->fd, &t, NULL, &e), &e);
	done(pack_layer(from->fd, &t, &po, &out, &res, &e), &e);
	*ret = (struct oci_desc){.media_type = mem_strdup(OCI_LAYER_GZIP), .size = b.len};
	done(oci_layout_add(layout, b.data, b.len, &ret->digest, &e), &e);
	jval_push(diff_ids, jval_text(digest_text(&res.diff_id).s));
	tree_release(&t);
}

static inline void image_config(struct oci_layout *layout, struct jval *diff_ids, const char *run,
				struct oci_desc *ret)
{
	struct jval *config SCOPED(jval_freep) = jval_object(), *rootfs = jval_object(), *part;
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 16);
	struct err e = ERR_INIT;

	jval_put_text(rootfs, "type", "layers");
	jval_put(rootfs, "diff_ids", diff_ids);
	jval_put_text(config, "architecture", "amd64");
	jval_put_text(config, "os", "linux");
	jval_put(config, "rootfs", rootfs);
	if (run != NULL) {
		done(jval_parse(run, strlen(run), "run", &part, &e), &e);
		jval_put(config, "config", part);
	}
	jval_write(config, &b);
	*ret = (struct oci_desc){.media_type = mem_strdup(OCI_CONFIG), .size = b.len};
	done(oci_layout_add(layout, b.data, b.len, &ret->digest, &e), &e);
}

/* An image of n trees as layers and, unless it is NULL, this JSON as its "config"; the tag is "t".
 * The caller releases it. */
static inline struct oci_desc
image_put(struct oci_layout *layout, const struct rootfs *const *trees, size_t n, const char *run)
{
	struct oci_desc layers[IMAGE_LAYERS_MAX];
	struct oci_desc d = {.media_type = mem_strdup(OCI_MANIFEST)};
	struct jval *diff_ids = jval_array();
	struct oci_manifest m = {.layers = layers, .layers_n = n};
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 16);
	struct err e = ERR_INIT;

	assert_true(n <= IMAGE_LAYERS_MAX);
	for (size_t i = 0; i < n; i++)
		image_layer(layout, trees[i], &layers[i], diff_ids);
	image_config(layout, diff_ids, run, &m.config);
	oci_manifest_write(&m, &b);
	d.size = b.len;
	done(oci_layout_add(layout, b.data, b.len, &d.digest, &e), &e);
	done(oci_layout_tag(layout, "t", &d, &e), &e);
	for (size_t i = 0; i < n; i++)
		oci_desc_release(&layers[i]);
	m.layers = NULL;
	m.layers_n = 0;
	oci_manifest_release(&m);
	return d;
}

#endif
