/* signing.h - the key that a verb signs with, and what it brings along. */
#ifndef CLI_SIGNING_H
#define CLI_SIGNING_H

#include "cli/input.h"

#define SIGNING_OPTS {'k', "key", "FILE", "The private key (required)."}, SIGNING_WITH

/* The same without the key. */
#define SIGNING_WITH                                                                               \
	SIGNING_BY,                                                                                \
	    {0, "chain", "FILE.pem", "The key's certificate and its issuers: sign for notation."}, \
	    {0, "tsa-key", "FILE", "Stamp bundles as this time-stamping authority."},              \
	{                                                                                          \
		0, "tsa-cert", "FILE.pem", "Its certificate."                                      \
	}

/* How a key is opened, and nothing that goes with a signature. */
#define SIGNING_BY                                                                                 \
	{0, "passphrase-file", "FILE", "The first line of FILE opens the key."},                   \
	    {0, "signer", "PROGRAM", "This program signs; of the key only FILE.pub is read."},     \
	    {0, "signer-arg", "ARG", "An argument of the signer (may be repeated)."},              \
	{                                                                                          \
		0, "signer-timeout", "SECONDS", "How long the signer may take (default: 60)."      \
	}

struct signing {
	struct sign_key *key;
	struct sign_stamper *stamper;
	struct sign_chain *chain;
};

/* Opens what the options name. signing_release accepts a zeroed struct. */
int signing_open(const struct args *a, struct signing *ret, struct err *e) MUST_CHECK;
void signing_release(struct signing *s);

/* Of an image in a registry: waits until nobody else on this machine is signing with this store,
 * since a registry has no way to add to what another is adding to. It ends with *ret_fd. */
int signing_turn(const struct args *a, int *ret_fd, struct err *e) MUST_CHECK;

#endif
