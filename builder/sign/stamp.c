#include "sign/stamp.h"

#include "sign/pkey.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ts.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

enum { PEM_MAX = 64 << 10 };
/* 112 bits of security, for OpenSSL and as a hash's bytes: no SHA-1, no RSA of 1024 bits */
enum { AUTH_LEVEL = 2, HASH_MIN = 28 };

struct sign_stamper {
	struct sign_key *key;
	X509 *cert;
};

struct sign_authority {
	X509 *cert;
};

void sign_stamper_free(struct sign_stamper *s)
{
	if (s == NULL)
		return;
	sign_key_free(s->key);
	X509_free(s->cert);
	free(s);
}

void sign_stamper_freep(struct sign_stamper **s)
{
	sign_stamper_free(*s);
	*s = NULL;
}

void sign_authority_free(struct sign_authority *a)
{
	if (a == NULL)
		return;
	X509_free(a->cert);
	free(a);
}

void sign_authority_freep(struct sign_authority **a)
{
	sign_authority_free(*a);
	*a = NULL;
}

static int load_cert(const char *path, X509 **ret, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(PEM_MAX);
	BIO *in;

	if (fs_get_file(AT_FDCWD, path, &b, e) != 0)
		return err_in(e, "certificate");
	in = BIO_new_mem_buf(b.data, (int)b.len);
	*ret = in == NULL ? NULL : PEM_read_bio_X509(in, NULL, NULL, NULL);
	BIO_free(in);
	if (*ret == NULL)
		return ssl_err(e, ERR_VERIFY, "%s: no certificate", path);
	if (X509_check_purpose(*ret, X509_PURPOSE_TIMESTAMP_SIGN, 0) == 1)
		return 0;
	X509_free(*ret);
	*ret = NULL;
	ERR_clear_error();
	(void)err_set(e, ERR_VERIFY, "%s: is not a certificate for time stamps", path);
	return err_hint(e, "it wants the critical extended key usage timeStamping, and no other");
}

int sign_authority_load(const char *path, struct sign_authority **ret, struct err *e)
{
	X509 *cert;

	if (load_cert(path, &cert, e) != 0)
		return -1;
	*ret = mem_zalloc(sizeof(**ret));
	(*ret)->cert = cert;
	return 0;
}

int sign_stamper_load(const char *key, const char *cert, struct sign_stamper **ret, struct err *e)
{
	struct sign_stamper *s SCOPED(sign_stamper_freep) = mem_zalloc(sizeof(*s));

	if (load_cert(cert, &s->cert, e) != 0 || sign_key_load(key, NULL, &s->key, e) != 0)
		return -1;
	if (s->key->pkey == NULL || X509_check_private_key(s->cert, s->key->pkey) != 1) {
		ERR_clear_error();
		return err_set(e, ERR_VERIFY, "%s: is not the certificate of %s", cert, key);
	}
	*ret = STEAL(s);
	return 0;
}

/* Random, so that no two stamps have one number though nothing is kept. */
static ASN1_INTEGER *serial(struct TS_resp_ctx *c, void *ctx)
{
	unsigned char b[8];
	ASN1_INTEGER *n = ASN1_INTEGER_new();
	uint64_t v = 0;

	(void)c;
	(void)ctx;
	if (n == NULL || RAND_bytes(b, sizeof(b)) != 1) {
		ASN1_INTEGER_free(n);
		return NULL;
	}
	for (size_t i = 0; i < sizeof(b); i++)
		v = v << 8 | b[i];
	if (ASN1_INTEGER_set_uint64(n, v >> 1) != 1) {
		ASN1_INTEGER_free(n);
		return NULL;
	}
	return n;
}

static int now(struct TS_resp_ctx *c, void *ctx, long *sec, long *usec)
{
	(void)c;
	(void)ctx;
	*sec = (long)clock_epoch_s();
	*usec = 0;
	return 1;
}

/* The request that a client would send: the digest and that the certificate is wanted. */
static BIO *request(const struct buf *bytes)
{
	struct digest d = digest_of(bytes->data, bytes->len);
	TS_REQ *q = TS_REQ_new();
	TS_MSG_IMPRINT *im = TS_MSG_IMPRINT_new();
	X509_ALGOR *how = X509_ALGOR_new();
	BIO *out = NULL;

	if (q != NULL && im != NULL && how != NULL &&
	    X509_ALGOR_set0(how, OBJ_nid2obj(NID_sha256), V_ASN1_NULL, NULL) == 1 &&
	    TS_MSG_IMPRINT_set_algo(im, how) == 1 &&
	    TS_MSG_IMPRINT_set_msg(im, d.b, sizeof(d.b)) == 1 && TS_REQ_set_version(q, 1) == 1 &&
	    TS_REQ_set_msg_imprint(q, im) == 1 && TS_REQ_set_cert_req(q, 1) == 1)
		out = BIO_new(BIO_s_mem());
	if (out != NULL && i2d_TS_REQ_bio(out, q) != 1) {
		BIO_free(out);
		out = NULL;
	}
	X509_ALGOR_free(how);
	TS_MSG_IMPRINT_free(im);
	TS_REQ_free(q);
	return out;
}

static TS_RESP *respond(const struct sign_stamper *s, BIO *asked)
{
	TS_RESP_CTX *c = TS_RESP_CTX_new();
	ASN1_OBJECT *policy = OBJ_txt2obj("1.3.6.1.4.1.13762.3", 1); /* best effort, no audit */
	TS_RESP *r = NULL;

	if (c != NULL && policy != NULL && TS_RESP_CTX_set_signer_cert(c, s->cert) == 1 &&
	    TS_RESP_CTX_set_signer_key(c, s->key->pkey) == 1 &&
	    TS_RESP_CTX_set_signer_digest(c, EVP_sha256()) == 1 &&
	    TS_RESP_CTX_set_ess_cert_id_digest(c, EVP_sha256()) == 1 &&
	    TS_RESP_CTX_set_def_policy(c, policy) == 1 &&
	    TS_RESP_CTX_add_md(c, EVP_sha256()) == 1) {
		TS_RESP_CTX_set_serial_cb(c, serial, NULL);
		TS_RESP_CTX_set_time_cb(c, now, NULL);
		r = TS_RESP_create_response(c, asked);
	}
	ASN1_OBJECT_free(policy);
	TS_RESP_CTX_free(c);
	return r;
}

int stamp_make(const struct sign_stamper *s, const struct buf *bytes, struct buf *ret,
	       struct err *e)
{
	BIO *asked = request(bytes);
	TS_RESP *r = asked == NULL ? NULL : respond(s, asked);
	unsigned char *der = NULL;
	int n = -1;

	if (r != NULL && TS_RESP_get_token(r) != NULL)
		n = i2d_TS_RESP(r, &der);
	if (n > 0)
		buf_add(ret, der, (size_t)n);
	OPENSSL_free(der);
	TS_RESP_free(r);
	BIO_free(asked);
	return n > 0 && !buf_over(ret) ? 0 : ssl_err(e, ERR_FAIL, "time stamp");
}

/* The seconds of a GeneralizedTime. */
static int64_t seconds(const ASN1_GENERALIZEDTIME *t)
{
	ASN1_TIME *zero = ASN1_TIME_set(NULL, 0);
	int days = 0, secs = 0;
	int good = zero != NULL && ASN1_TIME_diff(&days, &secs, zero, t) == 1;

	ASN1_TIME_free(zero);
	return good ? (int64_t)days * 86400 + secs : 0;
}

/* Whether all hashes that are signed are strong enough: OpenSSL looks at those of certificates. */
static bool hashes_well(TS_RESP *r)
{
	STACK_OF(PKCS7_SIGNER_INFO) *signers = PKCS7_get_signer_info(TS_RESP_get_token(r));

	for (int i = 0; i < sk_PKCS7_SIGNER_INFO_num(signers); i++) {
		X509_ALGOR *how = NULL;
		const ASN1_OBJECT *hash = NULL;
		const EVP_MD *md;

		PKCS7_SIGNER_INFO_get0_algs(sk_PKCS7_SIGNER_INFO_value(signers, i), NULL, &how,
					    NULL);
		X509_ALGOR_get0(&hash, NULL, NULL, how);
		md = EVP_get_digestbyobj(hash);
		if (md == NULL || EVP_MD_get_size(md) < HASH_MIN)
			return false;
	}
	return true;
}

/* Trusts this one certificate, whoever signed it. */
static int check_response(const struct sign_authority *a, TS_RESP *r, const struct digest *d)
{
	TS_VERIFY_CTX *c = TS_VERIFY_CTX_new();
	X509_STORE *store = X509_STORE_new();
	unsigned char *imprint = OPENSSL_memdup(d->b, sizeof(d->b));
	int good = 0;

	if (c == NULL || store == NULL || imprint == NULL ||
	    X509_STORE_add_cert(store, a->cert) != 1) {
		X509_STORE_free(store);
		OPENSSL_free(imprint);
		TS_VERIFY_CTX_free(c);
		return 0;
	}
	/* the times of the certificate are judged by whoever trusts it */
	(void)X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_NO_CHECK_TIME);
	X509_VERIFY_PARAM_set_auth_level(X509_STORE_get0_param(store), AUTH_LEVEL);
	(void)TS_VERIFY_CTX_set_store(c, store);
	(void)TS_VERIFY_CTX_set_imprint(c, imprint, sizeof(d->b));
	(void)TS_VERIFY_CTX_set_flags(c, TS_VFY_VERSION | TS_VFY_SIGNER | TS_VFY_IMPRINT |
					     TS_VFY_SIGNATURE);
	good = TS_RESP_verify_response(c, r) == 1 && hashes_well(r);
	TS_VERIFY_CTX_free(c);
	return good;
}

int stamp_check(const struct sign_authority *a, const struct buf *token, const struct buf *bytes,
		int64_t *ret, struct err *e)
{
	const unsigned char *at = (const unsigned char *)token->data;
	struct digest d = digest_of(bytes->data, bytes->len);
	TS_RESP *r = d2i_TS_RESP(NULL, &at, (long)token->len);
	int good = r != NULL && at == (const unsigned char *)token->data + token->len &&
		   check_response(a, r, &d);
	int64_t t = good ? seconds(TS_TST_INFO_get_time(TS_RESP_get_tst_info(r))) : 0;

	TS_RESP_free(r);
	ERR_clear_error();
	if (t <= 0)
		return err_set(e, ERR_VERIFY,
			       "the time stamp is not by the authority, or not of "
			       "this signature");
	*ret = t;
	return 0;
}
