/* priv.h - what the files of sandbox/ share: descriptors, capabilities, filters, messages. */
#ifndef SANDBOX_PRIV_H
#define SANDBOX_PRIV_H

#include "base/err.h"
#include "sandbox/sandbox.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Whether this process has capability `cap` in its user namespace. */
bool caps_have(unsigned cap);

/* Takes everything but the capabilities in `keep` (bits) from the bounding, permitted, effective,
 * inheritable and ambient sets. */
int caps_limit(uint64_t keep, struct err *e) MUST_CHECK;

/* What a worker keeps, and what a program on a root tree keeps. */
#define CAPS_WORKER                                                                                \
	(CAPS_BIT(CAP_CHOWN) | CAPS_BIT(CAP_DAC_OVERRIDE) | CAPS_BIT(CAP_FOWNER) |                 \
	 CAPS_BIT(CAP_FSETID) | CAPS_BIT(CAP_SETFCAP))
#define CAPS_RUN                                                                                   \
	(CAPS_WORKER | CAPS_BIT(CAP_KILL) | CAPS_BIT(CAP_SETGID) | CAPS_BIT(CAP_SETUID) |          \
	 CAPS_BIT(CAP_SETPCAP) | CAPS_BIT(CAP_NET_BIND_SERVICE) | CAPS_BIT(CAP_SYS_CHROOT))
#define CAPS_BIT(cap) (UINT64_C(1) << (cap))

/* Set no_new_privs and load the filter: all that is not on a short list is refused. */
int filter_worker(struct err *e) MUST_CHECK;

/* Lowers a resource limit (setrlimit) to `max`; one that is lower already stays. */
int limit_lower(int resource, uint64_t max, struct err *e) MUST_CHECK;

/* Makes every mount of this (new) mount namespace private. */
int mounts_private(struct err *e) MUST_CHECK;

/* Makes the directory tree `root` (NULL: an empty read-only one) this process's "/" and leaves no
 * way to the old one. Wants a mount namespace of our own with private mounts. */
int mounts_pivot(const char *root, struct err *e) MUST_CHECK;

/* Writes *e to a pipe, whole. */
void report_send(int fd, const struct err *e);

/* Takes an error from the pipe. Returns 1, or 0 when there is none; what a hostile writer made of
 * it is brought into form: known kind, terminated, no control characters. */
int report_take(int fd, struct err *ret);

#endif
