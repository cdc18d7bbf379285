/* noted.h - what a verb did, in the ledger. */
#ifndef CLI_NOTED_H
#define CLI_NOTED_H

#include "cli/args.h"
#include "ledger/ledger.h"

/* --ledger, else $POSMEDIA_LEDGER, else "ledger" beside the store; the caller owns it. */
char *noted_dir(const struct args *a) MUST_CHECK;

/* The same of verbs of sites: without any of both it is ".ledger" in the directory of --state. */
char *noted_site_dir(const struct args *a) MUST_CHECK;

/* Appends one event to noted_dir. A failure says that what was done stays done. */
int noted(const struct args *a, const struct ledger_event *v, struct err *e) MUST_CHECK;

#endif
