#include "sign/siglayer.h"

#include "form/hex.h"
#include "sign/dsse.h"
#include "sign/image.h"
#include "sign/payload.h"
#include <stdlib.h>
#include <string.h>

enum { BLOB_MAX = 4 << 20, DER_MAX = 72, CONFIG_MAX = 64 << 10 };

static const struct {
	const char *name, *media_type, *suffix;
} forms[] = {
    [SIGN_OPENPGP] = {"OpenPGP", SIGN_PGP_TYPE, "pgp"},
    [SIGN_COSIGN] = {"cosign", SIGN_COSIGN_TYPE, "sig"},
    [SIGN_BUNDLE] = {"bundle", BUNDLE_TYPE, NULL},
};

const char *sig_form_name(enum sign_form form)
{
	return forms[form].name;
}

const char *sig_media_type(enum sign_form form)
{
	return forms[form].media_type;
}

char *sig_tag(const struct sig_set *s)
{
	return mem_format("sha256-%s.%s", digest_hex(s->manifest).s, forms[s->form].suffix);
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

int sig_manifest_at(const struct oci_layout *l, const char *tag, struct oci_manifest *ret,
		    struct err *e)
{
	const struct oci_desc *d = tagged(l, tag);
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);

	if (d == NULL) {
		*ret = (struct oci_manifest){0};
		return 0;
	}
	if (oci_layout_read(l, &d->digest, &b, e) != 0 ||
	    oci_manifest_parse(b.data, b.len, ret, e) != 0) {
		e->kind = ERR_VERIFY;
		return err_in(e, "signatures %s", tag);
	}
	return 0;
}

int sig_manifest(const struct sig_set *s, struct oci_manifest *ret, struct err *e)
{
	char *tag SCOPED(mem_freep) = sig_tag(s);

	return sig_manifest_at(s->layout, tag, ret, e);
}

/* cosign wants an image's config, whose diff_ids are the payloads; ours is the empty object. */
static void write_config(const struct oci_manifest *m, enum sign_form form, struct buf *out)
{
	struct jval *v SCOPED(jval_freep) = jval_object();

	if (form != SIGN_OPENPGP)
		oci_list_payloads(m, v);
	jval_write(v, out);
}

static int set_config(struct oci_layout *l, enum sign_form form, struct oci_manifest *m,
		      struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(CONFIG_MAX);
	struct oci_desc d = {0};

	write_config(m, form, &b);
	if (oci_layout_add(l, b.data, b.len, &d.digest, e) != 0)
		return -1;
	d.media_type = mem_strdup(form == SIGN_OPENPGP ? OCI_EMPTY : OCI_CONFIG);
	d.size = b.len;
	oci_desc_release(&m->config);
	m->config = d;
	free(m->artifact_type);
	m->artifact_type = mem_strdup(form == SIGN_OPENPGP ? SIGN_PGP_TYPE : "");
	return 0;
}

/* Everything is in the layout before the tag moves. */
int sig_save(struct oci_layout *l, const char *tag, enum sign_form form, struct oci_manifest *m,
	     struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	char type[] = OCI_MANIFEST;
	struct oci_desc d = {.media_type = type};

	if (set_config(l, form, m, e) != 0)
		return -1;
	oci_manifest_write(m, &b);
	if (buf_over(&b))
		return err_set(e, ERR_FAIL, "%s: too many signatures", tag);
	if (oci_layout_add(l, b.data, b.len, &d.digest, e) != 0)
		return -1;
	d.size = b.len;
	return oci_layout_tag(l, tag, &d, e);
}

void sig_drop_layer(struct oci_manifest *m, size_t i)
{
	oci_desc_release(&m->layers[i]);
	m->layers_n--;
	memmove(&m->layers[i], &m->layers[i + 1], (m->layers_n - i) * sizeof(*m->layers));
}

void sig_init(struct sig *sig)
{
	*sig = (struct sig){.blob = BUF_INIT(BLOB_MAX), .der = BUF_INIT(DER_MAX)};
}

void sig_release(struct sig *sig)
{
	buf_release(&sig->blob);
	buf_release(&sig->der);
}

int sig_load(const struct sig_set *s, const struct oci_desc *layer, struct sig *ret, struct err *e)
{
	const char *text = jval_get_str(layer->annotations, SIGN_COSIGN_NOTE);

	if (strcmp(layer->media_type, forms[s->form].media_type) != 0)
		return err_set(e, ERR_VERIFY, "a signature of the type %s", layer->media_type);
	if (s->form == SIGN_COSIGN && (text == NULL || base64_decode(text, &ret->der) != 0))
		return err_set(e, ERR_VERIFY, "no signature in the annotation of the layer");
	if (oci_layout_read(s->layout, &layer->digest, &ret->blob, e) != 0) {
		e->kind = ERR_VERIFY;
		return -1;
	}
	if (ret->blob.len != layer->size)
		return err_set(e, ERR_VERIFY, "signature %s: is not of %llu bytes",
			       digest_text(&layer->digest).s, (unsigned long long)layer->size);
	return 0;
}

int sig_check(const struct sig_set *s, const struct sig *sig, const struct sign_public *key,
	      struct payload_said *ret, struct err *e)
{
	struct buf opened SCOPED(buf_release) = BUF_INIT(BLOB_MAX);
	const struct buf *said = s->form == SIGN_OPENPGP ? &opened : &sig->blob;
	struct payload payload;
	int rc;

	if (s->form == SIGN_OPENPGP)
		rc = sign_openpgp_open(key, sig->blob.data, sig->blob.len, &opened, e);
	else
		rc =
		    sign_verify(key, sig->blob.data, sig->blob.len, sig->der.data, sig->der.len, e);
	if (rc != 0)
		return -1;
	payload = (struct payload){said->data, said->len};
	return payload_open(s->form, &payload, s->manifest, ret, e);
}
