/* parts.h - what the files of stage/ share. */
#ifndef STAGE_PARTS_H
#define STAGE_PARTS_H

#include "archive/files.h"
#include "network/network.h"
#include "stage/closed.h"
#include "stage/stage.h"
#include "sys/aside.h"

/* A generation. */
struct stage_one {
	char *container; /* NULL = there is none */
	char *identity;
	struct digest generation, manifest, config, site;
	int64_t created; /* the image's own date, seconds; 0 = it does not say */
};
void stage_one_release(struct stage_one *o);
void stage_one_copy(const struct stage_one *o, struct stage_one *ret);

struct stage_record {
	struct stage_one current, previous, pending;
	bool stopped; /* on purpose: nothing but a start by hand starts it */
};
void stage_record_release(struct stage_record *r);

/* Reads the record in a site's directory; none is an empty one. Replaces it. */
int stage_record_read(int dirfd, struct stage_record *ret, struct err *e) MUST_CHECK;
int stage_record_write(int dirfd, const struct stage_record *r, struct err *e) MUST_CHECK;

struct stage_ended;

/* One staging. */
struct stage {
	const struct site *s;
	const struct stage_opts *o;
	struct engine *en;
	char *dir; /* STATE/SHOP/ENV */
	char *own; /* DIR/.posmedia */
	int ownfd; /* the latter */
	int lock;
	struct jval *config;     /* of the image */
	struct jval *seccomp;    /* the filter */
	bool cgroup2;            /* the engine's: see stage_cgroup_ready */
	struct digest furnished; /* the generation that stage_bring_over was last done for */
	struct strv layers;      /* where the engine has the image: see engine_has */
	struct files image;      /* what stage_note_image found, ... */
	struct digest noted;     /* ... in the container of this generation */
	struct stage_record r;
	struct stage_one lost; /* the current one, once its container is gone: on record until it is
				  made anew, and then begun as well (pending) */
	struct stage_outcome out;
	uint64_t
	    ask_until;  /* clock_mono_ms: then checks are waited for no longer; 0 = each has 30 s */
	bool net_ready; /* the network has been asked for, and can be had */
	bool net_stays; /* what ends leaves its network to who holds that */
};
void stage_release(struct stage *st);

/* Notes what was done, or would be. */
void stage_did(struct stage *st, const char *fmt, ...) PRINTF(2, 3);

enum { STAGE_STOP_SECONDS = 90 }; /* then the engine kills it */

/* Whether both are there and are one generation. */
bool stage_same(const struct stage_one *a, const struct stage_one *b) MUST_CHECK;

/* What the generation's container does; ERR_VERIFY when the one of its name is another's. Of a site
 * with a network, one whose process is gone does not run, whatever the engine says, and is not
 * there where that engine cannot start it any more. The caller releases *ret. */
int stage_look(struct stage *st, const struct stage_one *one, struct engine_state *ret,
	       struct err *e) MUST_CHECK;

/* Of a site with a network, makes the engine see the end of one whose process is gone, after what
 * people changed in it is kept. All others are left alone. */
int stage_end_lost(struct stage *st, const struct stage_one *one, struct err *e) MUST_CHECK;

/* Starts a generation with fresh secrets and waits until it is well; the latter of the two does so
 * for one of before, as its own site wants it. */
int stage_start(struct stage *st, const struct stage_one *one, struct err *e) MUST_CHECK;
int stage_start_former(struct stage *st, const struct stage_one *one, struct err *e) MUST_CHECK;

/* Remembers, until the machine's power goes, which process its first one is (RUNTIME/SHOP-ENV/
 * GENERATION.run): so that later nobody need ask the engine. What fails is no error. */
void stage_note_run(struct stage *st, const struct stage_one *one);

/* What was remembered, when that process still is the one: its number, since when it runs, in
 * seconds since the machine's start, and how often it was started since then. -1 = ask the engine.
 */
struct stage_run {
	int pid;
	uint64_t since, starts;
};
int stage_recall_run(const struct stage *st, const struct stage_one *one, struct stage_run *ret);

/* What the ledger is told of runs: before the engine is asked, and after it did. Before is on the
 * disk, so that what a process that died did not tell is told by the next. A container without an
 * identity is a stray. What fails is a warning, and on record (stage_outcome). */
void stage_told_starting(struct stage *st, const struct stage_one *one);
void stage_told_start(struct stage *st, const struct stage_one *one);
void stage_told_stopping(struct stage *st, const struct stage_one *one);
void stage_told_stop(struct stage *st, const struct stage_one *one);

/* That it ended by itself, with that status, when nobody has told so yet. */
void stage_told_crash(struct stage *st, const struct stage_one *one, int status);

/* Asks the engine what came of all that the site's own directory remembers, and tells what was not
 * told: starts and stops of a process that died, and ends that nobody watched, which are told to be
 * when the engine says, or else when the instance was last seen. The lock is held. */
void stage_settle(struct stage *st);

/* The same of one. */
void stage_settle_one(struct stage *st, const struct stage_one *one);

/* Whether that would tell nothing, as a list of the engine's containers has it. */
bool stage_is_settled(const struct stage *st, const struct engine_entries *list) MUST_CHECK;

/* Writes what the end of a site will be told of by into its own directory; from when that lies in
 * the open directory, as `gone`, it is told, and the note is removed. None is success. */
int stage_told_destroying(const struct stage *st, const struct stage_ended *out,
			  struct err *e) MUST_CHECK;
int stage_told_destroyed(const struct stage_opts *o, int dirfd, const char *gone,
			 struct err *e) MUST_CHECK;

/* Remembers that the one whose start was told runs still: should the machine's power go, that is
 * how long it is known to have run. */
void stage_alive(const struct stage *st);

/* Where sites are set aside at their end, and how they are called there. */
#define STAGE_KEPT_DIR    ".destroyed"
#define STAGE_GONE_PREFIX ".gone-"

/* Whether a process is of the container that the engine describes: the kernel has it in the
 * container's cgroup. An engine that was killed with its monitor may name a process that has ended,
 * and a number that is another's by now. */
int stage_process_is(const struct engine_state *s, bool *ret, struct err *e) MUST_CHECK;

/* Since when a process runs, in seconds since the machine's start; -1 when it is gone. */
int stage_process_since(int pid, uint64_t *ret);
/* How long the machine has been up, in seconds; 0 when it does not say. */
uint64_t stage_machine_up(void);

/* Whether a check of the site passes now; -1 when that cannot be asked. */
int stage_passes(struct stage *st, const char *container, const struct site_health *h, int pid,
		 bool *ret, struct err *e) MUST_CHECK;

/* Ends what was begun for another generation than `keep` and never finished, or is one too many. */
int stage_drop_pending(struct stage *st, const struct stage_one *keep, struct err *e) MUST_CHECK;

/* Replaces the record by st->r, with st->lost. */
int stage_note(const struct stage *st, struct err *e) MUST_CHECK;

/* Refuses when the site was stopped on purpose. */
int stage_check_stopped(const struct stage *st, struct err *e) MUST_CHECK;

/* In a site's own directory: who restores its data holds it, from the first byte to the last. */
#define STAGE_RESTORE_LOCK "restore.lock"

/* Refuses (ERR_BUSY) while the site's data is neither what it was nor what is restored:
 * STAGE_RESTORE in its own directory says "exchanging" or "undoing", or cannot be read. Nothing may
 * start then. */
#define STAGE_RESTORE "restore.json"
int stage_check_restored(const struct stage *st, struct err *e) MUST_CHECK;

/* stage_open of what was staged once: nothing is made, and what was not is ERR_BUSY. */
int stage_open_staged(const struct site *s, const struct stage_opts *o, struct stage *ret,
		      struct err *e) MUST_CHECK;

/* Starts the current generation, unless it runs, and waits until it is well. When it was not yet
 * running *ret_started says so, and that too when it does not get well. */
int stage_start_current(struct stage *st, bool *ret_started, struct err *e) MUST_CHECK;

/* Hands out what was done, for that generation; st->out is empty then. */
void stage_conclude(struct stage *st, const struct stage_one *one, struct stage_outcome *ret);

/* Stops it; none, absent and stopped are success. */
int stage_stop(struct stage *st, const struct stage_one *one, struct err *e) MUST_CHECK;

/* The same of one whose stop may have been broken off: an engine goes on with that by itself, and a
 * start meanwhile is refused, or is undone by its end. Asked once more, it says when it is over. */
int stage_stop_wholly(struct stage *st, const struct stage_one *one, struct err *e) MUST_CHECK;

/* Before one starts, whatever else the record names must not run: they have the same data. */
int stage_stop_others(struct stage *st, const struct stage_one *but, struct err *e) MUST_CHECK;

/* Stops and removes it with all that was written for it. */
int stage_drop(struct stage *st, struct stage_one *one, struct err *e) MUST_CHECK;

/* -1, with an error that says so when it was an interrupt: that one says that nothing was changed,
 * and here that is not so. */
int stage_not_done(const struct stage_one *one, struct err *e);

/* An error while a file system that this machine is to mount at the site's directory, above it or
 * at its data is not: what is there then is another disk's. Whoever opens it asks first. */
int stage_check_mounted(const struct site *s, const struct stage_opts *o, struct err *e) MUST_CHECK;

/* Makes the site's own directory, but in a dry run: staging does, and nothing else. */
int stage_make_own(const struct site *s, const struct stage_opts *o, struct err *e) MUST_CHECK;

/* Opens the site's own directory, which is there (in a dry run ownfd stays -1 when it is not),
 * takes the lock and reads the record. Removed by another meanwhile is ERR_BUSY. */
int stage_open(const struct site *s, const struct stage_opts *o, struct stage *ret,
	       struct err *e) MUST_CHECK;

/* DIR/.posmedia/GENERATION, what a generation is shown of its site; and RUNTIME/SHOP-ENV/
 * GENERATION, its secrets. The caller owns them. */
char *stage_shown_dir(const struct stage *st, const struct stage_one *one) MUST_CHECK;
char *stage_secret_dir(const struct stage *st, const struct stage_one *one) MUST_CHECK;

/* Whether this host may have the site beside those that it has: ERR_BUSY where one of the two is of
 * production and does not share. Sites that are only begun count, so of two at once that do not go
 * together at least one is refused. */
int stage_check_alone(const struct stage *st, struct err *e) MUST_CHECK;

/* Writes both. */
int stage_put_files(struct stage *st, const struct stage_one *one, struct err *e) MUST_CHECK;
/* Removes both. */
int stage_drop_files(struct stage *st, const struct stage_one *one, struct err *e) MUST_CHECK;
/* The secrets alone: a reboot takes them. */
int stage_put_secrets(struct stage *st, const struct stage_one *one, struct err *e) MUST_CHECK;

/* The site that a generation was made from, as it was then: its secrets and its checks are those.
 * ERR_VERIFY when the file is not the one of the record. */
int stage_site_of(const struct stage *st, const struct stage_one *one, struct site **ret,
		  struct err *e) MUST_CHECK;

/* The tree of the image, once stage_load has asked for it, and that of an instance that runs: open
 * directories of this machine, for who closes them; -1 where they are not to be seen from here, or
 * have other numbers of users. The former is read-only; the latter is hostile, and in use. */
int stage_image_tree(const struct stage *st) MUST_CHECK;
int stage_instance_tree(const struct engine_state *s) MUST_CHECK;

/* The tree of an instance that does not run, mounted by the engine: -1 as above. The latter closes
 * it and has it unmounted; -1 is none, and what fails is a warning. */
int stage_still_tree(struct stage *st, const struct stage_one *one) MUST_CHECK;
void stage_still_done(struct stage *st, const struct stage_one *one, int *tree);

/* What an image has of its own in a container that has never run, noted for later; and whether it
 * is, and what it is: nothing when it is not. */
int stage_note_image(struct stage *st, const struct stage_one *one, struct err *e) MUST_CHECK;
bool stage_image_noted(const struct stage *st, const struct stage_one *one) MUST_CHECK;
int stage_image_of(const struct stage *st, const struct stage_one *one, struct files *ret,
		   struct err *e) MUST_CHECK;
int stage_forget_image(const struct stage *st, const struct stage_one *one,
		       struct err *e) MUST_CHECK;

/* Reads what people and programs changed in a generation's container, whether it runs or not, and
 * keeps it in the site's directory as KEPT, mode 0600: it is there when the container is not.
 * *ret_changed says whether it is other than what was kept before. None and absent are success, and
 * keep nothing. */
#define KEPT "kept.tar"
int stage_keep(struct stage *st, const struct stage_one *one, bool *ret_changed,
	       struct err *e) MUST_CHECK;

/* stage_keep, after which failure is said and is no error: what an instance made of its own at its
 * first start would be lost with the engine's storage. */
void stage_keep_first(struct stage *st, const struct stage_one *one);

/* Makes accounts and printers of its site in a container that does not run, and puts what is kept
 * there: first what the other had (stage_keep). stage_rehearse is the same while that one runs,
 * whose failure stops nothing: in the directories of data it writes nothing. Once the other has
 * stopped it is done again where something changed, or where it was not whole. */
int stage_rehearse(struct stage *st, const struct stage_one *from, const struct stage_one *to,
		   struct err *e) MUST_CHECK;
int stage_bring_over(struct stage *st, const struct stage_one *from, const struct stage_one *to,
		     struct err *e) MUST_CHECK;

/* Makes the directories of data that are not there, with what the image has in those places, which
 * the engine has been given before (stage_load). What is there is never touched. */
int stage_seed(struct stage *st, const struct stage_image *i, const struct oci_manifest *m,
	       struct err *e) MUST_CHECK;

/* Whether the image says that it writes nothing but data and what is in memory. */
bool stage_read_only(const struct stage *st) MUST_CHECK;

/* Refuses, with ERR_RECIPE, what the site wants written to an instance of such an image. */
int stage_read_only_ready(const struct stage *st, struct err *e) MUST_CHECK;

/* Whether a generation's container is such a one; absent is none. */
int stage_is_read_only(struct stage *st, const struct stage_one *one, bool *ret,
		       struct err *e) MUST_CHECK;

/* Whether the image's first program is a systemd: one of that name, or init. */
bool stage_systemd(const struct stage *st) MUST_CHECK;

/* For an image of systemd, asks the engine which version of cgroups(7) it has, for the container
 * that is to be made: ERR_REMOTE where no systemd runs in an instance. */
int stage_cgroup_ready(struct stage *st, struct err *e) MUST_CHECK;

/* What that wants of the container: mounts, HostConfig and SecurityOpt. */
void stage_cgroup_mounts(const struct stage *st, struct jval *list);
void stage_cgroup_spec(const struct stage *st, struct jval *host, struct jval *security);

/* Adds a mount of the host's `from`, which must be there. */
void stage_spec_mount(struct jval *list, const char *from, const char *to, bool read_only);

/* The body of the request that makes the container; the caller owns it. */
struct jval *stage_spec(const struct stage *st, const struct stage_one *one) MUST_CHECK;

enum { STAGE_NOFILE = 16384 }; /* open files, where the site does not say */

/* Whether an instance is given the capability of that number. */
bool stage_capability_ok(unsigned number) MUST_CHECK;

/* Whether a secret is the instance's: those of tunnels and backups are the host's. */
bool stage_secret_inside(const struct site *s, const struct site_secret *secret) MUST_CHECK;

/* The shop's own network; but for the lock, each does nothing for a site without.
 *
 * stage_net_lock: one at a time on this host, from the question who has what until the answer is in
 * the record; the lock ends when *ret_fd is closed. stage_net_ready: whether it can be had, before
 * anything is stopped: conflicts with other sites, the interface, whether the address is in use;
 * asked once. The latter of the two does so for one of before. In a dry run, of what can be seen
 * without touching the host. */
int stage_net_lock(const struct stage *st, int *ret_fd, struct err *e) MUST_CHECK;
int stage_net_ready(struct stage *st, const struct stage_one *one, struct err *e) MUST_CHECK;
int stage_net_ready_former(struct stage *st, const struct stage_one *one, struct err *e) MUST_CHECK;

/* What a generation's network needs on disk, and its end; the second of the three writes the rules
 * of one whose image st->config is anew, when this program has others for it. */
int stage_net_files(const struct stage *st, const struct stage_one *one, struct err *e) MUST_CHECK;
int stage_net_renew(const struct stage *st, const struct stage_one *one, struct err *e) MUST_CHECK;
int stage_net_drop(const struct stage *st, const struct stage_one *one, struct err *e) MUST_CHECK;

/* What a generation is to have of networks now: rules, and an address that may not be the site's.
 */
struct stage_given {
	struct buf filter;
	struct stage_mark mark;
	uint64_t until_ms; /* net.until_ms */
	struct site as;    /* st->s, but for its network */
	struct net n;      /* of these */
	bool idle;         /* the site has an interface, and the instance is to have no address */
};
int stage_given_of(const struct stage *st, const struct stage_one *one, struct stage_given *ret,
		   struct err *e) MUST_CHECK;
/* Accepts a zeroed struct. */
void stage_given_release(struct stage_given *g);

/* Opens the network namespace of a container that runs; the caller closes it. ERR_FAIL when it does
 * not. */
int stage_net_open(struct stage *st, const char *container, int *ret_ns, struct err *e) MUST_CHECK;

/* Gives the rules of a closed instance to one on the engine's network. Of any other, nothing. */
int stage_close_bridged(struct stage *st, const struct stage_one *one, struct err *e) MUST_CHECK;

/* The end of what is lent, or of the lease of an instance that is gone, by the file of STAGE_LENT
 * in OWN; *ret 0: there is none. over: it has passed, or was of another boot. */
int stage_read_lent(const char *own, uint64_t *ret, bool *ret_over, struct err *e) MUST_CHECK;
int stage_put_lent(int ownfd, uint64_t until_ms, struct err *e) MUST_CHECK;
/* Takes the mark of closed.h away. */
int stage_unmark(const struct stage *st, struct err *e) MUST_CHECK;
/* Before a start: one that was gone for a time that is over is so no more (stage/leave.h). */
int stage_come_back(struct stage *st, struct err *e) MUST_CHECK;

/* Starts the container, of any site, and gives it its network; when that cannot be, it is stopped
 * again. */
int stage_net_start(struct stage *st, const struct stage_one *one, struct err *e) MUST_CHECK;

/* Gives one that runs what it lacks of its network; in a dry run, only says so. */
int stage_net_give(struct stage *st, const struct stage_one *one, struct err *e) MUST_CHECK;

/* Tells the neighbours whose address it is now, aside of what follows; the latter waits for it.
 * What fails is a warning. ret: zeroed. */
void stage_net_announce(struct stage *st, const struct stage_one *one, struct aside *ret);
void stage_net_announced(struct aside *a);

/* Opens the network namespace of one that runs and was given an address; -1 = it has none, or it
 * cannot be opened, which is a warning. The caller closes it. */
int stage_net_hold(struct stage *st, const struct stage_one *one) MUST_CHECK;
/* Ends the child in it once its instance has ended, whoever keeps the namespace. -1 is none. What
 * fails is a warning. */
void stage_net_ended(int ns);

/* Stops the container, of any site, and ends what was made for its network. */
int stage_net_stop(struct stage *st, const struct stage_one *one, struct err *e) MUST_CHECK;

/* Of one that does not run, whether stopped, crashed or gone: an interface that was moved to it
 * comes back to the host as it was. */
int stage_net_back(struct stage *st, const struct stage_one *one, struct err *e) MUST_CHECK;

/* Waits until all checks of the site say that the instance is well. */
int stage_wait_well(struct stage *st, const char *container, struct err *e) MUST_CHECK;

/* Whether a process of this number's network has a port that is listened on. */
bool stage_listens(int pid, uint16_t port);

/* Gives the image to the engine unless it has it: every byte is hashed before. */
int stage_load(struct stage *st, const struct stage_image *i, const struct oci_manifest *m,
	       struct err *e) MUST_CHECK;

#endif
