#include "diff/diff.h"

#include "diff/compare.h"
#include <stdlib.h>
#include <sys/stat.h>

/* The tree's sizes and the image's layers. */
static void describe(const struct side *s, const struct side *other, struct diff_side *ret)
{
	const struct oci_manifest *m = &s->manifest, *o = &other->manifest;

	ret->object = mem_strdup(s->in->object);
	ret->is_image = s->in->layout != NULL;
	ret->only_packages = s->in->only_packages;
	ret->packages = s->facts[DIFF_PACKAGES].n;
	if (ret->is_image)
		ret->image = s->in->manifest->digest;
	for (size_t i = 0; i < s->tree.n; i++) {
		ret->files += S_ISREG(s->tree.v[i].mode) ? 1 : 0;
		ret->bytes += s->tree.v[i].size;
	}
	ret->layers = mem_zalloc((m->layers_n + 1) * sizeof(*ret->layers));
	ret->layers_n = m->layers_n;
	for (size_t i = 0; i < m->layers_n; i++) {
		const char *name = jval_get_str(m->layers[i].annotations, "org.posmedia.layer");

		ret->layers[i].name = name != NULL ? mem_strdup(name) : NULL;
		ret->layers[i].digest = m->layers[i].digest;
		ret->layers[i].size = m->layers[i].size;
		for (size_t k = 0; k < o->layers_n; k++)
			if (digest_equal(&m->layers[i].digest, &o->layers[k].digest))
				ret->layers[i].shared = true;
	}
}

/* Both sides are open together: files of the same size are read from both. */
static int compare(struct side *was, struct side *is, struct diff *ret, struct err *e)
{
	describe(was, is, &ret->was);
	describe(is, was, &ret->is);
	compare_facts(was, is, ret);
	if (was->in->list != NULL || is->in->list != NULL) {
		const struct side *list = is->in->list != NULL ? is : was;

		compare_list(list->in->list, list == is, &ret->lists[DIFF_PACKAGES]);
		return 0;
	}
	return compare_files(was, is, ret, e);
}

int diff_run(const struct diff_input *was, const struct diff_input *is, const struct diff_opts *o,
	     struct diff *ret, struct err *e)
{
	struct diff d SCOPED(diff_release) = {0};
	struct side a = {.fd = -1}, b = {.fd = -1};
	struct diff_input x = *was, y = *is;
	struct err drop = ERR_INIT;
	int rc;

	x.only_packages = y.only_packages = x.list != NULL || y.list != NULL;
	rc = side_open(&a, &x, o, e);
	if (rc == 0)
		rc = side_open(&b, &y, o, e);
	if (rc == 0)
		rc = compare(&a, &b, &d, e);
	if (side_close(&a, &drop) + side_close(&b, &drop) != 0 && rc == 0) {
		*e = drop;
		rc = -1;
	}
	if (rc != 0)
		return -1;
	*ret = d;
	d = (struct diff){0};
	return 0;
}

bool diff_any(const struct diff *d)
{
	for (int t = 0; t < DIFF_TOPICS; t++)
		if (d->lists[t].n > 0)
			return true;
	return d->files_n > 0 ||
	       (d->was.is_image && d->is.is_image && !digest_equal(&d->was.image, &d->is.image));
}

static void side_release(struct diff_side *s)
{
	for (size_t i = 0; i < s->layers_n; i++)
		free(s->layers[i].name);
	free(s->layers);
	free(s->object);
}

void diff_release(struct diff *d)
{
	for (int t = 0; t < DIFF_TOPICS; t++) {
		for (size_t i = 0; i < d->lists[t].n; i++) {
			struct diff_item *item = &d->lists[t].v[i];

			free(item->name);
			free(item->was);
			free(item->is);
			free(item->note);
		}
		free(d->lists[t].v);
	}
	for (size_t i = 0; i < d->files_n; i++) {
		free(d->files[i].path);
		free(d->files[i].package);
		free(d->files[i].was.link);
		free(d->files[i].is.link);
	}
	free(d->files);
	side_release(&d->was);
	side_release(&d->is);
	*d = (struct diff){0};
}
