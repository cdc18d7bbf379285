/* image.c - from a layout to the engine. */
#include "stage/parts.h"

#include <stdlib.h>
#include <string.h>

struct open_image {
	struct engine_image i;
};

static void open_image_release(struct open_image *o)
{
	if (o->i.config.size > 0)
		fd_closep(&o->i.config.fd);
	for (size_t k = 0; k < o->i.layers_n; k++)
		fd_closep(&o->i.layers[k].fd);
	free(o->i.layers);
}

static int open_blob(const struct oci_layout *l, const struct oci_desc *d, struct engine_blob *ret,
		     struct err *e)
{
	struct engine_blob b = {.digest = d->digest};

	if (oci_layout_blob(l, &d->digest, &b.fd, &b.size, e) != 0)
		return -1;
	*ret = b;
	return 0;
}

int stage_load(struct stage *st, const struct stage_image *i, const struct oci_manifest *m,
	       struct err *e)
{
	struct open_image o SCOPED(open_image_release) = {0};
	bool there = false;

	if (engine_has(st->en, &m->config.digest, &there, &st->layers, e) != 0)
		return -1;
	if (there)
		return 0;
	stage_did(st, "loaded %s", digest_text(&m->config.digest).s);
	if (st->o->dry_run)
		return 0;
	if (oci_layout_verify(i->layout, &i->manifest, NULL, NULL, e) != 0 ||
	    open_blob(i->layout, &m->config, &o.i.config, e) != 0)
		return -1;
	o.i.layers = mem_zalloc((m->layers_n + 1) * sizeof(*o.i.layers));
	for (; o.i.layers_n < m->layers_n; o.i.layers_n++)
		if (open_blob(i->layout, &m->layers[o.i.layers_n], &o.i.layers[o.i.layers_n], e) !=
		    0)
			return -1;
	return engine_load(st->en, &o.i, e) != 0 ||
		       engine_has(st->en, &m->config.digest, &there, &st->layers, e) != 0
		   ? -1
		   : 0;
}
