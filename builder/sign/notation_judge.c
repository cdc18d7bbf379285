/* notation_judge.c - Notary Project signatures by those whom a policy's certificates vouch for. */
#include "sign/notation_certs.h"

#include "base/log.h"
#include "form/hex.h"
#include "oci/referrers.h"
#include "sign/pkey.h"
#include "sys/clock.h"
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <string.h>

#define PAYLOAD "application/vnd.cncf.notary.payload.v1+json"
#define SCHEME  "io.cncf.notary.signingScheme"
#define TIME    "io.cncf.notary.signingTime"
#define EXPIRY  "io.cncf.notary.expiry"
#define JOSE    "application/jose+json"

/* The clocks of two machines. */
enum { JWS_MAX = 1 << 20, SIGNATURE_MAX = 1024, SKEW_S = 300 };

/* An algorithm goes with one kind and size of key, and none is chosen by the signature alone. */
static const struct algorithm {
	const char *name;
	int type, bits;
	const EVP_MD *(*hash)(void);
} algorithms[] = {
    {"ES256", EVP_PKEY_EC, 256, EVP_sha256},   {"ES384", EVP_PKEY_EC, 384, EVP_sha384},
    {"ES512", EVP_PKEY_EC, 521, EVP_sha512},   {"PS256", EVP_PKEY_RSA, 2048, EVP_sha256},
    {"PS384", EVP_PKEY_RSA, 3072, EVP_sha384}, {"PS512", EVP_PKEY_RSA, 4096, EVP_sha512},
};

static const struct algorithm *algorithm_of(EVP_PKEY *k, const char *name)
{
	for (size_t i = 0; name != NULL && i < sizeof(algorithms) / sizeof(algorithms[0]); i++)
		if (strcmp(algorithms[i].name, name) == 0 &&
		    algorithms[i].type == EVP_PKEY_get_base_id(k) &&
		    algorithms[i].bits == EVP_PKEY_get_bits(k))
			return &algorithms[i];
	return NULL;
}

static void md_freep(EVP_MD_CTX **c)
{
	EVP_MD_CTX_free(*c);
}

/* r and s as one number after the other (RFC 7518, 3.4) in DER. */
static int to_der(const struct buf *raw, int bits, struct buf *der)
{
	size_t half = ((size_t)bits + 7) / 8;
	const unsigned char *p = (const unsigned char *)raw->data;
	ECDSA_SIG *s = ECDSA_SIG_new();
	unsigned char *out = NULL;
	BIGNUM *r1, *s1;
	int n = -1;

	if (s == NULL || raw->len != 2 * half) {
		ECDSA_SIG_free(s);
		return -1;
	}
	r1 = BN_bin2bn(p, (int)half, NULL);
	s1 = BN_bin2bn(p + half, (int)half, NULL);
	if (r1 != NULL && s1 != NULL && ECDSA_SIG_set0(s, r1, s1) == 1)
		n = i2d_ECDSA_SIG(s, &out);
	if (n > 0)
		buf_add(der, out, (size_t)n);
	OPENSSL_free(out);
	ECDSA_SIG_free(s);
	return n > 0 ? 0 : -1;
}

static int verify(EVP_PKEY *k, const struct algorithm *a, const struct buf *input,
		  const struct buf *sig)
{
	EVP_MD_CTX *c SCOPED(md_freep) = EVP_MD_CTX_new();
	EVP_PKEY_CTX *how = NULL;
	int rc = -1;

	if (c == NULL || EVP_DigestVerifyInit(c, &how, a->hash(), NULL, k) != 1)
		return -1;
	if (a->type != EVP_PKEY_RSA ||
	    (EVP_PKEY_CTX_set_rsa_padding(how, RSA_PKCS1_PSS_PADDING) == 1 &&
	     EVP_PKEY_CTX_set_rsa_pss_saltlen(how, RSA_PSS_SALTLEN_DIGEST) == 1))
		rc = EVP_DigestVerify(c, (const unsigned char *)sig->data, sig->len,
				      (const unsigned char *)input->data, input->len) == 1
			 ? 0
			 : -1;
	ERR_clear_error();
	return rc;
}

static int check_bytes(const struct jval *jws, const char *name, EVP_PKEY *k, struct err *e)
{
	const struct algorithm *a = algorithm_of(k, name);
	struct buf input SCOPED(buf_release) = BUF_INIT(2 * JWS_MAX);
	struct buf raw SCOPED(buf_release) = BUF_INIT(SIGNATURE_MAX);
	struct buf der SCOPED(buf_release) = BUF_INIT(SIGNATURE_MAX);
	const char *sig = jval_get_str(jws, "signature");
	const struct buf *use = &raw;

	if (a == NULL)
		return err_set(e, ERR_VERIFY,
			       "notation: the algorithm \"%.20s\" does not go with "
			       "the key",
			       name != NULL ? name : "");
	if (sig == NULL || base64_decode(sig, &raw) != 0 || buf_over(&raw))
		return err_set(e, ERR_VERIFY, "notation: no signature");
	if (a->type == EVP_PKEY_EC) {
		if (to_der(&raw, a->bits, &der) != 0)
			return err_set(e, ERR_VERIFY,
				       "notation: the signature has not the length "
				       "of two numbers");
		use = &der;
	}
	buf_addf(&input, "%s.%s", jval_get_str(jws, "protected"), jval_get_str(jws, "payload"));
	return verify(k, a, &input, use) == 0
		   ? 0
		   : err_set(e, ERR_VERIFY, "notation: the signature is wrong");
}

/* Of the critical members each must be known, and there; an expiry must be critical. */
static int check_critical(const struct jval *head, struct err *e)
{
	const struct jval *crit = jval_get(head, "crit");
	bool scheme = false, expiry = jval_get(head, EXPIRY) == NULL;

	for (size_t i = 0; i < jval_len(crit); i++) {
		const char *name = jval_str(jval_at(crit, i));

		if (name == NULL || jval_get(head, name) == NULL ||
		    (strcmp(name, SCHEME) != 0 && strcmp(name, EXPIRY) != 0))
			return err_set(e, ERR_VERIFY,
				       "notation: the critical \"%.60s\" is not "
				       "known",
				       name != NULL ? name : "?");
		scheme = scheme || strcmp(name, SCHEME) == 0;
		expiry = expiry || strcmp(name, EXPIRY) == 0;
	}
	return scheme && expiry ? 0
				: err_set(e, ERR_VERIFY,
					  "notation: the scheme or the expiry is "
					  "not critical");
}

static int check_times(const struct jval *head, const X509 *cert, int64_t now, struct err *e)
{
	const char *made = jval_get_str(head, TIME), *until = jval_get_str(head, EXPIRY);
	int64_t at, end;

	if (made == NULL || clock_parse(made, &at) != 0)
		return err_set(e, ERR_VERIFY, "notation: no time of signing");
	if (at > now + SKEW_S)
		return err_set(e, ERR_VERIFY, "notation: was signed in the future, at %s", made);
	if (!certs_good_at(cert, at))
		return err_set(e, ERR_VERIFY,
			       "notation: was signed at %s, when its certificate was "
			       "not good",
			       made);
	if (jval_get(head, EXPIRY) == NULL)
		return 0;
	if (until == NULL || clock_parse(until, &end) != 0)
		return err_set(e, ERR_VERIFY, "notation: its expiry is no time");
	return now < end ? 0 : err_set(e, ERR_VERIFY, "notation: expired at %s", until);
}

static int decode(const struct jval *jws, const char *name, struct jval **ret, struct err *e)
{
	const char *text = jval_get_str(jws, name);
	struct buf b SCOPED(buf_release) = BUF_INIT(JWS_MAX);
	struct err why = ERR_INIT;

	if (text == NULL || base64_decode(text, &b) != 0 || buf_over(&b) ||
	    jval_parse(b.data, b.len, name, ret, &why) != 0)
		return err_set(e, ERR_VERIFY, "notation: \"%s\" cannot be read", name);
	return 0;
}

static int check_head(const struct jval *head, struct err *e)
{
	const char *type = jval_get_str(head, "cty"), *scheme = jval_get_str(head, SCHEME);

	if (type == NULL || strcmp(type, PAYLOAD) != 0)
		return err_set(e, ERR_VERIFY, "notation: is no payload of the Notary Project");
	if (scheme == NULL || strcmp(scheme, "notary.x509") != 0)
		return err_set(e, ERR_VERIFY, "notation: the scheme is not notary.x509");
	return check_critical(head, e);
}

/* Notes of the signer may be there too; they say nothing about which artifact it is. */
static int check_target(const struct jval *jws, const struct oci_desc *manifest, struct err *e)
{
	struct jval *payload SCOPED(jval_freep) = NULL;
	const struct jval *t;
	const char *type, *digest;
	int64_t size;

	if (decode(jws, "payload", &payload, e) != 0)
		return -1;
	t = jval_get(payload, "targetArtifact");
	type = jval_get_str(t, "mediaType");
	digest = jval_get_str(t, "digest");
	if (type == NULL || strcmp(type, manifest->media_type) != 0 || digest == NULL ||
	    strcmp(digest, digest_text(&manifest->digest).s) != 0 ||
	    jval_get_int(t, "size", &size) != 0 || size != (int64_t)manifest->size)
		return err_set(e, ERR_VERIFY, "notation: is of another artifact");
	return 0;
}

static void x509_freep(X509 **x)
{
	X509_free(*x);
}

int notation_judge(const struct buf *jws, const struct oci_desc *manifest,
		   const struct notation_wanted *w, char **ret_who, struct err *e)
{
	struct jval *v SCOPED(jval_freep) = NULL, *head SCOPED(jval_freep) = NULL;
	X509 *cert SCOPED(x509_freep) = NULL;
	struct err why = ERR_INIT;

	if (jval_parse(jws->data, jws->len, "notation", &v, &why) != 0)
		return err_set(e, ERR_VERIFY, "%s", why.msg);
	if (decode(v, "protected", &head, e) != 0 || check_head(head, e) != 0 ||
	    certs_check(jval_get(jval_get(v, "header"), "x5c"), w, &cert, e) != 0 ||
	    check_bytes(v, jval_get_str(head, "alg"), X509_get0_pubkey(cert), e) != 0 ||
	    check_target(v, manifest, e) != 0 || check_times(head, cert, w->now, e) != 0)
		return -1;
	if (w->subject != NULL && !certs_named(cert, w->subject)) {
		char *name SCOPED(mem_freep) = certs_name(cert);

		return err_set(e, ERR_VERIFY, "notation: was signed by %s, not by %s", name,
			       w->subject);
	}
	*ret_who = certs_name(cert);
	return 0;
}

static int judge_entry(const struct oci_layout *l, const struct oci_desc *d,
		       const struct oci_desc *manifest, const struct notation_wanted *w,
		       char **ret_who, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct buf jws SCOPED(buf_release) = BUF_INIT(JWS_MAX);
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};

	if (oci_layout_read(l, &d->digest, &b, e) != 0 ||
	    oci_manifest_parse(b.data, b.len, &m, e) != 0)
		return -1;
	if (m.subject == NULL || !digest_equal(&m.subject->digest, &manifest->digest))
		return err_set(e, ERR_VERIFY, "notation: is no referrer of it");
	if (m.layers_n != 1 || strcmp(m.layers[0].media_type, JOSE) != 0)
		return err_set(e, ERR_VERIFY, "notation: is not one JWS envelope");
	if (oci_layout_read(l, &m.layers[0].digest, &jws, e) != 0)
		return -1;
	return notation_judge(&jws, manifest, w, ret_who, e);
}

int notation_find(const struct oci_layout *l, const struct oci_desc *manifest,
		  const struct notation_wanted *w, char **ret_who, struct err *e)
{
	struct oci_index list SCOPED(oci_index_release) = {0};
	struct err why = ERR_INIT;
	size_t seen = 0;

	if (oci_referrers(l, &manifest->digest, &list, e) != 0)
		return -1;
	for (size_t i = 0; i < list.n; i++) {
		const char *type = list.v[i].artifact_type;

		if (type == NULL || strcmp(type, NOTATION_TYPE) != 0)
			continue;
		seen++;
		if (judge_entry(l, &list.v[i], manifest, w, ret_who, &why) == 0)
			return 0;
	}
	if (seen == 0)
		return err_set(e, ERR_VERIFY, "it has no notation signature");
	return err_set(e, ERR_VERIFY, "none of its %zu notation signatures is good; the last: %s",
		       seen, why.msg);
}
