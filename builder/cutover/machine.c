#include "cutover/machine.h"

#include <string.h>

static const char *const phases[CUT_PHASES] = {
    "plan",  "preflight", "warm", "ready",  "announce", "fence", "last-pass", "verify",
    "start", "smoke",     "hold", "commit", "open",     "after", "done",      "abort"};
static const char *const events[CUT_EVENTS] = {"begin", "ok", "fail", "note"};

const char *cut_phase_word(enum cut_phase p)
{
	return phases[p];
}

const char *cut_event_word(enum cut_event v)
{
	return events[v];
}

static int word_of(const char *const *words, int n, const char *word)
{
	for (int i = 0; i < n; i++)
		if (strcmp(words[i], word) == 0)
			return i;
	return -1;
}

int cut_phase_of(const char *word)
{
	return word_of(phases, CUT_PHASES, word);
}

int cut_event_of(const char *word)
{
	return word_of(events, CUT_EVENTS, word);
}

bool cut_committed(const struct cut_facts *f)
{
	return f->ok[CUT_COMMIT];
}

bool cut_aborted(const struct cut_facts *f)
{
	return f->begun[CUT_ABORT];
}

bool cut_over(const struct cut_facts *f)
{
	return f->epoch == 0 || f->ok[CUT_DONE] || f->ok[CUT_ABORT];
}

bool cut_moved(const struct cut_facts *f)
{
	return cut_committed(f) ? !f->reverse : f->reverse;
}

bool cut_may_be_fenced(const struct cut_facts *f)
{
	return f->begun[CUT_FENCE] && !f->ok[CUT_ABORT];
}

/* All that comes before it is done. */
static bool reached(const struct cut_facts *f, enum cut_phase p)
{
	for (int i = CUT_PREFLIGHT; i < (int)p; i++)
		if (!f->ok[i])
			return false;
	return true;
}

static bool may_begin(const struct cut_facts *f, enum cut_phase p)
{
	if (p == CUT_ABORT)
		return !cut_committed(f);
	return !cut_aborted(f) && reached(f, p);
}

/* COMMIT is one record, and has no beginning. */
static bool may_end(const struct cut_facts *f, enum cut_phase p)
{
	if (p == CUT_COMMIT)
		return may_begin(f, p);
	return f->begun[p] && (p == CUT_ABORT || !cut_aborted(f));
}

static bool may_come(const struct cut_facts *f, enum cut_phase p, enum cut_event v)
{
	if (p == CUT_PLAN)
		return false;
	return v == CUT_OK ? may_end(f, p) : p != CUT_COMMIT && may_begin(f, p);
}

static int begin(struct cut_facts *f, uint64_t epoch)
{
	if (epoch != f->epoch + 1 || !cut_over(f))
		return -1;
	*f = (struct cut_facts){.epoch = epoch, .reverse = cut_moved(f)};
	f->begun[CUT_PLAN] = true;
	return 0;
}

int cut_take(struct cut_facts *f, uint64_t epoch, enum cut_phase p, enum cut_event v)
{
	if (p == CUT_PLAN && v == CUT_BEGIN)
		return begin(f, epoch);
	if (epoch != f->epoch || cut_over(f))
		return -1;
	if (v == CUT_FAIL || v == CUT_NOTE)
		return 0;
	if (!may_come(f, p, v))
		return -1;
	(v == CUT_OK ? f->ok : f->begun)[p] = true;
	return 0;
}

static struct cut_step step(enum cut_act act)
{
	return (struct cut_step){act, CUT_PLAN};
}

static struct cut_step back(const struct cut_facts *f, enum cut_old old, struct cut_undone undone)
{
	if (!undone.stopped)
		return step(CUT_DO_STOP);
	if (!f->begun[CUT_FENCE] || undone.released)
		return step(CUT_DO_UNDO);
	return step(old == CUT_OLD_UNKNOWN ? CUT_DO_WAIT : CUT_DO_RELEASE);
}

static enum cut_phase first_open(const struct cut_facts *f)
{
	int p = CUT_PREFLIGHT;

	while (p < CUT_DONE && f->ok[p])
		p++;
	return (enum cut_phase)p;
}

/* Behind the fence and before COMMIT the source must be known to be fenced for us; once it is
 * held only a release undoes that, and for a release there would be an ABORT. */
static struct cut_step forward(const struct cut_facts *f, enum cut_old old)
{
	struct cut_step next = {CUT_DO_PHASE, first_open(f)};

	if (next.phase < CUT_FENCE || next.phase > CUT_HOLD)
		return next;
	if (old == CUT_OLD_UNKNOWN)
		return step(CUT_DO_WAIT);
	if (old == CUT_OLD_OTHER || old == CUT_OLD_FELL ||
	    (f->ok[CUT_FENCE] && old == CUT_OLD_FREE))
		return step(CUT_DO_ABORT);
	return next;
}

struct cut_step cut_next(const struct cut_facts *f, enum cut_old old, struct cut_undone undone,
			 enum cut_want want)
{
	if (cut_over(f))
		return step(want == CUT_BACK && cut_committed(f) ? CUT_DO_REFUSE : CUT_DO_NOTHING);
	if (cut_committed(f))
		return want == CUT_BACK ? step(CUT_DO_REFUSE) : forward(f, old);
	if (cut_aborted(f))
		return back(f, old, undone);
	if (want == CUT_BACK)
		return step(CUT_DO_ABORT);
	return forward(f, old);
}
