/* update_look.h - what an update shall put where, and whether that goes. */
#ifndef MEDIA_UPDATE_LOOK_H
#define MEDIA_UPDATE_LOOK_H

#include "media/update.h"

/* Of the medium: */
struct update_new {
	const struct medium *m;
	const struct update_source *from;
	const struct update_opts *o;
	const struct medium_part *state, *part[SLOT_PARTS]; /* borrowed */
	struct slot_record record;
	uint64_t hashes_size;        /* bytes of the file of the root's hashes */
	char *hashes;                /* that file */
	uint64_t fetched;            /* bytes that came from the medium */
	const struct digest *leaves; /* in it: of each block of the root */
};

/* Reads what the medium says of its system and the hashes of its root, each checked, and looks
 * whether the slot can take them. The caller releases *ret, also of a failure. */
int update_look(struct update_new *n, const struct slots *s, struct err *e) MUST_CHECK;
void update_new_release(struct update_new *n);

/* n bytes of the medium, not checked. */
int update_fetch(struct update_new *n, uint64_t at, void *p, size_t size, struct err *e) MUST_CHECK;

/* A whole block of it, checked, of MEDIUM_BLOCK bytes: those behind its end are zeros. */
int update_block(struct update_new *n, size_t block, char *ret, struct err *e) MUST_CHECK;

#endif
