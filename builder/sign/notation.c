#include "sign/notation.h"

#include "form/hex.h"
#include "oci/referrers.h"
#include "sign/chain.h"
#include "sign/pkey.h"
#include "sys/clock.h"
#include <stdlib.h>
#include <string.h>

#define JOSE_TYPE   "application/jose+json"
#define PAYLOAD     "application/vnd.cncf.notary.payload.v1+json"
#define SCHEME      "io.cncf.notary.signingScheme"
#define TIME        "io.cncf.notary.signingTime"
#define THUMBPRINTS "io.cncf.notary.x509chain.thumbprint#S256"

enum { JWS_MAX = 1 << 20, RAW_BYTES = 2 * SCALAR_BYTES };

static struct jval *target(const struct oci_desc *manifest)
{
	struct jval *v = jval_object(), *t = jval_object();

	jval_put_text(t, "mediaType", manifest->media_type);
	jval_put_text(t, "digest", digest_text(&manifest->digest).s);
	jval_put_int(t, "size", (int64_t)manifest->size);
	jval_put(v, "targetArtifact", t);
	return v;
}

static struct jval *protected_header(int64_t time)
{
	struct jval *v = jval_object(), *crit = jval_array();
	char *when SCOPED(mem_freep) = clock_rfc3339(time);

	jval_push(crit, jval_text(SCHEME));
	jval_put_text(v, "alg", "ES256");
	jval_put_text(v, "cty", PAYLOAD);
	jval_put(v, "crit", crit);
	jval_put_text(v, SCHEME, "notary.x509");
	jval_put_text(v, TIME, when);
	return v;
}

/* The value as the base64url of its JSON; the value is released. */
static char *encoded(struct jval *v)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(JWS_MAX);

	jval_write(v, &b);
	jval_free(v);
	return base64url_encode(b.data, b.len);
}

static struct jval *certificates(const struct sign_chain *c)
{
	struct jval *header = jval_object(), *list = jval_array();

	for (size_t i = 0; i < c->n; i++) {
		char *text SCOPED(mem_freep) = base64_encode(c->der[i].data, c->der[i].len);

		jval_push(list, jval_text(text));
	}
	jval_put(header, "x5c", list);
	jval_put_text(header, "io.cncf.notary.signingAgent", "posmedia/" POSMEDIA_VERSION);
	return header;
}

/* r and s, 32 bytes each whatever their size (RFC 7518, 3.4). */
static int raw_signature(const struct sign_key *k, const struct buf *input, uint8_t raw[RAW_BYTES],
			 struct err *e)
{
	struct buf der SCOPED(buf_release) = BUF_INIT(ECDSA_DER_MAX);

	if (sign_bytes(k, input->data, input->len, &der, e) != 0)
		return -1;
	return ecdsa_split(der.data, der.len, raw, raw + SCALAR_BYTES, e);
}

static int make(const struct oci_desc *manifest, const struct sign_key *k, int64_t time,
		struct buf *ret, struct err *e)
{
	char *payload SCOPED(mem_freep) = encoded(target(manifest));
	char *header SCOPED(mem_freep) = encoded(protected_header(time));
	char *sig SCOPED(mem_freep) = NULL;
	struct jval *v SCOPED(jval_freep) = jval_object();
	struct buf input SCOPED(buf_release) = BUF_INIT(JWS_MAX);
	uint8_t raw[RAW_BYTES];

	buf_addf(&input, "%s.%s", header, payload);
	if (raw_signature(k, &input, raw, e) != 0)
		return -1;
	sig = base64url_encode(raw, sizeof(raw));
	jval_put_text(v, "payload", payload);
	jval_put_text(v, "protected", header);
	jval_put(v, "header", certificates(k->chain));
	jval_put_text(v, "signature", sig);
	jval_write(v, ret);
	return buf_over(ret) ? err_set(e, ERR_FAIL, "the certificates are too large") : 0;
}

static int check_signature(const struct jval *v, const struct sign_public *k, struct err *e)
{
	const char *payload = jval_get_str(v, "payload"), *header = jval_get_str(v, "protected");
	const char *sig = jval_get_str(v, "signature");
	struct buf input SCOPED(buf_release) = BUF_INIT(JWS_MAX);
	struct buf raw SCOPED(buf_release) = BUF_INIT(RAW_BYTES);
	struct buf der SCOPED(buf_release) = BUF_INIT(ECDSA_DER_MAX);
	const uint8_t *at;

	if (payload == NULL || header == NULL || sig == NULL || base64_decode(sig, &raw) != 0 ||
	    buf_over(&raw) || raw.len != RAW_BYTES)
		return err_set(e, ERR_VERIFY, "notation: not a JWS of ES256");
	buf_addf(&input, "%s.%s", header, payload);
	at = (const uint8_t *)raw.data;
	if (ecdsa_join(at, at + SCALAR_BYTES, &der, e) != 0)
		return -1;
	return sign_verify(k, input.data, input.len, der.data, der.len, e);
}

int notation_check(const struct buf *jws, const struct oci_desc *manifest,
		   const struct sign_public *k, struct err *e)
{
	struct jval *v SCOPED(jval_freep) = NULL, *said SCOPED(jval_freep) = NULL;
	struct jval *want SCOPED(jval_freep) = target(manifest);
	struct buf payload SCOPED(buf_release) = BUF_INIT(JWS_MAX);

	if (jval_parse(jws->data, jws->len, "notation", &v, e) != 0) {
		e->kind = ERR_VERIFY;
		return -1;
	}
	if (check_signature(v, k, e) != 0)
		return -1;
	if (base64_decode(jval_get_str(v, "payload"), &payload) != 0 ||
	    jval_parse(payload.data, payload.len, "notation", &said, e) != 0 ||
	    !jval_equal(said, want))
		return err_set(e, ERR_VERIFY, "notation: is of another artifact");
	return 0;
}

static char *thumbprints(const struct sign_chain *c)
{
	struct jval *list SCOPED(jval_freep) = jval_array();
	struct buf b = BUF_INIT(4096);

	for (size_t i = 0; i < c->n; i++) {
		struct digest d = digest_of(c->der[i].data, c->der[i].len);

		jval_push(list, jval_text(digest_hex(&d).s));
	}
	jval_write(list, &b);
	return buf_take(&b);
}

/* Whether what an entry lists is a good one of ours, with these very certificates. */
static bool is_good(const struct oci_layout *l, const struct oci_desc *d,
		    const struct oci_desc *manifest, const struct sign_key *k)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct buf jws SCOPED(buf_release) = BUF_INIT(JWS_MAX);
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};
	char *want SCOPED(mem_freep) = thumbprints(k->chain);
	const char *have = jval_get_str(d->annotations, THUMBPRINTS);
	struct err quiet = ERR_INIT;

	return d->artifact_type != NULL && strcmp(d->artifact_type, NOTATION_TYPE) == 0 &&
	       have != NULL && strcmp(have, want) == 0 &&
	       oci_layout_read(l, &d->digest, &b, &quiet) == 0 &&
	       oci_manifest_parse(b.data, b.len, &m, &quiet) == 0 && m.layers_n == 1 &&
	       oci_layout_read(l, &m.layers[0].digest, &jws, &quiet) == 0 &&
	       notation_check(&jws, manifest, k->pub, &quiet) == 0;
}

static int add(struct oci_layout *l, const struct oci_desc *manifest, const struct sign_chain *c,
	       const struct buf *jws, struct oci_index *list, struct err *e)
{
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};
	char *prints SCOPED(mem_freep) = thumbprints(c);
	struct oci_desc d = {.size = jws->len};

	if (oci_layout_add(l, jws->data, jws->len, &d.digest, e) != 0)
		return -1;
	d.media_type = mem_strdup(JOSE_TYPE);
	m.artifact_type = mem_strdup(NOTATION_TYPE);
	m.annotations = jval_object();
	jval_put_text(m.annotations, THUMBPRINTS, prints);
	m.layers = mem_zalloc(sizeof(*m.layers));
	m.layers[m.layers_n++] = d;
	return oci_referrer_add(l, manifest, &m, list, e);
}

int notation_sign(struct oci_layout *l, const struct oci_desc *manifest, const struct sign_key *k,
		  int64_t time, struct err *e)
{
	struct oci_index list SCOPED(oci_index_release) = {0};
	struct buf jws SCOPED(buf_release) = BUF_INIT(JWS_MAX);

	if (oci_referrers(l, &manifest->digest, &list, e) != 0)
		return -1;
	for (size_t i = 0; i < list.n; i++)
		if (is_good(l, &list.v[i], manifest, k))
			return 0;
	if (make(manifest, k, time, &jws, e) != 0 ||
	    add(l, manifest, k->chain, &jws, &list, e) != 0)
		return err_in(e, "notation");
	return oci_referrers_save(l, &manifest->digest, &list, e);
}
