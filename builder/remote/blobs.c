#include "remote/blobs.h"

#include <stdlib.h>

static void add(struct blob_list *l, const struct oci_desc *d)
{
	for (size_t i = 0; i < l->n; i++)
		if (digest_equal(&l->v[i]->digest, &d->digest))
			return;
	l->v[l->n++] = d;
	/* sizes are as a stranger wrote them: the sum must not wrap to a small one */
	l->bytes = d->size > UINT64_MAX - l->bytes ? UINT64_MAX : l->bytes + d->size;
}

void blob_list_of(const struct oci_manifest *m, struct blob_list *ret)
{
	*ret = (struct blob_list){.v = mem_zalloc((m->layers_n + 1) * sizeof(m->layers))};
	add(ret, &m->config);
	for (size_t i = 0; i < m->layers_n; i++)
		add(ret, &m->layers[i]);
}

void blob_list_release(struct blob_list *l)
{
	free(l->v);
	*l = (struct blob_list){0};
}
