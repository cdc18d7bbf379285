#include "proxy/parts.h"

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* Longer than any step, and a day before in case of clocks: the key is gone with the step. */
enum { DAY_S = 24 * 3600 };

struct ca {
	EVP_PKEY *key, *leaf; /* the authority's, and the one of all servers we stand for */
	X509 *cert;
};

static void ca_freep(struct ca **ca)
{
	ca_free(*ca);
	*ca = NULL;
}

void ca_free(struct ca *ca)
{
	if (ca == NULL)
		return;
	EVP_PKEY_free(ca->key);
	EVP_PKEY_free(ca->leaf);
	X509_free(ca->cert);
	free(ca);
}

static void x509_freep(X509 **x)
{
	X509_free(*x);
	*x = NULL;
}

static int failed(struct err *e)
{
	return err_set(e, ERR_FAIL, "OpenSSL: cannot make a certificate");
}

static int extend(X509 *x, X509V3_CTX *ctx, int nid, const char *value, struct err *e)
{
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, ctx, nid, value);
	int ok = ext != NULL && X509_add_ext(x, ext, -1) == 1;

	X509_EXTENSION_free(ext);
	return ok ? 0 : failed(e);
}

struct extension {
	int nid;
	const char *value;
};

/* A version 3 certificate for `key` with a random number, signed by the authority. */
static int certify(X509 *x, EVP_PKEY *key, const struct ca *ca, const char *name, struct err *e)
{
	X509_NAME *subject = X509_get_subject_name(x);
	X509 *issuer = ca->cert != NULL ? ca->cert : x;
	uint64_t number = 0;

	if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number))
		return err_sys(e, "get random bytes");
	if (X509_set_version(x, 2) != 1 ||
	    ASN1_INTEGER_set_uint64(X509_get_serialNumber(x), number >> 1 | 1) != 1 ||
	    X509_gmtime_adj(X509_getm_notBefore(x), -DAY_S) == NULL ||
	    X509_gmtime_adj(X509_getm_notAfter(x), 2 * DAY_S) == NULL ||
	    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1,
				       -1, 0) != 1 ||
	    X509_set_issuer_name(x, X509_get_subject_name(issuer)) != 1 ||
	    X509_set_pubkey(x, key) != 1)
		return failed(e);
	return 0;
}

static int finish(X509 *x, const struct ca *ca, const struct extension *v, size_t n, struct err *e)
{
	X509V3_CTX ctx;

	X509V3_set_ctx(&ctx, ca->cert != NULL ? ca->cert : x, x, NULL, NULL, 0);
	for (size_t i = 0; i < n; i++)
		if (extend(x, &ctx, v[i].nid, v[i].value, e) != 0)
			return -1;
	return X509_sign(x, ca->key, EVP_sha256()) > 0 ? 0 : failed(e);
}

int ca_new(struct ca **ret, struct err *e)
{
	static const struct extension v[] = {
	    {NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
	    {NID_key_usage, "critical,keyCertSign"},
	    {NID_subject_key_identifier, "hash"},
	};
	struct ca *ca SCOPED(ca_freep) = mem_zalloc(sizeof(*ca));
	X509 *x SCOPED(x509_freep) = X509_new();

	ca->key = EVP_EC_gen("P-256");
	ca->leaf = EVP_EC_gen("P-256");
	if (ca->key == NULL || ca->leaf == NULL || x == NULL)
		return failed(e);
	if (certify(x, ca->key, ca, "posmedia proxy of one build step", e) != 0 ||
	    finish(x, ca, v, sizeof(v) / sizeof(v[0]), e) != 0)
		return -1;
	ca->cert = STEAL(x);
	*ret = STEAL(ca);
	return 0;
}

int ca_pem(const struct ca *ca, struct buf *ret, struct err *e)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL;
	long n = 0;

	if (bio != NULL && PEM_write_bio_X509(bio, ca->cert) == 1)
		n = BIO_get_mem_data(bio, &text);
	if (n > 0)
		buf_add(ret, text, (size_t)n);
	BIO_free(bio);
	return n > 0 ? 0 : failed(e);
}

/* "DNS:name" or "IP:address"; a host is a parsed one: it has no comma to go on after. */
static char *alternative(const char *host)
{
	uint8_t address[16];

	if (host[0] == '[')
		return mem_format("IP:%.*s", (int)strlen(host) - 2, host + 1);
	return mem_format("%s:%s", inet_pton(AF_INET, host, address) == 1 ? "IP" : "DNS", host);
}

static int leaf(const struct ca *ca, const char *host, X509 **ret, struct err *e)
{
	char *name SCOPED(mem_freep) = alternative(host);
	const struct extension v[] = {
	    {NID_basic_constraints, "critical,CA:FALSE"},
	    {NID_key_usage, "critical,digitalSignature"},
	    {NID_ext_key_usage, "serverAuth"},
	    {NID_subject_key_identifier, "hash"},
	    {NID_authority_key_identifier, "keyid:always"},
	    {NID_subject_alt_name, name},
	};
	X509 *x SCOPED(x509_freep) = X509_new();

	if (x == NULL)
		return failed(e);
	if (certify(x, ca->leaf, ca, "posmedia proxy", e) != 0 ||
	    finish(x, ca, v, sizeof(v) / sizeof(v[0]), e) != 0)
		return -1;
	*ret = STEAL(x);
	return 0;
}

int ca_context(const struct ca *ca, const char *host, SSL_CTX **ret, struct err *e)
{
	X509 *x SCOPED(x509_freep) = NULL;
	SSL_CTX *ctx;

	if (leaf(ca, host, &x, e) != 0)
		return -1;
	ctx = SSL_CTX_new(TLS_server_method());
	if (ctx == NULL || SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_use_certificate(ctx, x) != 1 || SSL_CTX_use_PrivateKey(ctx, ca->leaf) != 1) {
		SSL_CTX_free(ctx);
		return failed(e);
	}
	(void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	(void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
	*ret = ctx;
	return 0;
}
