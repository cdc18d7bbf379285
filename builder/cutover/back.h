/* back.h - what the files of a cutover that is reversed share. */
#ifndef CUTOVER_BACK_H
#define CUTOVER_BACK_H

#include "cutover/run.h"

/* Whose files the instance's data has, by name and without root; names: what they are there. */
struct cut_owners {
	struct strv users, groups;
	const struct manifest_names *names;
};
struct cut_push {
	const struct cut_owners *owners;
	bool content; /* compare every byte, also of files of the same size and time */
};
/* Makes the old server's data what the instance's is now, and leaves the way open by which that was
 * done: old_shut. *ret_bytes: of content, over the link. */
int cut_push_data(struct cut_run *r, const struct cut_push *how, uint64_t *ret_bytes,
		  struct err *e) MUST_CHECK;

/* Where the host has a directory of the site's data; the caller owns it. */
char *cut_data_dir(const struct cut_run *r, const char *name);

/* The data that the instance has now, as the old server is to have it: without devices, and without
 * what a test may not have. ERR_VERIFY for a file that would run as root there. One for each
 * directory of the plan, in its order, in *ret, which the caller owns. */
enum cut_look {
	CUT_NAMES,   /* it is in use, and no content is read */
	CUT_LIVING,  /* it is in use: what was read is remembered */
	CUT_AT_REST, /* what changes is an error */
};
struct cut_ours {
	struct manifest *v;
	size_t n;
	struct manifest_names *names;
	struct cut_owners owners;
};
int cut_ours_make(struct cut_run *r, enum cut_look how, struct cut_ours *ret,
		  struct err *e) MUST_CHECK;
void cut_ours_release(struct cut_ours *o);

/* Who keeps the address of an instance that is about to be gone and brings it back when its lease
 * is over; and his end, behind which this host has the address no more. None there is success. */
int cut_door_open(struct cut_run *r, struct err *e) MUST_CHECK;
int cut_door_shut(struct cut_run *r, struct err *e) MUST_CHECK;
/* The same in a cutover's directory, within so many milliseconds; who has not gone then has been
 * told all the same. */
int cut_door_end(int dir, uint64_t ms, struct err *e) MUST_CHECK;

/* All of the plan's ports answer on the old server, as it sees itself. */
int cut_ports_open(struct cut_run *r, struct err *e) MUST_CHECK;
/* The old application runs on what came back, and the checks of that pass. */
int cut_trial_start(struct cut_run *r, struct err *e) MUST_CHECK;
int cut_trial_smoke(struct cut_run *r, struct err *e) MUST_CHECK;

/* The phases of one that is reversed; and its rehearsal, and the steps of its abort. */
int cut_do_back(struct cut_run *r, enum cut_phase p, struct err *e) MUST_CHECK;
int cut_try_back(struct cut_run *r, struct err *e) MUST_CHECK;
int cut_stop_back(struct cut_run *r, struct err *e) MUST_CHECK;
int cut_return(struct cut_run *r, struct err *e) MUST_CHECK;
int cut_undo_back(struct cut_run *r, struct err *e) MUST_CHECK;

#endif
