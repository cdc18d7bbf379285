/* notation_certs.h - the certificates of a Notary Project signature; for the files of sign/ only.
 */
#ifndef SIGN_NOTATION_CERTS_H
#define SIGN_NOTATION_CERTS_H

#include "form/json.h"
#include "sign/notation.h"
#include <openssl/x509.h>

/* Reads "x5c", checks what each certificate may be used for and that they lead to a root at w->now;
 * *ret is the signer's, to be freed with X509_free. ERR_VERIFY otherwise. */
int certs_check(const struct jval *x5c, const struct notation_wanted *w, X509 **ret,
		struct err *e) MUST_CHECK;

/* Whether the certificate was good at a time, seconds. */
bool certs_good_at(const X509 *cert, int64_t time);

/* Whether its subject has each NAME=VALUE. */
bool certs_named(const X509 *cert, const char *subject);

/* "CN=release, O=Example"; the caller owns it. */
char *certs_name(const X509 *cert) MUST_CHECK;

#endif
