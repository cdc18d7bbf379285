/* stage.h - an image and a site file to an instance that runs. See posmedia-stage(1).
 *
 * Each pair of image and site is a generation, a container of its own; data stays where it is. The
 * record of a site says which generation runs, which ran before, and which is being made; it is
 * replaced by one rename, so that a kill leaves the one or the other. */
#ifndef STAGE_STAGE_H
#define STAGE_STAGE_H

#include "engine/engine.h"
#include "oci/oci.h"
#include "site/site.h"

struct stage_opts {
	const char *state;   /* "/srv/pos": SHOP/ENV below it is the site's */
	const char *runtime; /* "/run/posmedia": secrets, gone with a reboot */
	const char *socket;  /* of the engine */
	const char *seccomp; /* recipes/hosts/seccomp.yaml */
	const char *ledger;  /* where starts and ends are noted; NULL = nowhere */
	bool dry_run;        /* change nothing */
	/* Called just before an instance is given the site's address, and makes who has it give it
	 * up: the network is not asked, which takes two seconds. NULL = it is asked. */
	int (*free_address)(void *ctx, struct err *e);
	void *ctx;
};

struct stage_image {
	struct oci_layout *layout;
	struct oci_desc manifest;
	const char *identity; /* HOST/REPO:TAG */
};

struct stage_outcome {
	char *container;
	struct digest generation, manifest, config;
	bool changed;
	bool unnoted;    /* something of it is not in the ledger: a warning said why */
	struct strv did; /* one line each, in order; of a dry run, what would be done */
};

/* Verifies the image under the site's policy, at the stage of its environment, and brings it to
 * run: what is there already and runs is left alone. When the new instance does not get well, the
 * one before runs again, and the error says so. Another one at work is ERR_BUSY. */
int stage_run(const struct site *s, const struct stage_image *i, const struct stage_opts *o,
	      struct stage_outcome *ret, struct err *e) MUST_CHECK;

/* Goes back to the instance before, which then is the one to come back from. When the site's policy
 * has no rule for its image any more it is ERR_VERIFY. */
int stage_rollback(const struct site *s, const struct stage_opts *o, struct stage_outcome *ret,
		   struct err *e) MUST_CHECK;

/* Tells the ledger what processes that died, or nobody, has told of the sites below the state, as
 * the next verb of each of them would; of those that are at work nothing. *ret_open: of how many
 * instances that cannot be said, since the engine does not answer. */
int stage_settle_all(const struct stage_opts *o, size_t *ret_open, struct err *e) MUST_CHECK;

/* Accepts a zeroed struct. */
void stage_outcome_release(struct stage_outcome *r);

#endif
