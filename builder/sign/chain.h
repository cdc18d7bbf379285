/* chain.h - certificates; for the files of sign/ only. */
#ifndef SIGN_CHAIN_H
#define SIGN_CHAIN_H

#include "sign/sign.h"

enum { CHAIN_MAX = 8 };

struct sign_chain {
	struct buf der[CHAIN_MAX]; /* the key's own first */
	size_t n;
};

#endif
