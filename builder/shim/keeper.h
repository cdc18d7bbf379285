/* keeper.h - services in a sandbox without a service manager. Each has a keeper: a process of ours
 * that starts its commands, is the parent of every process that they leave behind
 * (PR_SET_CHILD_SUBREAPER), and ends them all. What is known of it lies in SHIM_STATE. */
#ifndef SHIM_KEEPER_H
#define SHIM_KEEPER_H

#include "shim/unit.h"
#include <sys/types.h>

#define SHIM_DIR   "/run/posmedia-shim"
#define SHIM_STATE "/run/posmedia-services"

/* The services that the step expects, one a line in SHIM_DIR/services; whether this is one. */
bool keeper_expected(const char *name);
int keeper_services(struct strv *ret, struct err *e) MUST_CHECK;

/* Starts the service unless it runs, and waits until it says or seems to be ready. */
int keeper_start(const struct unit *u, struct err *e) MUST_CHECK;

/* Ends it, and waits for that; one that does not run is success. */
int keeper_stop(const char *name, struct err *e) MUST_CHECK;

/* Runs its ExecReload commands. */
int keeper_reload(const struct unit *u, struct err *e) MUST_CHECK;

/* The process id of its keeper, and of its main process where there is one; 0 = it does not run. */
pid_t keeper_pid(const char *name);
pid_t keeper_main(const char *name);

/* Names of those that run, the last started first. */
int keeper_running(struct strv *ret, struct err *e) MUST_CHECK;

/* Runs one of a unit's commands, as its user, with its variables; *ret is the child. */
int keeper_spawn(const struct unit *u, const char *line, pid_t main_pid, pid_t *ret,
		 bool *ret_may_fail, struct err *e) MUST_CHECK;

/* All commands of a kind, one after the other. */
int keeper_run_all(const struct unit *u, enum unit_exec kind, pid_t main_pid,
		   struct err *e) MUST_CHECK;

#endif
