/* caching.h - stages that machines share, as options say where they are and whom to believe. */
#ifndef CLI_CACHING_H
#define CLI_CACHING_H

#include "cli/input.h"
#include "stash/stash.h"

#define CACHING_OPTS                                                                               \
	{0, "cache", "PLACE", "Share stages with other machines: docker://... or s3://..."},       \
	    {0, "cache-pub", "FILE", "Use those that this key signed (may be repeated)."},         \
	    {0, "cache-key", "FILE", "Sign those made here with this private key, and put them."}, \
	    {0, "cache-passphrase-file", "FILE", "The first line of FILE opens that key."},        \
	{                                                                                          \
		0, "cache-lease", "SECONDS", "When a dead machine's claim ends (default: 60)."     \
	}

struct caching {
	const struct args *args;
	struct ref at;
	struct keys keys;
	struct stash_opts opts;
	const struct stash_opts *wanted; /* lent as long as the struct lies where it is; NULL when
					    nothing is shared */
};

/* Reads them; caching_release accepts a zeroed struct. */
int caching_read(const struct args *a, struct caching *ret, struct err *e) MUST_CHECK;
void caching_release(struct caching *c);

#endif
