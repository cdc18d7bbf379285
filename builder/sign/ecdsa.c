#include "sign/pkey.h"
#include "sign/signer.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The order of P-256 (SEC 2, 2.4.2), big-endian. */
static const uint8_t order[SCALAR_BYTES] = {
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};

int ssl_err(struct err *e, enum err_kind k, const char *fmt, ...)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = code == 0 ? NULL : ERR_reason_error_string(code);
	char text[512];
	va_list ap;

	ERR_clear_error();
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (reason == NULL)
		return err_set(e, k, "%s", text);
	return err_set(e, k, "%s: %s", text, reason);
}

static void ctx_freep(EVP_PKEY_CTX **c)
{
	EVP_PKEY_CTX_free(*c);
}

static void ecdsa_freep(ECDSA_SIG **s)
{
	ECDSA_SIG_free(*s);
}

int sign_digest(const struct sign_key *k, const struct digest *d, struct buf *ret_der,
		struct err *e)
{
	EVP_PKEY_CTX *c SCOPED(ctx_freep) = NULL;
	uint8_t der[ECDSA_DER_MAX];
	size_t len = sizeof(der);

	if (k->signer != NULL)
		return signer_sign(k->signer, k->pub, d, ret_der, e);
	c = EVP_PKEY_CTX_new(k->pkey, NULL);
	if (c == NULL || EVP_PKEY_sign_init(c) != 1 ||
	    EVP_PKEY_CTX_set_signature_md(c, EVP_sha256()) != 1 ||
	    EVP_PKEY_sign(c, der, &len, d->b, sizeof(d->b)) != 1)
		return ssl_err(e, ERR_FAIL, "sign");
	buf_add(ret_der, der, len);
	if (buf_over(ret_der))
		return err_set(e, ERR_FAIL, "sign: no room for the signature");
	return 0;
}

int sign_bytes(const struct sign_key *k, const void *p, size_t n, struct buf *ret_der,
	       struct err *e)
{
	struct digest d = digest_of(p, n);

	return sign_digest(k, &d, ret_der, e);
}

int sign_verify_digest(const struct sign_public *k, const struct digest *d, const void *der,
		       size_t der_len, struct err *e)
{
	EVP_PKEY_CTX *c SCOPED(ctx_freep) = NULL;
	uint8_t r[SCALAR_BYTES], s[SCALAR_BYTES];

	if (ecdsa_split(der, der_len, r, s, e) != 0)
		return -1;
	c = EVP_PKEY_CTX_new(k->pkey, NULL);
	if (c == NULL || EVP_PKEY_verify_init(c) != 1 ||
	    EVP_PKEY_CTX_set_signature_md(c, EVP_sha256()) != 1)
		return ssl_err(e, ERR_FAIL, "verify");
	if (EVP_PKEY_verify(c, der, der_len, d->b, sizeof(d->b)) != 1) {
		ERR_clear_error();
		return err_set(e, ERR_VERIFY, "the signature does not fit the key and the bytes");
	}
	return 0;
}

int sign_verify(const struct sign_public *k, const void *p, size_t n, const void *der,
		size_t der_len, struct err *e)
{
	struct digest d = digest_of(p, n);

	return sign_verify_digest(k, &d, der, der_len, e);
}

static int in_range(const uint8_t v[SCALAR_BYTES])
{
	static const uint8_t zero[SCALAR_BYTES];

	return memcmp(v, zero, SCALAR_BYTES) != 0 && memcmp(v, order, SCALAR_BYTES) < 0;
}

int ecdsa_split(const void *der, size_t n, uint8_t r[SCALAR_BYTES], uint8_t s[SCALAR_BYTES],
		struct err *e)
{
	ECDSA_SIG *sig SCOPED(ecdsa_freep) = NULL;
	struct buf again SCOPED(buf_release) = BUF_INIT(ECDSA_DER_MAX);
	const unsigned char *at = der;

	if (n == 0 || n > ECDSA_DER_MAX)
		return err_set(e, ERR_VERIFY, "not an ECDSA signature: %zu bytes", n);
	sig = d2i_ECDSA_SIG(NULL, &at, (long)n);
	if (sig == NULL)
		return ssl_err(e, ERR_VERIFY, "not an ECDSA signature");
	if (BN_is_negative(ECDSA_SIG_get0_r(sig)) || BN_is_negative(ECDSA_SIG_get0_s(sig)) ||
	    BN_bn2binpad(ECDSA_SIG_get0_r(sig), r, SCALAR_BYTES) < 0 ||
	    BN_bn2binpad(ECDSA_SIG_get0_s(sig), s, SCALAR_BYTES) < 0 || !in_range(r) ||
	    !in_range(s)) {
		ERR_clear_error();
		return err_set(e, ERR_VERIFY, "not an ECDSA signature: a number out of range");
	}
	if (ecdsa_join(r, s, &again, e) != 0)
		return -1;
	if (again.len != n || memcmp(again.data, der, n) != 0)
		return err_set(e, ERR_VERIFY, "not an ECDSA signature: the DER is not canonical");
	return 0;
}

/* Appends one INTEGER: no leading zeros, but one where the top bit is set (X.690, 8.3). */
static void add_integer(struct buf *b, const uint8_t v[SCALAR_BYTES])
{
	size_t skip = 0;
	uint8_t head[3] = {0x02};

	while (skip < SCALAR_BYTES - 1 && v[skip] == 0)
		skip++;
	head[1] = (uint8_t)(SCALAR_BYTES - skip + (v[skip] >> 7));
	buf_add(b, head, v[skip] >> 7 ? 3 : 2);
	buf_add(b, v + skip, SCALAR_BYTES - skip);
}

int ecdsa_join(const uint8_t r[SCALAR_BYTES], const uint8_t s[SCALAR_BYTES], struct buf *ret_der,
	       struct err *e)
{
	struct buf body SCOPED(buf_release) = BUF_INIT(ECDSA_DER_MAX);
	uint8_t head[2] = {0x30};

	if (!in_range(r) || !in_range(s))
		return err_set(e, ERR_VERIFY, "not an ECDSA signature: a number out of range");
	add_integer(&body, r);
	add_integer(&body, s);
	head[1] = (uint8_t)body.len;
	buf_add(ret_der, head, sizeof(head));
	buf_add(ret_der, body.data, body.len);
	if (buf_over(ret_der))
		return err_set(e, ERR_FAIL, "no room for the signature");
	return 0;
}
