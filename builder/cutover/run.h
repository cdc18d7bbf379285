/* run.h - one control of a cutover: what the files that drive it share. */
#ifndef CUTOVER_RUN_H
#define CUTOVER_RUN_H

#include "cutover/drive.h"
#include "cutover/journal.h"
#include "cutover/old.h"
#include "restore/record.h"

/* By how much the new host lets go of the address before the old server may take it back: the
 * kernel is a second late, and the old server's clock may be faster. SITE_LEASE_MIN_MS is more. */
enum { CUT_LET_GO_MS = 2000 };

struct cut_run {
	const struct cutover_opts *o;
	const struct site *s;
	char *dir;  /* STATE/SHOP/ENV/.posmedia/cutover */
	char *own;  /* the directory above it */
	char *work; /* RUNTIME/cutover-SHOP-ENV: keys, gone with a reboot */
	struct journal *j;
	struct old *old; /* NULL = there is no session */
	struct old_opts oo;
	bool installed; /* by a session before */
	struct old_keeper *keeper;
	int door;       /* what tells who is at the door that we live, or -1 */
	int attributes; /* whether rsync(1) there takes them: 0 = not asked, 1 yes, -1 no */
	struct old_ahead *ahead; /* what the old server has, read beside the last pass, or NULL */
	struct cut_near *near;   /* what the old server knows of our copy of it, or NULL */
	struct strv exclude;     /* the plan's and the environment's, for the agent */
	struct cut_undone undone;
	enum cut_want want;
	enum cut_phase now; /* the phase that is recorded as begun */
	uint64_t fenced_ms; /* clock_mono_ms of the fence; 0 = none of this process */
	uint64_t phase_ms;  /* and of the phase */
	struct jval *data;  /* of the record that ends it, or NULL */
	uint64_t pushed;    /* bytes that went back */
	int64_t pass_ms;    /* of the last pass that was only measured */
	bool proven;        /* what was fetched is what the old server has */
	struct err why;     /* what ends the run */
	bool failed;
};

/* The last of them is the first again: a run that was begun is ended. */
int cut_run_open(const struct cutover_opts *o, struct cut_run *r, struct err *e) MUST_CHECK;
void cut_run_close(struct cut_run *r);
/* Where the journal of a site is; the caller owns it. */
char *cut_dir(const struct cutover_opts *o);

/* The session with the old server, opened when there is none, for the last epoch. */
int cut_session(struct cut_run *r, struct err *e) MUST_CHECK;
/* After an error: a session whose link is gone is closed. Returns -1. */
int cut_lost(struct cut_run *r, const struct err *e);
/* What the source is for the machine; what does not answer is unknown. */
enum cut_old cut_ask_source(struct cut_run *r);
/* The same of the old server. */
enum cut_old cut_ask_old(struct cut_run *r);

/* Appends a record and gives the old server its copy. From HOLD until COMMIT one that it does not
 * get is an error; else it is told and no more. Takes data over. */
int cut_note(struct cut_run *r, enum cut_phase p, enum cut_event v, struct jval *data,
	     struct err *e) MUST_CHECK;

/* Remembers why the run ends, the first time, records it, and turns it back. */
void cut_fail(struct cut_run *r, const struct err *e);

/* ERR_BUSY and what the operator can do. Returns -1. */
int cut_refuse(struct err *e, const char *hint, const char *fmt, ...) PRINTF(3, 4);
/* Whether that machine is fit for either way. */
int cut_look_at_old(struct cut_run *r, const struct old_hello *h, struct err *e) MUST_CHECK;
/* Makes a list of checks the data of the record; takes it over, NULL = none. */
void cut_put_checks(struct cut_run *r, struct jval *list);

/* Does what a phase is there for. Each may be done again. */
int cut_do_phase(struct cut_run *r, enum cut_phase p, struct err *e) MUST_CHECK;
int cut_preflight(struct cut_run *r, struct err *e) MUST_CHECK;
int cut_warm(struct cut_run *r, struct err *e) MUST_CHECK;
int cut_ready(struct cut_run *r, struct err *e) MUST_CHECK;
int cut_announce(struct cut_run *r, struct err *e) MUST_CHECK;
/* Whether a reverse starts the old application before its commit: a server that keeps its addresses
 * would let people in. */
bool cut_tries_old(const struct site_cutover *c) MUST_CHECK;
/* The new instance on what was copied, and back: what each phase takes. */
int cut_try(struct cut_run *r, struct err *e) MUST_CHECK;

/* The data, as it is behind the fence, proven and exchanged; `live`: as it is now, without proof.
 * *ret is restore's report; the caller owns it. */
int cut_fetch(struct cut_run *r, bool live, struct jval **ret, struct err *e) MUST_CHECK;
int cut_fill(struct cut_run *r, struct jval **ret, struct err *e) MUST_CHECK;
/* Tells the old server what the copy of its large files is, so that it can say later what is not so
 * any more; and asks for that and puts it there, of a cut_run. Without it rsync(1) finds out: what
 * fails is no error. */
void cut_near_tell(struct cut_run *r);
void cut_near(void *run);
/* Accepts NULL. */
void cut_near_free(struct cut_near *n);
/* How far a restore of the site is. */
int cut_restored(const struct cut_run *r, enum restore_phase *ret, struct err *e) MUST_CHECK;

/* The checks of a phase, all of them; each is in *ret, an array that the caller owns, and the first
 * that does not pass is the error. */
int cut_checks(struct cut_run *r, int when, struct jval **ret, struct err *e) MUST_CHECK;
/* Whether somebody answers at a printer's URI; and what the site names: its printers, its licence.
 * Each is added to list, and the first that must be there and is not is the error. */
int cut_reach(const char *uri, int within_ms, struct err *e) MUST_CHECK;
int cut_reach_all(struct cut_run *r, struct jval *list, struct err *e) MUST_CHECK;
/* One of them. */
int cut_one_check(struct cut_run *r, const struct site_check *c, struct err *e) MUST_CHECK;
/* A program on the old server, in the instance or here. */
int cut_program(struct cut_run *r, int on, const struct strv *argv, uint64_t within_ms,
		struct err *e) MUST_CHECK;

/* The lease is renewed beside all that follows, until HOLD: the old server's, or, of a reverse, the
 * instance's own. */
int cut_keep(struct cut_run *r, struct err *e) MUST_CHECK;

/* What the plan announces on a side, and what takes that back: what fails is no reason to undo
 * less. */
int cut_announce_on(struct cut_run *r, int on, struct err *e) MUST_CHECK;
void cut_unannounce_on(struct cut_run *r, int on);

/* Steps of an abort. */
int cut_stop_new(struct cut_run *r, struct err *e) MUST_CHECK;
int cut_undo_new(struct cut_run *r, struct err *e) MUST_CHECK;

/* The estimates of the last rehearsal that passed, there or back, an object, or NULL; the caller
 * owns it. */
int cut_estimates(const struct journal *j, bool reverse, struct jval **ret,
		  struct err *e) MUST_CHECK;

/* The report of the last epoch, an object that the caller owns; and it as a page. */
int cut_report(const struct cutover_opts *o, const struct journal *j, struct jval **ret,
	       struct err *e) MUST_CHECK;
void cut_page(const struct jval *report, struct buf *out);
/* Writes both beside the journal, and a line into the ledger. */
int cut_publish(struct cut_run *r, const struct jval *report, struct err *e) MUST_CHECK;

/* A number of a report, 0 when it is not there; milliseconds since a moment. */
int64_t cut_number(const struct jval *v, const char *key);
int64_t cut_since(uint64_t mono_ms);

#endif
