/* proc.h - run a program: an argument vector, no shell, no inherited environment or descriptors. */
#ifndef SYS_PROC_H
#define SYS_PROC_H

#include "base/buf.h"
#include "base/err.h"
#include "base/strv.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct proc_spec {
	const char *const *argv; /* NULL-terminated; argv[0] is looked up in PATH of `env` */
	const char *const *env; /* NULL-terminated NAME=VALUE; NULL = PATH, LC_ALL=C, TZ=UTC only */
	const char *cwd;        /* NULL = ours */
	const void *input;      /* bytes for standard input; NULL = /dev/null */
	size_t input_len;
	struct buf *out;     /* captures standard output up to its max; NULL = /dev/null */
	struct buf *err;     /* captures standard error; may equal out; NULL = /dev/null */
	int out_fd;          /* > 0: standard output goes there instead of `out` */
	int err_fd;          /* > 0: standard error goes there instead of `err` */
	uint64_t timeout_ms; /* 0 = none; past it the process group is killed */
};

struct proc_result {
	int status;     /* exit status, or -1 when killed by a signal */
	int signal;     /* the signal, or 0 */
	bool timed_out; /* it was killed by the timeout */
};

/* Runs to the end. Returns 0 when the program was started and ended by itself or by the timeout
 * (see *ret), -1 when it could not be started or an interrupt came (kind ERR_FAIL; a missing
 * program is named). The child dies with us; its process group too, but when we are killed
 * outright. Giving input wants SIGPIPE ignored (intr_install). */
int proc_run(const struct proc_spec *spec, struct proc_result *ret, struct err *e) MUST_CHECK;

/* proc_run, and any end but exit status 0 is an error: "NAME: exit 2: <last lines of stderr>",
 * of the given kind. */
int proc_ok(const struct proc_spec *spec, enum err_kind kind, struct err *e) MUST_CHECK;

/* In a child before exec: every signal does what it does by default, and none is blocked. */
void proc_plain_signals(void);

/* The parent of a process, whose id is in text as /proc has it; 0 when it is gone. */
pid_t proc_parent(const char *pid);

/* Whether a program of this name is in the default PATH. */
bool proc_has(const char *name) MUST_CHECK;

#endif
