/* err.h - what went wrong, for whom, and what to do about it.
 *
 * A function that can fail returns 0 or -1 and takes `struct err *e` last.
 * On failure *e is set and every ret_* argument is left as it was; on success
 * *e is left as it was. `e` is never NULL and is never allocated, so reporting
 * an error cannot itself fail.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/mem.h"

enum err_kind {                 /* the process exit status is the kind */
		ERR_FAIL = 1,   /* anything not named below */
		ERR_USAGE = 2,  /* the command line is wrong */
		ERR_RECIPE = 3, /* an input file is wrong; the message has file:line:col */
		ERR_VERIFY = 4, /* a digest, signature, audit or policy check refused the data */
		ERR_REMOTE = 5, /* a registry, bucket or mirror refused or is gone */
		ERR_STEP = 6,   /* a build step exited non-zero */
		ERR_BUSY = 7, /* someone else holds the lock, or the object is in the wrong state */
};

struct err {
	enum err_kind kind;
	int sys;        /* errno, or 0 */
	char msg[1024]; /* outermost context first, always NUL-terminated */
	char hint[256]; /* one imperative sentence, or "" */
};

#define ERR_INIT                                                                                   \
	{                                                                                          \
		.kind = ERR_FAIL                                                                   \
	}

/* Sets *e and clears its hint. Always returns -1, so `return err_set(e, ...)` is the one idiom. */
int err_set(struct err *e, enum err_kind k, const char *fmt, ...) PRINTF(3, 4);

/* Same, from errno, kind ERR_FAIL: the message ends in ": <strerror>". Returns -1. */
int err_sys(struct err *e, const char *fmt, ...) PRINTF(2, 3);

/* Puts context in front of the message already in *e. Returns -1. */
int err_in(struct err *e, const char *fmt, ...) PRINTF(2, 3);

/* Sets what the reader should do next. Returns -1. */
int err_hint(struct err *e, const char *fmt, ...) PRINTF(2, 3);

#endif
