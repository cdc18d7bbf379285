#include "sign/image.h"

#include "base/log.h"
#include "form/hex.h"
#include "form/ref.h"
#include "sign/bundles.h"
#include "sign/notation.h"
#include "sign/pkey.h"
#include "sign/siglayer.h"
#include <stdlib.h>
#include <string.h>

enum { BLOB_MAX = 4 << 20 };

/* What one signature is made of. */
struct job {
	struct oci_layout *layout;
	const struct oci_desc *manifest;
	const char *identity;
	const struct sign_key *key;
	int64_t time;
};

static int check_identity(const char *identity, struct err *e)
{
	struct ref r = {0};
	int rc = ref_parse_docker(identity, &r, e);

	/* without a tag, any tag of the repository could later be served in its place */
	if (rc == 0 && (r.tag[0] == '\0' || r.has_digest))
		rc = err_set(e, ERR_USAGE, "%s: wants a tag and no digest", identity);
	ref_release(&r);
	if (rc == 0)
		return 0;
	(void)err_in(e, "identity");
	return err_hint(e, "write HOST[:PORT]/REPOSITORY:TAG, as the image will be pulled");
}

static int check_manifest(const struct oci_layout *l, const struct oci_desc *d, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);

	if (oci_layout_read(l, &d->digest, &b, e) != 0)
		return -1;
	if (b.len != d->size)
		return err_set(e, ERR_VERIFY, "manifest %s: has %zu bytes, not %llu",
			       digest_text(&d->digest).s, b.len, (unsigned long long)d->size);
	return 0;
}

/* Whether a good signature of ours for the identity is there. Layers that cannot be read are
 * dropped: nobody can verify them any more, and they would stop every copy of the image. */
static bool have(const struct job *j, const struct sig_set *s, struct oci_manifest *m,
		 bool *ret_dropped)
{
	bool hit = false;

	for (size_t i = m->layers_n; i-- > 0;) {
		struct sig sig SCOPED(sig_release);
		struct payload_said said SCOPED(payload_said_release) = {0};
		struct err why = ERR_INIT;

		sig_init(&sig);
		if (sig_load(s, &m->layers[i], &sig, &why) != 0) {
			log_warn("dropping an unreadable %s signature: %s", sig_form_name(s->form),
				 why.msg);
			sig_drop_layer(m, i);
			*ret_dropped = true;
		} else if (sig_check(s, &sig, sign_key_public(j->key), &said, &why) == 0) {
			hit = hit || strcmp(said.identity, j->identity) == 0;
		}
	}
	return hit;
}

/* The signature's blob, and for cosign the layer's annotations. */
static int make_blob(const struct job *j, enum sign_form form, struct buf *ret,
		     struct jval **ret_notes, struct err *e)
{
	struct buf payload SCOPED(buf_release) = BUF_INIT(BLOB_MAX);
	struct buf der SCOPED(buf_release) = BUF_INIT(BLOB_MAX);
	char *text SCOPED(mem_freep) = NULL;

	sign_payload(form, j->identity, &j->manifest->digest, j->time, &payload);
	if (form == SIGN_OPENPGP)
		return sign_openpgp(j->key, payload.data, payload.len, j->time, ret, e);
	if (sign_bytes(j->key, payload.data, payload.len, &der, e) != 0)
		return -1;
	buf_add(ret, payload.data, payload.len);
	text = base64_encode(der.data, der.len);
	*ret_notes = jval_object();
	jval_put_text(*ret_notes, SIGN_COSIGN_NOTE, text);
	return 0;
}

static int add_layer(const struct job *j, enum sign_form form, struct oci_manifest *m,
		     struct err *e)
{
	struct buf blob SCOPED(buf_release) = BUF_INIT(BLOB_MAX);
	struct jval *notes SCOPED(jval_freep) = NULL;
	struct oci_desc d = {0};

	if (m->layers_n >= OCI_LAYERS_MAX)
		return err_set(e, ERR_FAIL, "the image has %d %s signatures already",
			       OCI_LAYERS_MAX, sig_form_name(form));
	if (make_blob(j, form, &blob, &notes, e) != 0 ||
	    oci_layout_add(j->layout, blob.data, blob.len, &d.digest, e) != 0)
		return -1;
	d.media_type = mem_strdup(sig_media_type(form));
	d.size = blob.len;
	d.annotations = STEAL(notes);
	m->layers = mem_resize(m->layers, m->layers_n + 1, sizeof(*m->layers));
	m->layers[m->layers_n++] = d;
	return 0;
}

static int sign_form(const struct job *j, enum sign_form form, struct err *e)
{
	const struct sig_set s = {j->layout, &j->manifest->digest, form};
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};
	char *tag SCOPED(mem_freep) = sig_tag(&s);
	bool dropped = false, hit;

	if (sig_manifest(&s, &m, e) != 0)
		return -1;
	hit = have(j, &s, &m, &dropped);
	if (hit && !dropped)
		return 0;
	if (!hit && add_layer(j, form, &m, e) != 0)
		return -1;
	return sig_save(j->layout, tag, form, &m, e);
}

/* Whether a bundle of ours for the identity is there. Those that cannot be read go, as in have. */
static bool have_bundle(const struct job *j, struct oci_index *list, bool *ret_dropped)
{
	bool hit = false;

	for (size_t i = list->n; i-- > 0;) {
		struct buf b SCOPED(buf_release) = BUF_INIT(BUNDLE_MAX);
		struct bundle_said said SCOPED(bundle_said_release);
		struct payload_said what SCOPED(payload_said_release) = {0};
		struct err why = ERR_INIT;

		bundle_said_init(&said);
		if (!bundle_is(&list->v[i]))
			continue;
		if (bundle_load(j->layout, &j->manifest->digest, &list->v[i], &b, &why) != 0) {
			log_warn("dropping an unreadable bundle: %s", why.msg);
			oci_referrer_drop(list, i);
			*ret_dropped = true;
		} else if (bundle_open(&b, sign_key_public(j->key), NULL, &said, &why) == 0 &&
			   bundle_payload_open(&said.statement, &j->manifest->digest, &what,
					       &why) == 0) {
			hit = hit || strcmp(what.identity, j->identity) == 0;
		}
	}
	return hit;
}

static int sign_bundle(const struct job *j, struct err *e)
{
	struct oci_index list SCOPED(oci_index_release) = {0};
	struct buf statement SCOPED(buf_release) = BUF_INIT(BLOB_MAX);
	bool dropped = false, hit;

	if (oci_referrers(j->layout, &j->manifest->digest, &list, e) != 0)
		return -1;
	hit = have_bundle(j, &list, &dropped);
	if (hit && !dropped)
		return 0;
	bundle_payload(j->identity, &j->manifest->digest, j->time, &statement);
	if (!hit && bundle_add(j->layout, j->manifest, &statement, j->key, &list, e) != 0)
		return -1;
	return oci_referrers_save(j->layout, &j->manifest->digest, &list, e);
}

/* Others may be signing the same image: each adds to what the one before him left. */
static int sign_forms(const struct job *j, struct err *e)
{
	int rc = oci_layout_lock(j->layout, e);

	if (rc != 0)
		return -1;
	if (sign_form(j, SIGN_OPENPGP, e) != 0 || sign_form(j, SIGN_COSIGN, e) != 0 ||
	    sign_bundle(j, e) != 0)
		rc = -1;
	if (rc == 0 && j->key->chain != NULL)
		rc = notation_sign(j->layout, j->manifest, j->key, j->time, e);
	oci_layout_unlock(j->layout);
	return rc;
}

/* Of an index, engines check the signature of the image that they choose from it. */
static int sign_members(const struct job *j, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct oci_index x SCOPED(oci_index_release) = {0};

	if (oci_layout_read(j->layout, &j->manifest->digest, &b, e) != 0 ||
	    oci_index_parse(b.data, b.len, &x, e) != 0)
		return -1;
	for (size_t i = 0; i < x.n; i++)
		if (sign_image(j->layout, &x.v[i], j->identity, j->key, j->time, e) != 0)
			return -1;
	return 0;
}

int sign_image(struct oci_layout *l, const struct oci_desc *manifest, const char *identity,
	       const struct sign_key *k, int64_t timestamp, struct err *e)
{
	const struct job j = {l, manifest, identity, k, timestamp};

	if (check_identity(identity, e) != 0 || check_manifest(l, manifest, e) != 0)
		return -1;
	if (strcmp(manifest->media_type, OCI_INDEX) == 0 && sign_members(&j, e) != 0)
		return -1;
	if (sign_forms(&j, e) != 0)
		return err_in(e, "sign %s", identity);
	return 0;
}
