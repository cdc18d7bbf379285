/* aside.h - a function that runs in a child process beside what its caller does meanwhile. */
#ifndef SYS_ASIDE_H
#define SYS_ASIDE_H

#include "base/err.h"
#include <stddef.h>
#include <sys/types.h>

struct aside {
	pid_t pid;         /* 0 = nothing runs */
	struct err *error; /* shared with the child */
};

/* Starts fn(arg) in a copy of this process, which must have no other thread; it dies with it. What
 * fn changes in memory stays there. *ret is not to be moved. */
int aside_start(int (*fn)(void *arg, struct err *e), void *arg, struct aside *ret,
		struct err *e) MUST_CHECK;

/* Waits for it, and gives what fn returned, and its error. A signal that this process got is passed
 * on. Without a child: 0. */
int aside_join(struct aside *a, struct err *e) MUST_CHECK;

/* Kills it, if it still runs. */
void aside_stop(struct aside *a);

/* Starts fn(arg) in a copy of this process that outlives it, in a session of its own and without
 * its descriptors and standard streams, but for those of keep, which have the same numbers there:
 * at least 3. */
int aside_outlive(int (*fn)(void *arg), void *arg, const int *keep, size_t keep_n,
		  struct err *e) MUST_CHECK;

#endif
