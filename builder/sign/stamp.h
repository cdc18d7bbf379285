/* stamp.h - RFC 3161 time stamps by an authority of one's own, without a server: its key signs
 * here. They say that a signature is not younger than the stamp, so that the end of a key's time
 * means something. */
#ifndef SIGN_STAMP_H
#define SIGN_STAMP_H

#include "sign/sign.h"

/* Stamps bytes (a raw signature): a TimeStampResp in DER. */
int stamp_make(const struct sign_stamper *s, const struct buf *bytes, struct buf *ret,
	       struct err *e) MUST_CHECK;

/* Checks a stamp of bytes by the authority and gives its time in seconds. ERR_VERIFY otherwise. */
int stamp_check(const struct sign_authority *a, const struct buf *token, const struct buf *bytes,
		int64_t *ret, struct err *e) MUST_CHECK;

#endif
