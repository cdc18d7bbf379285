/* payload.h - reading what a signature says; for the files of sign/ only. */
#ifndef SIGN_PAYLOAD_H
#define SIGN_PAYLOAD_H

#include "sign/sign.h"

struct payload {
	const char *p;
	size_t n;
};

/* Checks all of a payload but whom it is for, and gives that; the caller owns *ret_identity. */
int payload_open(enum sign_form form, const struct payload *payload, const struct digest *manifest,
		 char **ret_identity, struct err *e) MUST_CHECK;

#endif
