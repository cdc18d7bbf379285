/* detached.h - a program that goes on when we end: in a session of its own, so that neither a key
 * nor the loss of a terminal reaches it, and with files that cannot be full or closed. */
#ifndef SYS_DETACHED_H
#define SYS_DETACHED_H

#include "base/err.h"
#include "sys/proc.h"

struct detached {
	pid_t pid; /* 0 = nothing was started */
	int out;   /* what it says, a file in memory: read with pread(2); -1 = none */
	int err;   /* the same of standard error; -1 = it goes to `out` too */
	bool ended;
	struct proc_result result; /* when it has ended */
};
#define DETACHED_INIT ((struct detached){.out = -1, .err = -1})

/* Starts argv[0], an absolute path, with our environment and without input; together: what it says
 * on standard error goes where the rest goes, in order. */
int detached_start(const struct strv *argv, bool together, struct detached *ret,
		   struct err *e) MUST_CHECK;

/* Whether it has ended; asks without waiting. */
bool detached_ended(struct detached *d);

/* Forgets it: what still runs goes on. Accepts DETACHED_INIT. */
void detached_release(struct detached *d);

#endif
