/* guard.h - a child that acts when this process dies in the middle of something. */
#ifndef SYS_GUARD_H
#define SYS_GUARD_H

#include "base/err.h"
#include <sys/types.h>

struct guard {
	pid_t pid; /* 0 = there is none */
	int alive; /* the child sees when it is closed */
};

/* From now on, when this process ends in whatever way before guard_done, fn(arg) runs in a copy of
 * it as it is now, which must have no other thread. Locks by flock(2) stay held until fn is done.
 */
int guard_start(void (*fn)(void *arg), void *arg, struct guard *ret, struct err *e) MUST_CHECK;

/* All is well: the child goes. Accepts a zeroed struct. */
void guard_done(struct guard *g);

#endif
