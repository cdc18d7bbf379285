#include "oci/oci.h"

#include <stdlib.h>
#include <string.h>

void oci_index_release(struct oci_index *x)
{
	for (size_t i = 0; i < x->n; i++)
		oci_desc_release(&x->v[i]);
	free(x->v);
	jval_free(x->annotations);
	*x = (struct oci_index){0};
}

static int parse_entries(const struct jval *v, struct oci_index *x, struct err *e)
{
	const struct jval *list = jval_get(v, "manifests");
	const char *type = jval_get_str(v, "mediaType");
	int64_t schema;

	if (jval_get_int(v, "schemaVersion", &schema) != 0 || schema != 2)
		return err_set(e, ERR_RECIPE, "image index: schemaVersion is not 2");
	if (type != NULL && strcmp(type, OCI_INDEX) != 0)
		return err_set(e, ERR_RECIPE, "image index: is %s, wants %s", type, OCI_INDEX);
	if (!jval_is_array(list) || jval_len(list) > OCI_INDEX_MAX)
		return err_set(e, ERR_RECIPE, "image index: wants at most %d images",
			       OCI_INDEX_MAX);
	x->annotations = jval_ref(jval_get(v, "annotations"));
	x->v = mem_zalloc((jval_len(list) + 1) * sizeof(*x->v));
	for (size_t i = 0; i < jval_len(list); i++) {
		struct oci_desc *d = &x->v[i];

		if (oci_desc_parse(jval_at(list, i), "image index", d, e) != 0)
			return -1;
		x->n++;
		if (strcmp(d->media_type, OCI_MANIFEST) != 0)
			return err_set(e, ERR_RECIPE, "image index: holds %s, wants %s",
				       d->media_type, OCI_MANIFEST);
	}
	return 0;
}

int oci_index_parse(const char *p, size_t n, struct oci_index *ret, struct err *e)
{
	struct jval *v SCOPED(jval_freep) = NULL;
	struct oci_index x SCOPED(oci_index_release) = {0};

	if (n > OCI_MANIFEST_MAX)
		return err_set(e, ERR_RECIPE, "image index: larger than %d bytes",
			       OCI_MANIFEST_MAX);
	if (jval_parse(p, n, "image index", &v, e) != 0 || parse_entries(v, &x, e) != 0)
		return -1;
	*ret = x;
	x = (struct oci_index){0};
	return 0;
}

void oci_index_write(const struct oci_index *x, struct buf *out)
{
	struct jval *v SCOPED(jval_freep) = jval_object();
	struct jval *list = jval_array();

	for (size_t i = 0; i < x->n; i++)
		jval_push(list, oci_desc_json(&x->v[i]));
	jval_put_int(v, "schemaVersion", 2);
	jval_put_text(v, "mediaType", OCI_INDEX);
	jval_put(v, "manifests", list);
	if (x->annotations != NULL)
		jval_put(v, "annotations", jval_ref(x->annotations));
	jval_write(v, out);
}

int oci_layout_image(const struct oci_layout *l, const struct oci_desc *d, struct oci_desc *ret,
		     struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct oci_index x SCOPED(oci_index_release) = {0};

	if (strcmp(d->media_type, OCI_INDEX) != 0) {
		oci_desc_copy(d, ret);
		return 0;
	}
	if (oci_layout_read(l, &d->digest, &b, e) != 0 ||
	    oci_index_parse(b.data, b.len, &x, e) != 0)
		return -1;
	if (x.n == 0)
		return err_set(e, ERR_RECIPE, "image index %s: holds no image",
			       digest_text(&d->digest).s);
	oci_desc_copy(&x.v[0], ret);
	return 0;
}
