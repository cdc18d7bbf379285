/* chain.c - a key's certificates, its own first, and requests for one. */
#include "sign/chain.h"

#include "sign/pkey.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

enum { CHAIN_BYTES_MAX = 256 << 10 };

void sign_chain_free(struct sign_chain *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < c->n; i++)
		buf_release(&c->der[i]);
	free(c);
}

void sign_chain_freep(struct sign_chain **c)
{
	sign_chain_free(*c);
	*c = NULL;
}

/* Appends one certificate as DER. */
static int take(struct sign_chain *c, X509 *cert, const char *path, struct err *e)
{
	unsigned char *der = NULL;
	int n = i2d_X509(cert, &der);

	if (c->n == CHAIN_MAX || n <= 0) {
		OPENSSL_free(der);
		return err_set(e, ERR_VERIFY, "%s: more than %d certificates", path, CHAIN_MAX);
	}
	c->der[c->n] = (struct buf)BUF_INIT(CHAIN_BYTES_MAX);
	buf_add(&c->der[c->n++], der, (size_t)n);
	OPENSSL_free(der);
	return 0;
}

/* The first certificate must be the key's: nobody could verify a signature with another. */
static int is_of(X509 *cert, const struct sign_public *k)
{
	int same = X509_get0_pubkey(cert) != NULL && EVP_PKEY_eq(X509_get0_pubkey(cert), k->pkey);

	ERR_clear_error();
	return same == 1;
}

static int read_all(BIO *in, const struct sign_public *k, const char *path, struct sign_chain *c,
		    struct err *e)
{
	X509 *cert;

	while ((cert = PEM_read_bio_X509(in, NULL, NULL, NULL)) != NULL) {
		int rc = 0;

		if (c->n == 0 && !is_of(cert, k)) {
			rc = err_set(e, ERR_VERIFY, "%s: the first certificate is not the key's",
				     path);
			(void)err_hint(e, "put the key's own first, and its issuers after it");
		}
		if (rc == 0)
			rc = take(c, cert, path, e);
		X509_free(cert);
		if (rc != 0)
			return -1;
	}
	ERR_clear_error();
	return c->n > 0 ? 0 : err_set(e, ERR_VERIFY, "%s: no certificate", path);
}

int sign_chain_load(const char *path, const struct sign_public *k, struct sign_chain **ret,
		    struct err *e)
{
	struct sign_chain *c SCOPED(sign_chain_freep) = mem_zalloc(sizeof(*c));
	struct buf b SCOPED(buf_release) = BUF_INIT(CHAIN_BYTES_MAX);
	BIO *in;
	int rc;

	if (fs_get_file(AT_FDCWD, path, &b, e) != 0)
		return err_in(e, "certificates");
	in = BIO_new_mem_buf(b.data, (int)b.len);
	rc = in == NULL ? ssl_err(e, ERR_FAIL, "%s", path) : read_all(in, k, path, c, e);
	BIO_free(in);
	if (rc != 0)
		return -1;
	*ret = STEAL(c);
	return 0;
}
