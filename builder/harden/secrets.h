/* secrets.h - what no image may carry, found by name and by content. */
#ifndef HARDEN_SECRETS_H
#define HARDEN_SECRETS_H

#include "harden/facts.h"

enum secret_kind {
	SECRET_HOST_KEY = 1 << 0,    /* ssh host keys */
	SECRET_IDENTITY = 1 << 1,    /* machine-id, random seeds, snake-oil certificates */
	SECRET_PRIVATE_KEY = 1 << 2, /* private keys and key stores, by name and content */
	SECRET_TRUST = 1 << 3,       /* who may come in without a password */
	SECRET_CREDENTIAL = 1 << 4,  /* what programs keep to identify themselves */
	SECRET_HASH = 1 << 5,        /* password hashes */
	SECRET_ALL = (1 << 6) - 1,
};

struct secret {
	char *path;
	const char *what;
	enum secret_kind kind;
};

struct secrets {
	struct secret *v;
	size_t n;
};

/* Looks for the kinds (bits of enum secret_kind) in every file of the tree; reads at most the
 * first 64 KiB of what looks like text. */
int secrets_find(int rootfd, struct facts *f, unsigned kinds, struct secrets *ret,
		 struct err *e) MUST_CHECK;
void secrets_release(struct secrets *s);

/* What the name of a file gives away, in words; NULL for nothing. */
const char *secret_named(const char *path, enum secret_kind *ret);

/* Whether a path is one of passwd(5), shadow(5) and their kin, or of the files that hold a secret
 * a line. */
bool secret_is_accounts(const char *path);
bool secret_is_list(const char *path);

#endif
