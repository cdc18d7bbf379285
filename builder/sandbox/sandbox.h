/* sandbox.h - run foreign programs and parse foreign bytes where they can do no harm.
 *
 * Three doors: sandbox_enter makes the calling process private (mounts that end with it);
 * sandbox_run runs a program on a root tree; sandbox_worker runs one of our own functions on
 * hostile bytes. namespaces(7), seccomp(2), capabilities(7), pivot_root(2). Linux 5.12 or later. */
#ifndef SANDBOX_SANDBOX_H
#define SANDBOX_SANDBOX_H

#include "base/buf.h"
#include "base/err.h"
#include "base/sink.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Once, before any mount, in a process without threads: a private mount namespace, so that no
 * mount of ours is ever seen outside or outlives us. As an ordinary user also a user namespace
 * with the subordinate ids of /etc/subuid and /etc/subgid (newuidmap, newgidmap); without any, a
 * refusal whose hint says which command grants them. Calling it again does nothing. */
int sandbox_enter(struct err *e) MUST_CHECK;

/* Mounts an overlay at `target`: lower[0] is the topmost of n lower directories (1 to 500); upper
 * and work may be NULL for a read-only view. Paths are absolute, any bytes (commas and colons too).
 * What is written is not synced: upper is of no use after a crash of the machine. */
int sandbox_overlay(const char *const *lower, size_t n, const char *upper, const char *work,
		    const char *target, struct err *e) MUST_CHECK;

/* The same as a read-only view that is mounted nowhere: it ends with *ret_fd, which is a directory
 * for openat(2). Nobody needs to have entered for it; root alone may. Before Linux 6.5 it is of at
 * most 12 directories. */
int sandbox_overlay_view(const char *const *lower, size_t n, int *ret_fd, struct err *e) MUST_CHECK;

/* The attribute by which such an overlay marks a directory ("y") that hides what lies below it. */
const char *sandbox_opaque_mark(void);

/* Detaches what is mounted at target. */
int sandbox_unmount(const char *target, struct err *e) MUST_CHECK;

struct sandbox_bind {
	const char *from; /* absolute, outside */
	const char *to;   /* absolute, inside; made if absent (in a writable root) */
	bool writable;
};

enum sandbox_net {
	SANDBOX_NET_NONE, /* an empty network namespace, loopback up */
	SANDBOX_NET_HOST,
};

struct sandbox_secret {
	const char *name; /* a plain component */
	const void *data;
	size_t len;
};

struct sandbox_watch {
	/* Called at least five times a second while the program runs; `init` is process 1 of the
	 * sandbox as seen from here. Appends to *type what is to be typed at the terminal. -1 with
	 * *e set ends the run, which then fails with that error. */
	int (*look)(void *ctx, pid_t init, struct buf *type, struct err *e);
	void *ctx;
};

struct sandbox_spec {
	const char *root; /* absolute path of the tree that becomes "/" */
	bool read_only;   /* the root, but for /tmp, /run, /dev and writable binds */
	const struct sandbox_bind *binds;
	size_t binds_n;
	const char *const *argv; /* NULL-terminated; argv[0] is looked up in env's PATH, inside */
	const char *const *env;  /* NULL-terminated NAME=VALUE; the whole environment */
	const char *cwd;         /* inside; NULL = "/" */
	const char *hostname;    /* NULL = "localhost" */
	enum sandbox_net net;
	uint16_t listen_port;   /* with SANDBOX_NET_NONE: not 0 = sandbox_listen on this port ... */
	int listen_to;          /* ... before the program starts */
	const char *address;    /* with SANDBOX_NET_NONE: "192.0.2.10/24" of an interface eth0 that
				   leads nowhere; NULL = there is only loopback */
	uint64_t timeout_ms;    /* 0 = none */
	uint64_t memory_max;    /* bytes of private memory of each process, and, a little late, of
				   all together; 0 = none */
	uint64_t processes_max; /* at once, in the sandbox; 0 = 4096. Above it fork fails or, where
				   the kernel has no such limit, the run ends with an error */
	bool no_sync;           /* fsync and friends answer 0 and do nothing: for trees that a
				   crash throws away anyway */
	bool bits_32;           /* programs of 32 bits may run as well (x86-64 only) */
	uint64_t file_max;      /* bytes of one file; 0 = none */
	uint64_t tmp_max;  /* bytes in each of /tmp, /run and /dev/shm; 0 = the kernel's default */
	bool alone;        /* what is still running two seconds after the program ended is an
			      error (ERR_STEP); else it is ended */
	bool terminal;     /* standard streams and controlling terminal are a pty of 24 lines and
			      80 columns; else standard input is what `input` has */
	const void *input; /* bytes for standard input; NULL = /dev/null. Not with a terminal */
	size_t input_len;
	bool net_admin; /* with SANDBOX_NET_NONE: it may configure its own, empty network */
	const struct sandbox_secret *secrets; /* files of root below /run/secrets, mode 0400 */
	size_t secrets_n;
	const struct sandbox_watch *watch; /* NULL = none */
	const struct sink *out; /* standard output and error, as they come; NULL = dropped */
};

struct sandbox_result {
	int status; /* exit status, or -1 when killed */
	int signal; /* or 0 */
	bool timed_out;
};

/* Makes what runs of such a specification share, once for this process and all that it forks. */
int sandbox_prepare(const struct sandbox_spec *spec, struct err *e) MUST_CHECK;

/* Runs argv as uid 0 of its own user, mount, pid, ipc, uts, cgroup and network namespaces: init is
 * ours and reaps; all die with us, with the timeout and with an interrupt. Inside: a private
 * /proc, a /dev of null zero full random urandom tty ptmx pts shm, tmpfs on /tmp and /run (kept
 * out of the tree), no /sys; the bounding set holds only what installing packages needs, and
 * CAP_NET_ADMIN with net_admin; no new privileges; a seccomp filter that refuses mounts, modules,
 * keyrings, bpf, perf, ptrace of others, io_uring, namespaces, clocks, reboot and foreign
 * architectures with EPERM or ENOSYS. Returns -1 only when the sandbox itself failed (or an
 * interrupt came); else see *ret. */
int sandbox_run(const struct sandbox_spec *spec, struct sandbox_result *ret,
		struct err *e) MUST_CHECK;

/* Makes the directory `root`, which is to be one in which programs of this machine run and see
 * nothing else of it: links into /usr, which the caller binds, and empty directories, /to too. */
int sandbox_machine_root(const char *root, struct err *e) MUST_CHECK;

/* Opens a TCP port on 127.0.0.1 of this network namespace and sends its listening socket over the
 * Unix socket `to`; and takes it there. */
int sandbox_listen(int to, uint16_t port, struct err *e) MUST_CHECK;
int sandbox_take_listener(int from, int *ret_fd, struct err *e) MUST_CHECK;

/* Makes a network namespace with nothing in it, which ends with the descriptor. */
int sandbox_net_empty(int *ret_fd, struct err *e) MUST_CHECK;

struct sandbox_confine_spec {
	const char *writable; /* absolute; the one directory tree that may be written to */
	bool network;         /* the machine's network; else an empty one */
	int *const *keep;     /* descriptors to keep, renumbered in place; all others are closed */
	size_t keep_n;
};

/* For a forked child that serves a program in the sandbox from outside, after sandbox_enter: all
 * file systems read-only but one directory, no capabilities, no new privileges, no core dump, the
 * filter of sandbox_run. There is no way back. */
int sandbox_confine(const struct sandbox_confine_spec *s, struct err *e) MUST_CHECK;

/* Whether a process of the sandbox with that process 1 waits for input from a terminal; true when
 * this kernel does not tell. */
bool sandbox_waits(pid_t init);

/* Shows the directory `from`, outside, read-only at `to` in the running sandbox with that process 1
 * (as sandbox_watch has it). `to` has no links in it and lies on the tree of the sandbox or on its
 * /tmp, on nothing else that is mounted there; any other is an error. *ret_id is the mount's. */
int sandbox_mount_in(pid_t init, const char *from, const char *to, uint64_t *ret_id,
		     struct err *e) MUST_CHECK;

/* Takes that mount away again; an error when `at` is not where it is. */
int sandbox_unmount_in(pid_t init, const char *at, uint64_t id, struct err *e) MUST_CHECK;

/* One line that names the policy above, for cache keys and provenance; changes when the policy
 * changes. */
const char *sandbox_policy_id(void);

struct sandbox_worker_spec {
	/* Runs in the child; what it writes to *e comes back to the parent. */
	int (*fn)(void *arg, struct err *e);
	void *arg;
	const char *root; /* the child's "/" : the only directory tree it can reach; NULL = an
			     empty read-only one */
	const int *dirs;  /* open directories that fn may use; all others are closed in the
			     child, since a directory is a way out of any root */
	size_t dirs_n;
	uint64_t memory_max; /* bytes of address space; 0 = 1 GiB */
	uint64_t file_max;   /* largest file it may write, bytes; 0 = none */
	uint64_t timeout_ms; /* 0 = none */
};

/* Runs fn in a child with no network, no new programs, no way out of `root`, and only the
 * capabilities that writing files with foreign owners needs. Descriptors that are open in the
 * parent stay usable (that is how input gets in), directories only when named. Threads are
 * allowed, processes are not; a call that is not needed for that answers ENOSYS. Returns 0 when fn
 * returned 0; otherwise -1 with the child's error, or an ERR_FAIL that says how it died. */
int sandbox_worker(const struct sandbox_worker_spec *spec, struct err *e) MUST_CHECK;

#endif
