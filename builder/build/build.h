/* build.h - the upper line of the design: recipe and lock to an image in a layout.
 *
 * The tree grows in stages, each an overlay directory named by its key (plan/plan.h): packages,
 * users, one stage a step, and configuration (overlays, services, hardening, seal). Steps see
 * packages and users; overlays lie over what steps made. The image is packed from the merged view
 * by our own index of it. */
#ifndef BUILD_BUILD_H
#define BUILD_BUILD_H

#include "base/strv.h"
#include "oci/oci.h"
#include "plan/plan.h"
#include "stash/stash.h"

struct build_opts {
	const char *layout; /* directory of the layout; its parent must exist */
	const char *tag;
	bool no_cache;         /* run every stage, whatever is there */
	const char *record;    /* a step that records anew, whatever the lock has of it; implies
				  no_cache; or NULL */
	unsigned threads;      /* for packing; 0 = processors online */
	unsigned parallel;     /* transfers at once; 0 = the default of fetch_all */
	struct strv secrets;   /* NAME=FILE: what steps may read */
	struct strv recapture; /* names of capturing steps that are run anew, whatever is kept */
	const struct stash_opts *cache;        /* what other machines share; NULL = nothing */
	const struct oci_layout *delta_layout; /* with delta_from: where that image is */
	const struct oci_desc *delta_from;     /* add one layer to this image; NULL = a whole one */
};

struct build_result {
	struct digest manifest;
	uint64_t manifest_size;
	uint64_t layers_size; /* compressed, all together */
	size_t layers;
	struct jval *table; /* [{"name","entries","bytes","why"}] */
	size_t stages_run, stages_cached;
	size_t stages_shared;  /* of the cached: made by another machine */
	bool up_to_date;       /* nothing ran; the image was there */
	struct jval *recorded; /* what steps fetched, as posmedia-lock(5) has it; the caller's */
	bool unlocked;         /* some of it is not in the lock yet */
};

/* Builds. One builder per layout at a time (ERR_BUSY). Nothing appears under the layout before
 * the image is whole and checked; a failure or an interrupt leaves it as it was. Missing packages
 * that no mirror has any more are ERR_REMOTE and named, with the hint to lock anew. The caller
 * releases *ret. */
void build_result_release(struct build_result *r);
int build(const struct recipe *r, const struct lock *l, struct store *s, const struct build_opts *o,
	  struct build_result *ret, struct err *e) MUST_CHECK;

#endif
