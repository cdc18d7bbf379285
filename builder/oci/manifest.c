#include "oci/oci.h"

#include <stdlib.h>
#include <string.h>

void oci_desc_release(struct oci_desc *d)
{
	free(d->media_type);
	jval_free(d->annotations);
	jval_free(d->platform);
	free(d->artifact_type);
	*d = (struct oci_desc){0};
}

void oci_desc_copy(const struct oci_desc *d, struct oci_desc *ret)
{
	*ret = *d;
	ret->media_type = mem_strdup(d->media_type);
	ret->annotations = jval_ref(d->annotations);
	ret->platform = jval_ref(d->platform);
	ret->artifact_type = d->artifact_type == NULL ? NULL : mem_strdup(d->artifact_type);
}

struct jval *oci_desc_json(const struct oci_desc *d)
{
	struct jval *v = jval_object();

	jval_put_text(v, "mediaType", d->media_type);
	jval_put_text(v, "digest", digest_text(&d->digest).s);
	jval_put_int(v, "size", (int64_t)d->size);
	if (d->artifact_type != NULL)
		jval_put_text(v, "artifactType", d->artifact_type);
	if (d->annotations != NULL)
		jval_put(v, "annotations", jval_ref(d->annotations));
	if (d->platform != NULL)
		jval_put(v, "platform", jval_ref(d->platform));
	return v;
}

int oci_desc_parse(const struct jval *v, const char *what, struct oci_desc *ret, struct err *e)
{
	const char *type = jval_get_str(v, "mediaType");
	const char *digest = jval_get_str(v, "digest");
	const char *artifact = jval_get_str(v, "artifactType");
	struct jval *notes = jval_get(v, "annotations"), *platform = jval_get(v, "platform");
	struct oci_desc d = {0};
	int64_t size;

	if (type == NULL || strlen(type) > 255)
		return err_set(e, ERR_RECIPE, "%s: descriptor without a mediaType", what);
	if (digest == NULL || digest_parse(digest, &d.digest) != 0)
		return err_set(e, ERR_RECIPE, "%s: descriptor without a sha256 digest", what);
	if (jval_get_int(v, "size", &size) != 0 || size < 0)
		return err_set(e, ERR_RECIPE, "%s: descriptor without a size", what);
	if (notes != NULL && !jval_is_object(notes))
		return err_set(e, ERR_RECIPE, "%s: annotations are not an object", what);
	if (platform != NULL && !jval_is_object(platform))
		return err_set(e, ERR_RECIPE, "%s: platform is not an object", what);
	d.media_type = mem_strdup(type);
	d.size = (uint64_t)size;
	d.annotations = jval_ref(notes);
	d.platform = jval_ref(platform);
	d.artifact_type = artifact == NULL ? NULL : mem_strdup(artifact);
	*ret = d;
	return 0;
}

const char *oci_desc_tag(const struct oci_desc *d)
{
	const char *t = jval_get_str(d->annotations, "org.opencontainers.image.ref.name");

	return t != NULL ? t : "";
}

void oci_manifest_release(struct oci_manifest *m)
{
	oci_desc_release(&m->config);
	for (size_t i = 0; i < m->layers_n; i++)
		oci_desc_release(&m->layers[i]);
	free(m->layers);
	free(m->artifact_type);
	if (m->subject != NULL)
		oci_desc_release(m->subject);
	free(m->subject);
	jval_free(m->annotations);
	*m = (struct oci_manifest){0};
}

static int parse_layers(const struct jval *v, struct oci_manifest *m, struct err *e)
{
	const struct jval *layers = jval_get(v, "layers");
	size_t n = jval_len(layers);

	if (!jval_is_array(layers) || n > OCI_LAYERS_MAX)
		return err_set(e, ERR_RECIPE, "manifest: wants at most %d layers", OCI_LAYERS_MAX);
	m->layers = mem_zalloc(n * sizeof(*m->layers));
	for (; m->layers_n < n; m->layers_n++)
		if (oci_desc_parse(jval_at(layers, m->layers_n), "manifest: layer",
				   &m->layers[m->layers_n], e) != 0)
			return -1;
	return 0;
}

static int parse_members(const struct jval *v, struct oci_manifest *m, struct err *e)
{
	const char *type = jval_get_str(v, "artifactType");
	int64_t schema;

	if (jval_get_int(v, "schemaVersion", &schema) != 0 || schema != 2)
		return err_set(e, ERR_RECIPE, "manifest: schemaVersion is not 2");
	if (oci_desc_parse(jval_get(v, "config"), "manifest: config", &m->config, e) != 0 ||
	    parse_layers(v, m, e) != 0)
		return -1;
	m->artifact_type = mem_strdup(type != NULL ? type : "");
	m->annotations = jval_ref(jval_get(v, "annotations"));
	if (jval_get(v, "subject") == NULL)
		return 0;
	m->subject = mem_zalloc(sizeof(*m->subject));
	return oci_desc_parse(jval_get(v, "subject"), "manifest: subject", m->subject, e);
}

int oci_manifest_parse(const char *p, size_t n, struct oci_manifest *ret, struct err *e)
{
	struct jval *v SCOPED(jval_freep) = NULL;
	struct oci_manifest m = {0};
	const char *type;

	if (n > OCI_MANIFEST_MAX)
		return err_set(e, ERR_RECIPE, "manifest: larger than %d bytes", OCI_MANIFEST_MAX);
	if (jval_parse(p, n, "manifest", &v, e) != 0)
		return -1;
	type = jval_get_str(v, "mediaType");
	if (type != NULL && strcmp(type, OCI_MANIFEST) != 0)
		return err_set(e, ERR_RECIPE, "manifest: is %s, wants %s", type, OCI_MANIFEST);
	if (parse_members(v, &m, e) != 0) {
		oci_manifest_release(&m);
		return -1;
	}
	*ret = m;
	return 0;
}

void oci_manifest_write(const struct oci_manifest *m, struct buf *out)
{
	struct jval *v SCOPED(jval_freep) = jval_object();
	struct jval *layers = jval_array();

	jval_put_int(v, "schemaVersion", 2);
	jval_put_text(v, "mediaType", OCI_MANIFEST);
	if (m->artifact_type != NULL && m->artifact_type[0] != '\0')
		jval_put_text(v, "artifactType", m->artifact_type);
	jval_put(v, "config", oci_desc_json(&m->config));
	for (size_t i = 0; i < m->layers_n; i++)
		jval_push(layers, oci_desc_json(&m->layers[i]));
	jval_put(v, "layers", layers);
	if (m->subject != NULL)
		jval_put(v, "subject", oci_desc_json(m->subject));
	if (m->annotations != NULL)
		jval_put(v, "annotations", jval_ref(m->annotations));
	jval_write(v, out);
}

void oci_list_payloads(const struct oci_manifest *m, struct jval *config)
{
	struct jval *rootfs = jval_object(), *ids = jval_array();

	for (size_t i = 0; i < m->layers_n; i++)
		jval_push(ids, jval_text(digest_text(&m->layers[i].digest).s));
	jval_put_text(rootfs, "type", "layers");
	jval_put(rootfs, "diff_ids", ids);
	jval_put_text(config, "architecture", "");
	jval_put_text(config, "os", "");
	jval_put(config, "config", jval_object());
	jval_put(config, "rootfs", rootfs);
}
