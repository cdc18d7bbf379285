/* notation_certs.c - the trust store of a policy, and whether the certificates of a signature lead
 * to it: RFC 5280, and what the Notary Project's signature specification asks of each. */
#include "sign/notation_certs.h"

#include "form/hex.h"
#include "sign/chain.h"
#include "sign/pkey.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

enum { ROOTS_MAX = 256 << 10, CERT_MAX = 64 << 10, RSA_BITS_MIN = 2048, EC_BITS_MIN = 256 };
/* of X509_VERIFY_PARAM_set_auth_level: 112 bits, so that no certificate is signed with SHA-1 */
enum { AUTH_LEVEL = 2 };

struct notation_roots {
	X509_STORE *store;
};

void notation_roots_free(struct notation_roots *r)
{
	if (r == NULL)
		return;
	X509_STORE_free(r->store);
	free(r);
}

/* A root need not have issued itself: whose certificate is given is trusted. */
static int add_roots(BIO *in, X509_STORE *store)
{
	int n = 0;
	X509 *cert;

	while ((cert = PEM_read_bio_X509(in, NULL, NULL, NULL)) != NULL) {
		n += X509_STORE_add_cert(store, cert) == 1;
		X509_free(cert);
	}
	ERR_clear_error();
	return X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) == 1 ? n : 0;
}

int notation_roots_load(const char *path, struct notation_roots **ret, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(ROOTS_MAX);
	struct notation_roots *r;
	BIO *in;
	int n = 0;

	if (fs_get_file(AT_FDCWD, path, &b, e) != 0)
		return err_in(e, "certificates");
	r = mem_zalloc(sizeof(*r));
	r->store = X509_STORE_new();
	in = BIO_new_mem_buf(b.data, (int)b.len);
	if (r->store != NULL && in != NULL)
		n = add_roots(in, r->store);
	BIO_free(in);
	if (n == 0) {
		notation_roots_free(r);
		return err_set(e, ERR_VERIFY, "%s: no certificate", path);
	}
	*ret = r;
	return 0;
}

static void stack_freep(STACK_OF(X509) * *s)
{
	sk_X509_pop_free(*s, X509_free);
}

static int read_one(const char *text, STACK_OF(X509) * to, struct err *e)
{
	struct buf der SCOPED(buf_release) = BUF_INIT(CERT_MAX);
	const unsigned char *p;
	X509 *cert;

	if (text == NULL || base64_decode(text, &der) != 0 || buf_over(&der) || der.len == 0)
		return err_set(e, ERR_VERIFY, "notation: a certificate is not base64");
	p = (const unsigned char *)der.data;
	cert = d2i_X509(NULL, &p, (long)der.len);
	if (cert == NULL || p != (const unsigned char *)der.data + der.len ||
	    sk_X509_push(to, cert) <= 0) {
		X509_free(cert);
		return ssl_err(e, ERR_VERIFY, "notation: a certificate cannot be read");
	}
	return 0;
}

static bool has_usage(X509 *cert, uint32_t want)
{
	return (X509_get_extension_flags(cert) & EXFLAG_KUSAGE) != 0 &&
	       (X509_get_key_usage(cert) & want) != 0;
}

static bool is_critical(const X509 *cert, int nid)
{
	int at = X509_get_ext_by_NID(cert, nid, -1);

	return at >= 0 && X509_EXTENSION_get_critical(X509_get_ext(cert, at)) == 1;
}

/* For signing code, or without a word about what it is for; and for nothing else. */
static bool signs_code(X509 *cert)
{
	const uint32_t others = XKU_SSL_SERVER | XKU_SSL_CLIENT | XKU_SMIME | XKU_SGC |
				XKU_OCSP_SIGN | XKU_TIMESTAMP | XKU_DVCS | XKU_ANYEKU;
	uint32_t use = X509_get_extended_key_usage(cert);

	if ((X509_get_extension_flags(cert) & EXFLAG_XKUSAGE) == 0)
		return true;
	return (use & XKU_CODE_SIGN) != 0 && (use & others) == 0;
}

static bool key_large_enough(X509 *cert)
{
	EVP_PKEY *k = X509_get0_pubkey(cert);
	int least =
	    k != NULL && EVP_PKEY_get_base_id(k) == EVP_PKEY_RSA ? RSA_BITS_MIN : EC_BITS_MIN;

	return k != NULL && EVP_PKEY_get_bits(k) >= least;
}

static int check_leaf(X509 *cert, struct err *e)
{
	if ((X509_get_extension_flags(cert) & (EXFLAG_CA | EXFLAG_INVALID)) != 0)
		return err_set(e, ERR_VERIFY, "notation: the signer's certificate is an issuer's");
	if (!has_usage(cert, KU_DIGITAL_SIGNATURE) || has_usage(cert, KU_KEY_CERT_SIGN) ||
	    !is_critical(cert, NID_key_usage))
		return err_set(e, ERR_VERIFY,
			       "notation: the signer's certificate has not the "
			       "critical key usage digitalSignature");
	if (!signs_code(cert))
		return err_set(e, ERR_VERIFY,
			       "notation: the signer's certificate is not for "
			       "codeSigning alone");
	return key_large_enough(cert) ? 0
				      : err_set(e, ERR_VERIFY, "notation: the key is too small");
}

static int check_issuer(X509 *cert, struct err *e)
{
	if ((X509_get_extension_flags(cert) & (EXFLAG_CA | EXFLAG_INVALID)) != EXFLAG_CA ||
	    !is_critical(cert, NID_basic_constraints) || !has_usage(cert, KU_KEY_CERT_SIGN) ||
	    !is_critical(cert, NID_key_usage))
		return err_set(e, ERR_VERIFY,
			       "notation: a certificate in the chain is no issuer's");
	return key_large_enough(cert) ? 0
				      : err_set(e, ERR_VERIFY,
						"notation: an issuer's key is too "
						"small");
}

/* The order is that of the signatures: each is by the next. */
static int check_each(STACK_OF(X509) * chain, struct err *e)
{
	int n = sk_X509_num(chain);

	if (check_leaf(sk_X509_value(chain, 0), e) != 0)
		return -1;
	for (int i = 1; i < n; i++) {
		X509 *issuer = sk_X509_value(chain, i);

		if (check_issuer(issuer, e) != 0)
			return -1;
		if (X509_check_issued(issuer, sk_X509_value(chain, i - 1)) != X509_V_OK)
			return err_set(e, ERR_VERIFY, "notation: the certificates are no chain");
	}
	return 0;
}

static int lead_to_root(STACK_OF(X509) * chain, const struct notation_wanted *w, struct err *e)
{
	X509_STORE_CTX *c = X509_STORE_CTX_new();
	int rc;

	if (c == NULL ||
	    X509_STORE_CTX_init(c, w->roots->store, sk_X509_value(chain, 0), chain) != 1) {
		X509_STORE_CTX_free(c);
		return ssl_err(e, ERR_FAIL, "notation: certificates");
	}
	X509_STORE_CTX_set_time(c, 0, (time_t)w->now);
	X509_VERIFY_PARAM_set_auth_level(X509_STORE_CTX_get0_param(c), AUTH_LEVEL);
	rc = X509_verify_cert(c) == 1
		 ? 0
		 : err_set(e, ERR_VERIFY,
			   "notation: the certificates lead to none that is trusted: "
			   "%s",
			   X509_verify_cert_error_string(X509_STORE_CTX_get_error(c)));
	X509_STORE_CTX_free(c);
	ERR_clear_error();
	return rc;
}

int certs_check(const struct jval *x5c, const struct notation_wanted *w, X509 **ret, struct err *e)
{
	STACK_OF(X509) * chain SCOPED(stack_freep) = sk_X509_new_null();

	if (chain == NULL)
		return ssl_err(e, ERR_FAIL, "notation: certificates");
	if (!jval_is_array(x5c) || jval_len(x5c) == 0 || jval_len(x5c) > CHAIN_MAX)
		return err_set(e, ERR_VERIFY, "notation: wants 1 to %d certificates", CHAIN_MAX);
	for (size_t i = 0; i < jval_len(x5c); i++)
		if (read_one(jval_str(jval_at(x5c, i)), chain, e) != 0)
			return -1;
	if (check_each(chain, e) != 0 || lead_to_root(chain, w, e) != 0)
		return -1;
	*ret = sk_X509_shift(chain);
	return 0;
}

bool certs_good_at(const X509 *cert, int64_t time)
{
	time_t t = (time_t)time;

	return X509_cmp_time(X509_get0_notBefore(cert), &t) < 0 &&
	       X509_cmp_time(X509_get0_notAfter(cert), &t) > 0;
}

/* Whether the subject has this NAME=VALUE. */
static bool has_part(const X509 *cert, const char *p, size_t n)
{
	char *part SCOPED(mem_freep) = mem_strndup(p, n);
	char *value = strchr(part, '=');
	X509_NAME *name = X509_get_subject_name(cert);
	bool hit = false;
	int nid;

	if (value == NULL)
		return false;
	*value++ = '\0';
	nid = OBJ_txt2nid(part + strspn(part, " "));
	if (nid == NID_undef)
		return false;
	for (int at = -1; !hit && (at = X509_NAME_get_index_by_NID(name, nid, at)) >= 0;) {
		unsigned char *text = NULL;
		int len = ASN1_STRING_to_UTF8(
		    &text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));

		hit = len >= 0 && (size_t)len == strlen(value) &&
		      memcmp(text, value, (size_t)len) == 0;
		OPENSSL_free(text);
	}
	return hit;
}

bool certs_named(const X509 *cert, const char *subject)
{
	for (const char *p = subject;;) {
		size_t n = strcspn(p, ",");

		if (!has_part(cert, p, n))
			return false;
		if (p[n] == '\0')
			return true;
		p += n + 1;
	}
}

char *certs_name(const X509 *cert)
{
	BIO *out = BIO_new(BIO_s_mem());
	char *data = NULL, *text;
	long n = 0;

	if (out != NULL &&
	    X509_NAME_print_ex(out, X509_get_subject_name(cert), 0, XN_FLAG_RFC2253) >= 0)
		n = BIO_get_mem_data(out, &data);
	text = mem_strndup(n > 0 ? data : "", n > 0 ? (size_t)n : 0);
	BIO_free(out);
	return text;
}
