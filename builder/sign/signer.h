/* signer.h - another program that signs, for keys that cannot be read: it is given a digest and
 * gives a signature. See posmedia-signatures(7). */
#ifndef SIGN_SIGNER_H
#define SIGN_SIGNER_H

#include "sign/pkey.h"

struct signer;
void signer_free(struct signer *s);

/* Runs it once. What it gives counts only when it is a signature by the key: a crash, a hang past
 * its time and garbage are ERR_FAIL. */
int signer_sign(const struct signer *s, const struct sign_public *key, const struct digest *d,
		struct buf *ret_der, struct err *e) MUST_CHECK;

#endif
