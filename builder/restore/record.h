/* record.h - how far the restore of a site is: restore.json in its own directory, replaced by one
 * rename. stage/ reads it too: no instance starts while it says "exchanging" or "undoing". */
#ifndef RESTORE_RECORD_H
#define RESTORE_RECORD_H

#include "base/err.h"
#include "form/json.h"
#include <stdbool.h>
#include <stdint.h>

enum restore_phase {
	RESTORE_NONE,       /* there is no record */
	RESTORE_FILLING,    /* what is new is being made; what is live is whole */
	RESTORE_EXCHANGING, /* some of it is live, and some may not be */
	RESTORE_EXCHANGED,  /* what is new is live, and may not have been started yet */
	RESTORE_DONE,       /* what is new is live and well; what was is kept */
	RESTORE_UNDOING,    /* as exchanging, the other way */
	RESTORE_COMMITTING, /* what was is being removed */
	RESTORE_UNDONE, /* what was is live again by somebody's wish, and what was new is kept */
};

/* One directory: which inode was live when the exchange was decided, and which was new. So a look
 * tells whether it has been exchanged. */
struct restore_data {
	char *name;
	uint64_t live, fresh;
};

struct restore_record {
	enum restore_phase phase;
	char *source; /* as it was asked for */
	char *roots;  /* "NAME sha256:..." of each, for the report; or NULL */
	int64_t since;
	bool by_hand; /* somebody asked for the undoing: it ends as undone, not as filling */
	struct restore_data *v;
	size_t n;
};

/* None is RESTORE_NONE. A record that is not one is ERR_RECIPE: nobody may guess. */
int restore_record_read(int ownfd, struct restore_record *ret, struct err *e) MUST_CHECK;
int restore_record_write(int ownfd, const struct restore_record *r, struct err *e) MUST_CHECK;
int restore_record_remove(int ownfd, struct err *e) MUST_CHECK;
void restore_record_release(struct restore_record *r);
const char *restore_phase_word(enum restore_phase p);

#endif
