/* lock.h - one holder at a time, by flock(2): a dead holder's lock is free when those that it
 * forked are dead too. */
#ifndef SYS_LOCK_H
#define SYS_LOCK_H

#include "base/err.h"
#include <stdint.h>

/* Takes dirfd/name (made if absent, mode 0600). Held by someone else: kind ERR_BUSY, with the
 * holder's process id in the message. The lock ends when *ret_fd is closed. */
int lock_take(int dirfd, const char *name, int *ret_fd, struct err *e) MUST_CHECK;

/* The same, and waits for so long for another holder. */
int lock_wait(int dirfd, const char *name, uint64_t ms, int *ret_fd, struct err *e) MUST_CHECK;

/* The same, and waits for so long for what a dead holder forked: that dies with it, but not at
 * once. For what is never taken by lock_share, which leaves no process id. */
int lock_inherit(int dirfd, const char *name, uint64_t ms, int *ret_fd, struct err *e) MUST_CHECK;

/* Takes dirfd/name together with any number of other sharers. Held by lock_take: ERR_BUSY. */
int lock_share(int dirfd, const char *name, int *ret_fd, struct err *e) MUST_CHECK;

/* Whether somebody holds dirfd/name by lock_take: its process id, as it left it there, or INT_MAX
 * when it did not; 0 when nobody does, or there is none. Takes it for a moment, shared. */
int lock_holder(int dirfd, const char *name);

#endif
