/* exchange.h - what is new becomes live, and what was live is kept; and back. Each directory by one
 * rename(2) that exchanges the two; the record says before what is going to be, so that a kill in
 * the middle leaves something that can be finished or undone. Nothing may run meanwhile. */
#ifndef RESTORE_EXCHANGE_H
#define RESTORE_EXCHANGE_H

#include "restore/record.h"

/* The places of one site. */
struct restore_places {
	int dirfd;  /* STATE/SHOP/ENV: the live directories */
	int ownfd;  /* .posmedia in it */
	int workfd; /* .posmedia/restore: "new" and "previous" */
	const char *work;
};

/* Fills in which inodes are live and new, of the r->n names; refuses (ERR_BUSY) what cannot be
 * exchanged: another file system, something that is mounted. */
int exchange_look(const struct restore_places *p, struct restore_record *r,
		  struct err *e) MUST_CHECK;

/* Writes "exchanging", exchanges all that has not been, sets what was live aside and writes
 * "exchanged". May be called again after a kill. */
int exchange_do(const struct restore_places *p, struct restore_record *r, struct err *e) MUST_CHECK;

/* The same back, until the record says "filling" again, or "undone" when it was asked for: what was
 * restored is what is new. */
int exchange_undo(const struct restore_places *p, struct restore_record *r,
		  struct err *e) MUST_CHECK;

/* Removes what was live before, all that belongs to the restore, and its record. */
int exchange_commit(const struct restore_places *p, struct restore_record *r,
		    struct err *e) MUST_CHECK;

#endif
