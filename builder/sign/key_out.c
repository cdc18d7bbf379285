/* key_out.c - a key as others want it: PKCS#8, an OpenPGP keyring, a certificate request. */
#include "sign/pkey.h"

#include "sign/openpgp.h"
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>

static void req_freep(X509_REQ **r)
{
	X509_REQ_free(*r);
}

static void bio_freep(BIO **b)
{
	BIO_free(*b);
}

/* Adds one NAME=VALUE of a subject. */
static int add_part(X509_NAME *name, const char *p, size_t n, struct err *e)
{
	char *part SCOPED(mem_freep) = mem_strndup(p, n);
	char *value = strchr(part, '=');

	if (value == NULL)
		return err_set(e, ERR_USAGE, "subject: \"%s\" is not NAME=VALUE", part);
	*value++ = '\0';
	if (X509_NAME_add_entry_by_txt(name, part, MBSTRING_UTF8, (const unsigned char *)value, -1,
				       -1, 0) == 1)
		return 0;
	return ssl_err(e, ERR_USAGE, "subject: %s=%s", part, value);
}

/* "C=DE,O=Example,CN=release"; no part may be empty. */
static int set_subject(X509_REQ *r, const char *subject, struct err *e)
{
	X509_NAME *name = X509_REQ_get_subject_name(r);

	for (const char *p = subject;;) {
		size_t n = strcspn(p, ",");

		if (add_part(name, p, n, e) != 0)
			return -1;
		if (p[n] == '\0')
			return 0;
		p += n + 1;
	}
}

int sign_key_request(const struct sign_key *k, const char *subject, struct buf *ret, struct err *e)
{
	X509_REQ *r SCOPED(req_freep) = X509_REQ_new();
	BIO *out SCOPED(bio_freep) = BIO_new(BIO_s_mem());
	char *data;
	long n;

	if (k->pkey == NULL)
		return err_set(e, ERR_USAGE, "a request wants the key itself");
	if (r == NULL || out == NULL || X509_REQ_set_pubkey(r, k->pkey) != 1)
		return ssl_err(e, ERR_FAIL, "certificate request");
	if (set_subject(r, subject, e) != 0)
		return -1;
	if (X509_REQ_sign(r, k->pkey, EVP_sha256()) <= 0 || PEM_write_bio_X509_REQ(out, r) != 1)
		return ssl_err(e, ERR_FAIL, "certificate request");
	n = BIO_get_mem_data(out, &data);
	buf_add(ret, data, (size_t)n);
	return 0;
}

int sign_key_keyring(const struct sign_key *k, const char *uid, struct buf *ret, struct err *e)
{
	return openpgp_keyring(k, uid, ret, e);
}
