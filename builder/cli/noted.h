/* noted.h - what a verb did, in the ledger: posmedia-ledger(5) has the fields. */
#ifndef CLI_NOTED_H
#define CLI_NOTED_H

#include "cli/args.h"
#include "ledger/ledger.h"

struct site;

/* --ledger, else $POSMEDIA_LEDGER, else "ledger" beside the store; the caller owns it. */
char *noted_dir(const struct args *a) MUST_CHECK;

/* The same of verbs of sites: without any of both it is ".ledger" in the directory of --state. */
char *noted_site_dir(const struct args *a) MUST_CHECK;

/* Appends one event to noted_dir. A failure says that what was done stays done. */
int noted(const struct args *a, const struct ledger_event *v, struct err *e) MUST_CHECK;

/* The same; takes fields over. subject may be NULL. */
int noted_of(const struct args *a, const char *kind, const struct digest *subject,
	     struct jval *fields, struct err *e) MUST_CHECK;

/* The same in noted_site_dir, with "shop" and "env"; nothing in a dry run. */
int noted_site(const struct args *a, const struct site *s, const char *kind, struct jval *fields,
	       struct err *e) MUST_CHECK;

/* Sends to the mirror of noted_dir, and of noted_site_dir, what others have appended there. */
int noted_mirror(const struct args *a, struct err *e) MUST_CHECK;
int noted_site_mirror(const struct args *a, struct err *e) MUST_CHECK;

/* Copies members of an object that are there. */
void noted_copy(struct jval *to, const struct jval *from, const char *const *keys, size_t n);

#endif
