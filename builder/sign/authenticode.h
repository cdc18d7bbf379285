/* authenticode.h - signatures of programs for UEFI, which firmware checks when Secure Boot is on
 * (Microsoft's Authenticode; UEFI specification, 32.2). By a key and a certificate of one's own. */
#ifndef SIGN_AUTHENTICODE_H
#define SIGN_AUTHENTICODE_H

#include "base/err.h"
#include <stdint.h>

struct authenticode;

/* Reads a private key (PKCS#8; its passphrase or NULL) and its certificate (PEM; others behind it
 * go with it). RSA of 2048 bits or more: firmware takes no other. Who else may read the key is as
 * sign_key_load has it. ERR_VERIFY. */
struct authenticode_files {
	const char *key, *cert, *passphrase;
};
int authenticode_open(const struct authenticode_files *f, struct authenticode **ret,
		      struct err *e) MUST_CHECK;
/* Wipes; NULL is fine. */
void authenticode_free(struct authenticode *a);
void authenticode_freep(struct authenticode **a);

/* Signs a program that has no signature, open for reading and writing. The same program, key and
 * time (seconds) give the same bytes. */
int authenticode_sign(const struct authenticode *a, int fd, int64_t time, struct err *e) MUST_CHECK;

#endif
