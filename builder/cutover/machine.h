/* machine.h - what a cutover does next, from what its journal says and what the old server answers.
 * No file, clock or network is touched here: the model test explores every way it can go.
 *
 * A shop goes from one side, the source, to the other, the target: from the old server to the new
 * instance, or, when it is reversed, back. One record decides: COMMIT (CUT_COMMIT, CUT_OK). Before
 * it the source is right, after it the target. The source is held before COMMIT, and ABORT
 * (CUT_ABORT, CUT_BEGIN) is recorded before it is released: of one epoch there is never both.
 * Nothing after the fence is done again behind another fence, since the source may have sold in
 * between. */
#ifndef CUTOVER_MACHINE_H
#define CUTOVER_MACHINE_H

#include "base/mem.h"
#include <stdbool.h>
#include <stdint.h>

enum cut_phase {
	CUT_PLAN, /* an epoch begins */
	CUT_PREFLIGHT,
	CUT_WARM,
	CUT_READY,
	CUT_ANNOUNCE,
	CUT_FENCE,
	CUT_PASS,
	CUT_VERIFY,
	CUT_START,
	CUT_SMOKE,
	CUT_HOLD,
	CUT_COMMIT,
	CUT_OPEN,
	CUT_AFTER,
	CUT_DONE,
	CUT_ABORT,
	CUT_PHASES,
};

enum cut_event {
	CUT_BEGIN,
	CUT_OK,
	CUT_FAIL, /* says why; changes nothing */
	CUT_NOTE, /* a measurement; changes nothing */
	CUT_EVENTS,
};

/* The word of a phase or event in the journal, "last-pass", "begin". */
const char *cut_phase_word(enum cut_phase p);
const char *cut_event_word(enum cut_event v);
/* The phase or event of a word, or -1. */
int cut_phase_of(const char *word);
int cut_event_of(const char *word);

/* What the journal says of its last epoch. */
struct cut_facts {
	uint64_t epoch; /* 0 = the journal is empty */
	bool rehearsal; /* the epoch is one */
	bool reverse;   /* the new instance is its source, and the old server its target */
	bool begun[CUT_PHASES], ok[CUT_PHASES];
};

/* Takes one record into the facts; a higher epoch begins with CUT_PLAN and forgets the one before,
 * but for which side is right: that is its source.
 * -1 when no cutover can have written it there: facts are unchanged. */
int cut_take(struct cut_facts *f, uint64_t epoch, enum cut_phase p, enum cut_event v) MUST_CHECK;

/* What the source answers, of this epoch: the old server's agent, or the new host's own mark. */
enum cut_old {
	CUT_OLD_UNKNOWN, /* it does not answer */
	CUT_OLD_FREE,    /* and was never fenced for this epoch */
	CUT_OLD_FELL,    /* free, and a fence of this epoch has fallen: it takes no other */
	CUT_OLD_LEASED,
	CUT_OLD_HELD,
	CUT_OLD_OTHER, /* fenced by another epoch */
};

enum cut_want { CUT_GO, CUT_BACK };

enum cut_act {
	CUT_DO_NOTHING, /* there is nothing to do: done, undone, or no epoch was begun */
	CUT_DO_PHASE,   /* what `phase` says: begin, the act, ok */
	CUT_DO_ABORT,   /* record ABORT */
	CUT_DO_STOP,    /* of an abort: stop the target that was started, closed */
	CUT_DO_RELEASE, /* then give the shop the source back */
	CUT_DO_UNDO,    /* then take back what was done to the target, and record that */
	CUT_DO_WAIT,    /* the source must answer first */
	CUT_DO_REFUSE,  /* it is committed: there is only forward, or --reverse */
};

struct cut_step {
	enum cut_act act;
	enum cut_phase phase; /* of CUT_DO_PHASE */
};

/* How far an abort has come, which is seen and not recorded. */
struct cut_undone {
	bool stopped;  /* the target does not run on the site's address */
	bool released; /* the source has acknowledged a release of this epoch */
};

/* The next step. undone counts behind an ABORT only. */
struct cut_step cut_next(const struct cut_facts *f, enum cut_old old, struct cut_undone undone,
			 enum cut_want want) MUST_CHECK;

/* Whether the epoch is at its end, and a new one may begin. */
bool cut_over(const struct cut_facts *f) MUST_CHECK;
bool cut_committed(const struct cut_facts *f) MUST_CHECK;
bool cut_aborted(const struct cut_facts *f) MUST_CHECK;
/* Whether the new instance is the right side, as all that is recorded has it. */
bool cut_moved(const struct cut_facts *f) MUST_CHECK;
/* Whether the source may be fenced for this epoch, as the journal has it. */
bool cut_may_be_fenced(const struct cut_facts *f) MUST_CHECK;

#endif
