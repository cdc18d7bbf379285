/* payload.h - reading what a signature says; for the files of sign/ only. */
#ifndef SIGN_PAYLOAD_H
#define SIGN_PAYLOAD_H

#include "sign/sign.h"

struct payload {
	const char *p;
	size_t n;
};

/* Whom it is for, which the caller releases, and when it was made: as the signer says (0: he does
 * not), and as an authority says that stamped it. */
struct payload_said {
	char *identity;
	int64_t time, stamped;
};
void payload_said_release(struct payload_said *s);

/* Checks all of a payload but what it gives. */
int payload_open(enum sign_form form, const struct payload *payload, const struct digest *manifest,
		 struct payload_said *ret, struct err *e) MUST_CHECK;

#endif
