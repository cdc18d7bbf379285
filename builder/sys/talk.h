/* talk.h - a program that we send lines to and hear lines from, as long as both want. */
#ifndef SYS_TALK_H
#define SYS_TALK_H

#include "base/buf.h"
#include "base/err.h"
#include <stdint.h>
#include <sys/types.h>

struct talk {
	pid_t pid;        /* 0 = none */
	int in, out, err; /* its standard input, output and error */
	struct buf heard; /* what has come and was not given yet */
	struct buf said;  /* the beginning of what it said on standard error */
};
#define TALK_INIT                                                                                  \
	((struct talk){.in = -1, .out = -1, .err = -1, .heard = BUF_INIT(0), .said = BUF_INIT(0)})

/* Starts argv, NULL-terminated and looked up in PATH, with the environment that proc_run gives. It
 * sees the end of its input when we end. line_max: how long a line may be. *ret is TALK_INIT. */
int talk_start(const char *const *argv, size_t line_max, struct talk *ret,
	       struct err *e) MUST_CHECK;

/* Sends all n bytes within so many milliseconds. SIGPIPE is to be ignored (intr_install).
 * ERR_REMOTE when it does not take them. */
int talk_send(struct talk *t, const void *p, size_t n, uint64_t within_ms,
	      struct err *e) MUST_CHECK;

/* Waits for a line, and gives it without its end; the caller owns it. ERR_REMOTE when the program
 * has ended, with what it said; when there is none in time; when it is too long, or has a NUL. */
int talk_line(struct talk *t, uint64_t within_ms, char **ret, struct err *e) MUST_CHECK;

/* Closes both ends and ends it: asked by the end of its input, and after a second killed. Accepts
 * TALK_INIT. */
void talk_end(struct talk *t);

#endif
