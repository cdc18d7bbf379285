/* old.h - the old server: a session with the agent that a cutover puts there, by one ssh(1).
 *
 * What the agent says no to is an error of kind ERR_BUSY (the fence is another's, over or
 * released), ERR_VERIFY (the fence does not hold what it should) or ERR_STEP (something failed
 * there). A link that is gone, or an agent that talks nonsense, is ERR_REMOTE: what was asked may
 * or may not have been done, the session is of no more use, and each call may be made again in a
 * new one. */
#ifndef CUTOVER_OLD_H
#define CUTOVER_OLD_H

#include "base/strv.h"
#include "form/digest.h"
#include "manifest/manifest.h"
#include "site/site.h"
#include <stdbool.h>
#include <stdint.h>

struct old;

enum { OLD_SHOP_MAX = 64, OLD_RUN_MAX = 64, OLD_LINE_MAX = 65536 };

struct old_opts {
	const struct site_old *plan;      /* whose data and host are set */
	const struct site_source *secret; /* the key of ssh; NULL = ssh's own choice */
	const char *work;                 /* a directory of ours, mode 0700, for the key */
	const char *shop;
	uint64_t epoch;          /* 1, 2, ...: what is older is refused there */
	const char *run;         /* the id of this cutover: letters, digits and dashes */
	bool plain;              /* lists are of what came back: without set-id bits of root */
	bool installed;          /* the agent is there already, as by a session before */
	const char *const *argv; /* of tests: runs the agent instead of ssh; NULL-terminated */
};

/* Puts the agent there and starts it. What *o points at must stay as long as the session. */
int old_open(const struct old_opts *o, struct old **ret, struct err *e) MUST_CHECK;
/* Ends the session; the fence stays as it is. Accepts NULL. */
void old_close(struct old *o);
void old_closep(struct old **o);

struct old_disk {
	char *at;
	uint64_t total, used, free, entries; /* of the file system */
};
struct old_service {
	char *name;
	char *kind; /* "systemd", "sysv", or "none" when there is no such service */
};
struct old_hello {
	char *perl, *kernel, *machine, *boot;
	char *rsync;                      /* its version; "" = there is none */
	int64_t skew_ms;                  /* its clock less ours */
	uint64_t uptime_ms, uid, took_ms; /* took: there and back */
	bool cron;                        /* a cron runs that will call the agent */
	struct old_disk *disks;
	struct old_service *services;
	size_t disks_n, services_n;
};
/* What that machine is. Changes nothing. ERR_STEP when a directory of the plan is not there. */
int old_hello(struct old *o, struct old_hello *ret, struct err *e) MUST_CHECK;
void old_hello_release(struct old_hello *h);

enum old_fenced { OLD_FREE, OLD_LEASED, OLD_HELD };
struct old_state {
	enum old_fenced state;
	uint64_t epoch;               /* the newest that it knows; 0 = none */
	char *run;                    /* of that epoch */
	uint64_t left_ms;             /* of the lease; 0 = it is over, or there is none */
	bool undoing;                 /* it is on its way back, and can no longer be held */
	bool complete;                /* every step of the fence is taken */
	bool closed;                  /* the epoch was released: no fence of it can follow */
	char *trouble;                /* what did not start when the fence went; "" = nothing */
	uint64_t uptime_ms, heard_ms; /* its clock then; and clock_mono_ms here, at that or later */
	char *boot;                   /* the start of that clock, or "" */
};
/* Accepts a zeroed struct. */
void old_state_release(struct old_state *s);

/* Runs a program there, without a shell. *ret_said is the end of what it said. A status other than
 * 0, or none within the time, is ERR_STEP with what was said. */
int old_run(struct old *o, const struct strv *argv, uint64_t within_ms, char **ret_said,
	    struct err *e) MUST_CHECK;

/* The fence, which ends by itself when it is not renewed for so long. When a step fails all of them
 * were undone, or will be. Again, and as another lease of the same run is still on: completes and
 * renews it. */
int old_fence(struct old *o, uint64_t lease_ms, struct old_state *ret, struct err *e) MUST_CHECK;
int old_renew(struct old *o, struct old_state *ret, struct err *e) MUST_CHECK;
/* The same, and a trial (old_try) goes on until the moment until_ms of our clock_mono_ms, or
 * earlier, by the clocks as then says; of one that is over that is nothing. */
int old_renew_trial(struct old *o, const struct old_state *then, uint64_t until_ms,
		    struct old_state *ret, struct err *e) MUST_CHECK;

/* Whether the fence holds: nobody has a file of the data open for writing or mapped, nobody answers
 * on the ports, the data is read only, the services are masked; looked at twice. ERR_VERIFY and the
 * first fault when it does not. */
int old_prove(struct old *o, struct old_state *ret, struct err *e) MUST_CHECK;

/* What the data is. The text has an entry a line as posmedia-manifest(5) has it, with whole seconds
 * and without ACLs and attributes; root is its SHA-256. One for each directory of the plan, in its
 * order. */
struct old_list {
	struct digest root;
	uint64_t entries, files, bytes;
	uint64_t read;    /* files whose digest was not known from before */
	uint64_t devices; /* are left out */
};
/* ret has as many as the plan has directories. exclude: patterns of absolute paths that are left
 * out, as restore_filter_patterns gives them. ERR_STEP when something changes meanwhile. */
int old_list(struct old *o, const struct strv *exclude, struct old_list *ret,
	     struct err *e) MUST_CHECK;
/* The same by a session of its own, beside what else is done meanwhile; take waits for it. What
 * *opts and exclude point at must stay until its end. */
struct old_ahead;
int old_list_ahead(const struct old_opts *opts, const struct strv *exclude, struct old_ahead **ret,
		   struct err *e) MUST_CHECK;
int old_ahead_take(struct old_ahead *a, struct old_list *ret, struct err *e) MUST_CHECK;
/* Accepts NULL. */
void old_ahead_end(struct old_ahead *a);
/* Reads what will be asked for later, while the server works: only `read` and counts are told. */
int old_prehash(struct old *o, const struct strv *exclude, struct old_list *ret,
		struct err *e) MUST_CHECK;
/* The text of the last listing of a directory of the plan. */
int old_listing(struct old *o, size_t which, const struct sink *out, struct err *e) MUST_CHECK;

/* The same of a manifest of ours: the text, and what old_list tells of it. */
int listing_write(const struct manifest *m, const struct sink *out, struct err *e) MUST_CHECK;
int listing_of(const struct manifest *m, struct old_list *ret, struct err *e) MUST_CHECK;

/* Large files, by blocks of so many bytes: beside what rsync(1) does, and sooner, the old server
 * says which of them are not what they are here. It is told before what is here, for each file
 * "SIZE SHA256 PATH" and an end of line, and MD5_BYTES of each block; `digest` is of that text. All
 * that is wrong or fails here costs time and no more, since nothing is proven by it. */
enum { OLD_NEAR_BLOCK = 4096 };
int old_near_take(struct old *o, const void *text, size_t n, uint64_t within_ms,
		  struct err *e) MUST_CHECK;
struct old_near {
	struct digest digest;
	uint64_t within_ms; /* 0 = however long it takes */
	unsigned which, of; /* the share of the files that is asked for, from 0 on */
	int fd;             /* where to the answer goes:
			     *   FILE N              of the N-th line, from 0 on: what follows
			     *   AT OFFSET BYTES     and an end of line, and those bytes
			     *   ENDS N SIZE S NS    how long the file is, and its time
			     *   END                 of all of it */
};
int old_near(struct old *o, const struct old_near *n, struct err *e) MUST_CHECK;

/* Takes the plan's address off the old server, and renews the lease: between the fence and here
 * whoever comes is refused at once. The fence's end gives it back. Without one in the plan only the
 * latter. */
int old_yield(struct old *o, struct old_state *ret, struct err *e) MUST_CHECK;

/* From here on the fence does not end by itself, whatever happens to either machine. It is proven
 * once more before, and that the address is gone. */
int old_hold(struct old *o, struct old_state *ret, struct err *e) MUST_CHECK;

/* The server goes back to work, and no fence of this epoch can follow. Only for who knows that
 * there is no COMMIT and will be none; reversed: there is one, and the data came back. */
int old_release(struct old *o, bool reversed, struct old_state *ret, struct err *e) MUST_CHECK;

/* A server that is held opens a way to write its data, which is read only still for all others:
 * *ret_to, a directory with all of the plan's below it, of a new name each time. What came before
 * it is shut. users and groups: of whom ERR_STEP says when they have no number there. *ret_devices
 * are paths that are not to be touched. From here on only a release for the COMMIT of this epoch
 * gives the server back. */
struct old_receiving {
	const struct strv *users, *groups;
};
int old_receive(struct old *o, const struct old_receiving *q, char **ret_to,
		struct strv *ret_devices, struct err *e) MUST_CHECK;
/* On what came back for this epoch its application runs, without the server's address: a trial,
 * which ends by itself at a moment as of old_renew_trial, when data comes once more, and by
 * old_shut. A request that comes later than that starts nothing. ERR_STEP when not all of it
 * starts, ERR_BUSY when people could come. */
int old_try(struct old *o, const struct old_state *then, uint64_t until_ms, struct old_state *ret,
	    struct err *e) MUST_CHECK;
/* Nobody writes there any more. */
int old_shut(struct old *o, struct err *e) MUST_CHECK;
/* The ssh of this session as rsync(1) takes it, and the host. The caller owns both. */
int old_shell(struct old *o, char **ret, char **ret_host, struct err *e) MUST_CHECK;

/* Keeps a line of the journal there, once, without its end. */
int old_witness(struct old *o, const char *line, struct err *e) MUST_CHECK;

struct old_status {
	struct old_state now;
	bool receives;  /* its data is half another's */
	bool fence;     /* the file that start scripts honour is there */
	uint64_t lines; /* of the journal's copy */
	char *last;     /* of them, or "" */
	char *why;      /* what ended the last fence, or "" */
};
/* What stands there; nothing is changed. */
int old_status(struct old *o, struct old_status *ret, struct err *e) MUST_CHECK;
void old_status_release(struct old_status *s);

/* Takes everything of ours off that machine. ERR_BUSY while it is fenced. */
int old_forget(struct old *o, struct err *e) MUST_CHECK;

/* Renews the lease beside what the caller does, in a process and by a session of its own, until it
 * is ended; it dies with the caller, and the lease then lapses. */
struct old_keeper;
struct old_keeping {
	uint64_t lease_ms;
	/* By how much a trial ends before that moment; 0 = there is none. */
	uint64_t let_go_ms;
	/* Called there each time, with the moment of this machine's clock_mono_ms before which the
	 * old server does not take anything back. NULL = nobody asks. What fails is a warning. */
	int (*renewed)(void *ctx, uint64_t until_ms, struct err *e);
	void *ctx;
};
int old_keep(const struct old_opts *o, const struct old_keeping *k, struct old_keeper **ret,
	     struct err *e) MUST_CHECK;
/* Whether it still renews: when not, the lease is about to lapse. */
bool old_keeps(const struct old_keeper *k);
void old_keeper_end(struct old_keeper *k);

#endif
