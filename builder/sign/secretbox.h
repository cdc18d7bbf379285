/* secretbox.h - NaCl's secretbox, XSalsa20 and Poly1305, which cosign's key files use and OpenSSL
 * has only the latter half of; for the files of sign/ only. */
#ifndef SIGN_SECRETBOX_H
#define SIGN_SECRETBOX_H

#include "base/buf.h"
#include "base/err.h"
#include <stdint.h>

enum { BOX_KEY_BYTES = 32, BOX_NONCE_BYTES = 24, BOX_TAG_BYTES = 16 };

/* Appends tag and ciphertext. */
int secretbox_seal(const uint8_t key[BOX_KEY_BYTES], const uint8_t nonce[BOX_NONCE_BYTES],
		   const struct buf *plain, struct buf *ret, struct err *e) MUST_CHECK;

/* Appends what was sealed; a wrong key or a changed byte is ERR_VERIFY. */
int secretbox_open(const uint8_t key[BOX_KEY_BYTES], const uint8_t nonce[BOX_NONCE_BYTES],
		   const struct buf *box, struct buf *ret, struct err *e) MUST_CHECK;

#endif
