/* strays.h - containers that are the site's by their labels and name, or use its files, and that
 * its record does not know. */
#ifndef STAGE_STRAYS_H
#define STAGE_STRAYS_H

#include "stage/parts.h"

/* Whether a container calls itself the site's, and is none of the record's. */
bool stray_is(const struct stage *st, const struct engine_entry *c) MUST_CHECK;

/* Refuses (ERR_BUSY) while a container that is neither the record's nor a stray runs, or is paused,
 * with something at or below the site's directory mounted in it. */
int strays_check(struct stage *st, struct err *e) MUST_CHECK;

/* Stops the strays; removes them. */
int strays_stop(struct stage *st, struct err *e) MUST_CHECK;
int strays_remove(struct stage *st, struct err *e) MUST_CHECK;

#endif
