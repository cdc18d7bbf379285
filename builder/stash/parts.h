/* parts.h - what the files of stash/ share. */
#ifndef STASH_PARTS_H
#define STASH_PARTS_H

#include "base/map.h"
#include "base/strv.h"
#include "remote/artifact.h"
#include "remote/s3.h"
#include "stash/stash.h"
#include <sys/types.h>

/* A claim that somebody has, as it was first seen like that. */
struct seen_claim {
	char etag[128];
	uint64_t since_ms;
};

struct stash {
	struct stash_opts o;
	char *name; /* of the place, for people */
	struct registry r;
	bool opened;
	bool down; /* it could not be reached */
	char *scratch;
	struct oci_layout *l;
	struct digest own;    /* the key that signs here */
	struct strv rejected; /* no good: an entry each, name and digest of its record */
	char *got;            /* the entry that stash_get gave last, likewise; or NULL */
	bool warned;          /* that there are no claims */
	char *claim;          /* the URL of the one that is held; or NULL */
	struct stash_claim held;
	pid_t renews;        /* the process that does; 0 = none */
	struct digest waits; /* for this key, */
	uint64_t waits_ms;   /* since then; 0 = for none */
	struct seen_claim other;
};

/* Opens the place the first time; false when it cannot be used. */
bool stash_ready(struct stash *c);

/* Warns of trouble with the place, which is not asked again when it cannot be reached. */
void stash_trouble(struct stash *c, const char *what, const struct err *why);

#endif
