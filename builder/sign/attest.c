#include "sign/attest.h"

#include "form/hex.h"
#include "sign/image.h"
#include "sign/siglayer.h"
#include <string.h>

#define STATEMENT_TYPE "https://in-toto.io/Statement/v1"
#define PAYLOAD_TYPE   "application/vnd.in-toto+json"

enum { DER_MAX = 72, ENVELOPE_MAX = 2 * ATTEST_MAX };

static bool names(const struct jval *statement, const struct digest *manifest)
{
	const struct jval *list = jval_get(statement, "subject");
	struct digest_hex want = digest_hex(manifest);

	for (size_t i = 0; i < jval_len(list); i++) {
		const struct jval *d = jval_get(jval_at(list, i), "digest");
		const char *hex = jval_get_str(d, "sha256");

		if (hex != NULL && strcmp(hex, want.s) == 0)
			return true;
	}
	return false;
}

int attest_check(const struct buf *statement, const char *what, const struct digest *manifest,
		 struct err *e)
{
	struct jval *j SCOPED(jval_freep) = NULL;
	const char *type, *result;

	if (jval_parse(statement->data, statement->len, what, &j, e) != 0)
		return -1;
	type = jval_get_str(j, "_type");
	result = jval_get_str(jval_get(j, "predicate"), "result");
	if (type == NULL || strcmp(type, STATEMENT_TYPE) != 0 ||
	    jval_get_str(j, "predicateType") == NULL)
		return err_set(e, ERR_VERIFY, "%s: is no in-toto statement v1", what);
	if (!names(j, manifest)) {
		(void)err_set(e, ERR_VERIFY, "%s: is not about %s", what, digest_text(manifest).s);
		return err_hint(e, "posmedia audit --evidence makes one that is");
	}
	if (result == NULL || strcmp(result, "FAILED") != 0)
		return 0;
	(void)err_set(e, ERR_VERIFY, "%s: says that the image failed", what);
	return err_hint(e, "Mend what fails; a release key does not sign bad news.");
}

/* What is signed of a payload (DSSE, protocol.md). */
static void encode(const struct buf *payload, struct buf *out)
{
	buf_addf(out, "DSSEv1 %zu %s %zu ", strlen(PAYLOAD_TYPE), PAYLOAD_TYPE, payload->len);
	buf_add(out, payload->data, payload->len);
}

/* One signature and no key id: more, or one, and cosign 3.1 finds none. */
static int seal(const struct buf *statement, const struct sign_key *k, struct buf *ret,
		struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(ENVELOPE_MAX);
	struct buf der SCOPED(buf_release) = BUF_INIT(DER_MAX);
	struct jval *j SCOPED(jval_freep) = jval_object();
	struct jval *list = jval_array(), *one = jval_object();
	char *payload SCOPED(mem_freep) = base64_encode(statement->data, statement->len);
	char *sig SCOPED(mem_freep) = NULL;

	jval_push(list, one);
	jval_put(j, "signatures", list);
	encode(statement, &text);
	if (sign_bytes(k, text.data, text.len, &der, e) != 0)
		return -1;
	sig = base64_encode(der.data, der.len);
	jval_put_text(one, "sig", sig);
	jval_put_text(j, "payload", payload);
	jval_put_text(j, "payloadType", PAYLOAD_TYPE);
	jval_write(j, ret);
	return 0;
}

int attest_open(const struct buf *envelope, const struct sign_public *key, struct buf *ret,
		struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(ENVELOPE_MAX);
	struct buf der SCOPED(buf_release) = BUF_INIT(DER_MAX);
	struct jval *j SCOPED(jval_freep) = NULL;
	const char *type, *payload, *sig;

	if (jval_parse(envelope->data, envelope->len, "attestation", &j, e) != 0)
		return -1;
	type = jval_get_str(j, "payloadType");
	payload = jval_get_str(j, "payload");
	sig = jval_get_str(jval_at(jval_get(j, "signatures"), 0), "sig");
	if (type == NULL || strcmp(type, PAYLOAD_TYPE) != 0 || payload == NULL || sig == NULL ||
	    jval_len(jval_get(j, "signatures")) != 1 || base64_decode(payload, ret) != 0 ||
	    base64_decode(sig, &der) != 0)
		return err_set(e, ERR_VERIFY, "attestation: not an envelope of one signature");
	encode(ret, &text);
	return sign_verify(key, text.data, text.len, der.data, der.len, e);
}

static char *tag_of(const struct digest *manifest)
{
	return mem_format("sha256-%s.att", digest_hex(manifest).s);
}

/* Whether the layer is an attestation by the key; *ret is its statement. */
static bool is_by(const struct oci_layout *l, const struct oci_desc *layer,
		  const struct sign_public *key, struct buf *ret)
{
	struct buf envelope SCOPED(buf_release) = BUF_INIT(ENVELOPE_MAX);
	struct err quiet = ERR_INIT;

	return strcmp(layer->media_type, SIGN_DSSE_TYPE) == 0 &&
	       oci_layout_read(l, &layer->digest, &envelope, &quiet) == 0 &&
	       attest_open(&envelope, key, ret, &quiet) == 0;
}

static bool same_bytes(const struct buf *a, const struct buf *b)
{
	return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

static char *predicate_type(const struct buf *statement)
{
	struct jval *j SCOPED(jval_freep) = NULL;
	struct err quiet = ERR_INIT;
	const char *type = NULL;

	if (jval_parse(statement->data, statement->len, "statement", &j, &quiet) == 0)
		type = jval_get_str(j, "predicateType");
	return mem_strdup(type == NULL ? "" : type);
}

/* Drops what the key has attested of this type before. Returns whether it was this very thing. */
static bool drop_earlier(const struct oci_layout *l, struct oci_manifest *m,
			 const struct buf *statement, const struct sign_public *key)
{
	char *type SCOPED(mem_freep) = predicate_type(statement);

	for (size_t i = m->layers_n; i-- > 0;) {
		struct buf old SCOPED(buf_release) = BUF_INIT(ATTEST_MAX);
		char *its SCOPED(mem_freep) = NULL;

		if (!is_by(l, &m->layers[i], key, &old))
			continue;
		if (same_bytes(&old, statement))
			return true;
		its = predicate_type(&old);
		if (strcmp(its, type) == 0)
			sig_drop_layer(m, i);
	}
	return false;
}

static int add_layer(struct oci_layout *l, struct oci_manifest *m, const struct buf *statement,
		     const struct sign_key *k, struct err *e)
{
	struct buf envelope SCOPED(buf_release) = BUF_INIT(ENVELOPE_MAX);
	char *type SCOPED(mem_freep) = predicate_type(statement);
	struct oci_desc *d;

	if (m->layers_n >= OCI_LAYERS_MAX)
		return err_set(e, ERR_FAIL, "the image has %d attestations already",
			       OCI_LAYERS_MAX);
	if (seal(statement, k, &envelope, e) != 0)
		return -1;
	m->layers = mem_resize(m->layers, m->layers_n + 1, sizeof(*m->layers));
	d = &m->layers[m->layers_n];
	*d = (struct oci_desc){.size = envelope.len};
	if (oci_layout_add(l, envelope.data, envelope.len, &d->digest, e) != 0)
		return -1;
	d->media_type = mem_strdup(SIGN_DSSE_TYPE);
	d->annotations = jval_object();
	/* cosign wants the note to be there, and empty: the signature is in the envelope */
	jval_put_text(d->annotations, SIGN_COSIGN_NOTE, "");
	jval_put_text(d->annotations, "predicateType", type);
	m->layers_n++;
	return 0;
}

int attest_image(struct oci_layout *l, const struct oci_desc *manifest, const struct buf *statement,
		 const struct sign_key *k, struct err *e)
{
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};
	char *tag SCOPED(mem_freep) = tag_of(&manifest->digest);

	if (attest_check(statement, "statement", &manifest->digest, e) != 0 ||
	    sig_manifest_at(l, tag, &m, e) != 0)
		return -1;
	if (drop_earlier(l, &m, statement, sign_key_public(k)))
		return 0;
	if (add_layer(l, &m, statement, k, e) != 0)
		return err_in(e, "attestation");
	return sig_save(l, tag, SIGN_COSIGN, &m, e);
}

int attest_verify(const struct oci_layout *l, const struct digest *manifest,
		  const struct buf *statement, const struct attest_keys *keys, struct err *e)
{
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};
	char *tag SCOPED(mem_freep) = tag_of(manifest);
	size_t others = 0;

	if (sig_manifest_at(l, tag, &m, e) != 0)
		return -1;
	for (size_t i = 0; i < m.layers_n; i++)
		for (size_t k = 0; k < keys->n; k++) {
			struct buf got SCOPED(buf_release) = BUF_INIT(ATTEST_MAX);

			if (!is_by(l, &m.layers[i], keys->v[k], &got))
				continue;
			if (same_bytes(&got, statement))
				return 0;
			others++;
		}
	return err_set(e, ERR_VERIFY,
		       "%s: no attestation of this content by the given keys; they have %zu "
		       "others, and there are %zu in all",
		       digest_text(manifest).s, others, m.layers_n);
}
