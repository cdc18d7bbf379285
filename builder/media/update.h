/* update.h - a new system into the slot that is not used, from a medium that was made for two. */
#ifndef MEDIA_UPDATE_H
#define MEDIA_UPDATE_H

#include "media/medium.h"
#include "media/slots.h"

/* Where bytes of the medium come from. */
struct update_source {
	/* Reads n bytes from byte `at` on, or fails. */
	int (*read)(void *ctx, uint64_t at, void *p, size_t n, struct err *e);
	void *ctx;
};

struct update_opts {
	bool again;        /* also one that has failed here */
	bool older;        /* also one whose image was made before that of the good one */
	bool other;        /* also one of another name */
	uint64_t until_ms; /* nothing is fetched from that moment of clock_mono_ms on */
};

struct update_result {
	struct digest image; /* of the new system */
	int slot;            /* where it is */
	bool same;           /* nothing was to be done: it is good, or is tried next */
	bool dropped;        /* it is good, and the other one was to be tried */
	uint64_t copied;     /* bytes that the running slot had */
	uint64_t kept;       /* that the other slot had, where they belong */
	uint64_t fetched;
};

/* Writes the system of the medium, whose signature was checked, into the slot that is not
 * `s->s.good`, reads it back, and lets it be tried at the next start. Until then, whatever happens,
 * the disk starts as it did: what the slot is called is taken back before its bytes change, and
 * given to it when they are on the disk. Nothing is written that is not by its hash what the medium
 * says.
 *
 * A system is there already when its root and its kernel with the arguments are; the good one is
 * then what starts next.
 *
 * ERR_USAGE for a medium with one root, ERR_VERIFY for other bytes than it says, or ones that the
 * disk has not kept, for a system that has failed here, is older or another; ERR_RECIPE when it
 * does not fit; ERR_REMOTE when it takes too long. */
int update_run(const struct update_opts *o, const struct medium *m,
	       const struct update_source *from, struct slots *s, struct update_result *ret,
	       struct err *e) MUST_CHECK;

#endif
