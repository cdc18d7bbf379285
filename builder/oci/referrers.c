#include "oci/referrers.h"

#include <stdlib.h>
#include <string.h>

char *oci_referrers_tag(const struct digest *subject)
{
	return mem_format("sha256-%s", digest_hex(subject).s);
}

static const struct oci_desc *tagged(const struct oci_layout *l, const char *tag)
{
	size_t n;
	const struct oci_desc *all = oci_layout_entries(l, &n);

	for (size_t i = 0; i < n; i++)
		if (strcmp(oci_desc_tag(&all[i]), tag) == 0)
			return &all[i];
	return NULL;
}

static int read_list(const struct oci_layout *l, const struct oci_desc *d, struct oci_index *ret,
		     struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);

	if (strcmp(d->media_type, OCI_INDEX) != 0)
		return err_set(e, ERR_VERIFY, "is %s, wants %s", d->media_type, OCI_INDEX);
	if (oci_layout_read(l, &d->digest, &b, e) == 0 &&
	    oci_index_parse(b.data, b.len, ret, e) == 0)
		return 0;
	e->kind = ERR_VERIFY;
	return -1;
}

int oci_referrers(const struct oci_layout *l, const struct digest *subject, struct oci_index *ret,
		  struct err *e)
{
	char *tag SCOPED(mem_freep) = oci_referrers_tag(subject);
	const struct oci_desc *d = tagged(l, tag);

	*ret = (struct oci_index){0};
	return d == NULL || read_list(l, d, ret, e) == 0 ? 0 : err_in(e, "referrers %s", tag);
}

int oci_referrers_parse(const char *p, size_t n, struct oci_index *ret, struct err *e)
{
	struct jval *v SCOPED(jval_freep) = NULL;
	struct oci_index x = {0};
	const struct jval *list;
	size_t len;

	if (jval_parse(p, n, "referrers", &v, e) != 0)
		return -1;
	list = jval_get(v, "manifests");
	if (!jval_is_array(list))
		return err_set(e, ERR_RECIPE, "referrers: no list of manifests");
	len = jval_len(list);
	x.v = mem_zalloc((OCI_INDEX_MAX + 1) * sizeof(*x.v));
	for (size_t i = 0; i < len && x.n < OCI_INDEX_MAX; i++) {
		struct oci_desc d SCOPED(oci_desc_release) = {0};
		struct err quiet = ERR_INIT;

		if (oci_desc_parse(jval_at(list, i), "referrers", &d, &quiet) != 0 ||
		    strcmp(d.media_type, OCI_MANIFEST) != 0)
			continue;
		x.v[x.n++] = d;
		d = (struct oci_desc){0};
	}
	*ret = x;
	return 0;
}

static int put_config(struct oci_layout *l, struct oci_manifest *m, struct err *e)
{
	oci_desc_release(&m->config);
	m->config = (struct oci_desc){.media_type = mem_strdup(OCI_EMPTY), .size = 2};
	return oci_layout_add(l, "{}", 2, &m->config.digest, e);
}

static void set_subject(struct oci_manifest *m, const struct oci_desc *subject)
{
	if (m->subject != NULL)
		oci_desc_release(m->subject);
	free(m->subject);
	m->subject = mem_zalloc(sizeof(*m->subject));
	*m->subject = (struct oci_desc){.media_type = mem_strdup(subject->media_type),
					.digest = subject->digest,
					.size = subject->size};
}

int oci_referrer_add(struct oci_layout *l, const struct oci_desc *subject, struct oci_manifest *m,
		     struct oci_index *list, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct oci_desc d = {0};

	if (list->n >= OCI_INDEX_MAX)
		return err_set(e, ERR_FAIL, "the image has %d referrers already", OCI_INDEX_MAX);
	if (put_config(l, m, e) != 0)
		return -1;
	set_subject(m, subject);
	oci_manifest_write(m, &b);
	if (oci_layout_add(l, b.data, b.len, &d.digest, e) != 0)
		return -1;
	d.media_type = mem_strdup(OCI_MANIFEST);
	d.size = b.len;
	d.artifact_type = mem_strdup(m->artifact_type);
	d.annotations = jval_ref(m->annotations);
	list->v = mem_resize(list->v, list->n + 1, sizeof(*list->v));
	list->v[list->n++] = d;
	return 0;
}

void oci_referrer_drop(struct oci_index *list, size_t i)
{
	oci_desc_release(&list->v[i]);
	list->n--;
	memmove(&list->v[i], &list->v[i + 1], (list->n - i) * sizeof(*list->v));
}

int oci_referrers_save(struct oci_layout *l, const struct digest *subject,
		       const struct oci_index *list, struct err *e)
{
	char *tag SCOPED(mem_freep) = oci_referrers_tag(subject);
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	char type[] = OCI_INDEX;
	struct oci_desc d = {.media_type = type};

	oci_index_write(list, &b);
	if (oci_layout_add(l, b.data, b.len, &d.digest, e) != 0)
		return err_in(e, "referrers %s", tag);
	d.size = b.len;
	return oci_layout_tag(l, tag, &d, e);
}
