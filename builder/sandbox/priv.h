/* priv.h - what the files of sandbox/ share: descriptors, capabilities, filters, messages. */
#ifndef SANDBOX_PRIV_H
#define SANDBOX_PRIV_H

#include "base/err.h"
#include "base/strv.h"
#include "sandbox/sandbox.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Processes at once in a sandbox, unless its spec says otherwise. */
enum { SANDBOX_PROCESSES = 4096 };

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

/* The same for a program on a root tree: known calls are allowed but for those that manage the
 * machine; no_sync and bits_32 as in struct sandbox_spec. */
int filter_run(bool no_sync, bool bits_32, struct err *e) MUST_CHECK;

/* Makes ready what filter_run loads, for this process and its children. */
int filter_prepare(bool no_sync, bool bits_32, struct err *e) MUST_CHECK;

/* Closes what this process has open but for the n descriptors of `keep`, which become 3, 4, ... The
 * other makes the standard streams /dev/null. */
int descriptors_keep(int *const *keep, size_t n, struct err *e) MUST_CHECK;
int descriptors_null(struct err *e) MUST_CHECK;

/* Lowers a resource limit (setrlimit) to `max`; one that is lower already stays. */
int limit_lower(int resource, uint64_t max, struct err *e) MUST_CHECK;

/* An error (ERR_STEP) when this process namespace holds more processes or memory than the spec
 * allows: the limits that the kernel has do not hold for the machine's root before Linux 6.14, or
 * are those of one process. And the error that says which processes are left. */
int watch_limits(const struct sandbox_spec *s, struct err *e) MUST_CHECK;
int watch_left(struct err *e);

/* Mounts /run/secrets and puts the spec's secrets there. */
int secrets_put(const struct sandbox_spec *s, struct err *e) MUST_CHECK;

/* The pty of a sandbox, held by process 1, which carries bytes between it and the outside. */
struct terminal {
	int master;
	int down, out;    /* what is typed comes from here, what the program says goes there */
	char typed[4096]; /* not yet taken by the program's side */
	size_t typed_n;
};

/* Makes it; and, in the program's process, takes it as standard streams and controlling terminal.
 */
int terminal_open(struct terminal *t, struct err *e) MUST_CHECK;
int terminal_take(const struct terminal *t, struct err *e) MUST_CHECK;

/* Carries what there is, waiting at most so long for something; and the rest of what was said. */
void terminal_relay(struct terminal *t, int timeout_ms);
void terminal_drain(const struct terminal *t);

/* Brings up loopback in this network namespace, and eth0 with that address unless it is NULL. */
int net_up(const char *address, struct err *e) MUST_CHECK;

/* Makes every mount of this (new) mount namespace private. */
int mounts_private(struct err *e) MUST_CHECK;

/* Makes the directory tree `root` (NULL: an empty read-only one) this process's "/" and leaves no
 * way to the old one. File systems mounted below root do not come along. Wants a mount namespace of
 * our own with private mounts. */
int mounts_pivot(const char *root, bool read_only, struct err *e) MUST_CHECK;

/* Turns this (new) mount namespace into what the spec wants, from its "/" to its last bind, and
 * limits the process ids of this (new) process namespace where the kernel can. */
int mounts_build(const struct sandbox_spec *s, struct err *e) MUST_CHECK;

/* Adds MOUNT_ATTR_* to a mount that a descriptor stands for; path names it in errors. */
int mounts_restrict(int fd, uint64_t attributes, const char *path, struct err *e) MUST_CHECK;

/* Whether this process is in the machine's own user namespace. */
bool idmap_is_initial(void);

/* Gives process pid, in a new user namespace, our own ids below `end` under the same numbers. */
int idmap_give(pid_t pid, uint64_t end, struct err *e) MUST_CHECK;

/* The subordinate ids of an ordinary user in a file like /etc/subuid, as "INSIDE OUTSIDE COUNT"
 * words for newuidmap(1), id 0 being the user's own. Appends to *ret; none found is not an error.
 */
int idmap_subordinate(const char *file, const char *user, unsigned own, struct strv *ret,
		      struct err *e) MUST_CHECK;

/* What init tells the process outside. */
enum up_what {
	UP_UNSHARED, /* a new user namespace wants its ids; the answer is one byte */
	UP_ERROR,    /* .e */
	UP_EXIT,     /* the main program ended: .status as waitpid(2) gives it */
};
struct up {
	enum up_what what;
	int status;
	struct err e;
};

/* Process 1 of the sandbox: builds it, starts argv in it, reaps, ends with it. Messages go to
 * `up`, answers come from `down`, the program writes to `out`. */
_Noreturn void init_main(const struct sandbox_spec *s, int up, int down, int out);

/* Writes *e to a pipe, whole. */
void report_send(int fd, const struct err *e);

/* Takes an error from the pipe. Returns 1, or 0 when there is none; what a hostile writer made of
 * it is brought into form: known kind, terminated, no control characters. */
int report_take(int fd, struct err *ret);

#endif
