/* site.h - what the files of a site's restore share. */
#ifndef RESTORE_SITE_H
#define RESTORE_SITE_H

#include "restore/exchange.h"
#include "restore/instance.h"
#include "restore/survey.h"

/* One directory of the site. */
struct restoring_data {
	const struct site_data *d;
	const char *at; /* where the machine that it comes from has it */
	char *below;    /* in the source */
	char *memory;   /* name of what is known of its blocks */
	char *seen;     /* and of what was read of the source */
	int fd;         /* new/NAME */
	struct restore_filter *filter;
	struct source_tree tree;
	struct apply_result did; /* of all passes */
	struct digest root;
	uint64_t fixed; /* differences that the fixers made, and what is then */
	struct digest fixed_root;
};

struct restoring {
	const struct site *s;
	const struct stage_opts *so;
	const struct restore_opts *o;
	char *dir, *own, *work; /* STATE/SHOP/ENV, .posmedia in it, restore in that */
	struct restore_places p;
	int lock; /* one restore of a site at a time */
	struct restore_record r;
	struct source src;
	struct source_help help;
	struct site_source secret;
	struct sign_public *keys[SITE_SIGNERS_MAX]; /* by one of which a snapshot must be signed */
	struct sign_wanted signers;
	struct restore_filter *fetch;
	struct survey survey;         /* of the last pass */
	struct manifest_names *names; /* of the instance */
	struct digest generation;     /* which that was */
	struct restoring_data *v;
	size_t n;
	struct restoring_data *fresh[SITE_DATA_MAX]; /* by the site's order */
	struct strv absent, fixers;
	struct stage st; /* with its lock, from the verified tree on */
	unsigned passes;
	uint64_t warm_ms, last_ms, verify_ms, fix_ms, outage_ms;
	uint64_t prove_ms;
	uint64_t differences;
	bool verified;      /* by this call */
	struct jval *ended; /* the report of an end */
	bool stays_stopped;
};
#define RESTORING_INIT(site, stage_o, restore_o)                                                   \
	{                                                                                          \
		.s = (site), .so = (stage_o), .o = (restore_o), .p = {-1, -1, -1, NULL},           \
		.lock = -1, .src = SOURCE_INIT,                                                    \
		.st = {.ownfd = -1,                                                                \
		       .lock = -1 }                                                                \
	}
void restoring_release(struct restoring *x);

/* Opens the site's places, takes the restore's lock and reads the record. Nothing staged is
 * ERR_BUSY. */
int restoring_open(struct restoring *x, struct err *e) MUST_CHECK;

/* Warm, and unless that is all that is wanted, the last pass. */
int restoring_fill(struct restoring *x, struct err *e) MUST_CHECK;

/* Verifies, fixes, and exchanges. */
int restoring_switch(struct restoring *x, struct err *e) MUST_CHECK;

/* Stops, exchanges, starts; what does not get well is exchanged back. Goes on where a kill left it.
 */
int restoring_exchange(struct restoring *x, struct err *e) MUST_CHECK;

/* Finishes what a kill left in the middle, so that the record says filling, restored or nothing. */
int restoring_recover(struct restoring *x, struct err *e) MUST_CHECK;

#endif
