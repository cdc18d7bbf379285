/* cutover-world.h - a shop as the model of a cutover has it: the old server and its agent, the new
 * instance, the address that goes from one to the other, a journal, and a network that loses and
 * delays. A rule of them may be broken. */
#ifndef TEST_CUTOVER_WORLD_H
#define TEST_CUTOVER_WORLD_H

#include "cutover/machine.h"

#include <string.h>

enum { EPOCHS = 3, MESSAGES = 2 };

enum rule {
	RULE_NONE,
	RULE_HOLD,           /* COMMIT only behind a HOLD */
	RULE_HOLD_ACKED,     /* which was answered */
	RULE_ABORT_FIRST,    /* ABORT is recorded before the release is sent */
	RULE_LAPSED_IS_LOST, /* the agent holds no lease that is over */
	RULE_NO_REFENCE,     /* the agent puts up no fence again that fell in its epoch */
	RULE_OLD_EPOCHS,     /* the agent refuses older epochs */
	RULE_HELD_STAYS,     /* what is held does not lapse */
	RULE_LOCK,           /* one control at a time */
	RULE_COMMIT_FIRST,   /* the instance is opened behind COMMIT */
	RULE_NO_WAY_BACK,    /* behind COMMIT there is no ABORT */
	RULE_PASS_FENCED,    /* the last pass is behind the fence */
	RULE_YIELD_FIRST,    /* the old server gives the address up before the instance has it */
	RULE_LET_GO,         /* what is lent ends before the lease does */
	RULE_PLACED,         /* who is opened has the address again that it let go of */
	RULE_SHUT_FIRST,     /* a reverse shuts the instance before its last pass */
	RULE_STAYS_SHUT,     /* what is shut does not start with its host */
	RULE_BACK_COMMITTED, /* a reverse lets the old server go behind COMMIT */
	RULE_RECEIVES_HELD,  /* only a server that is held receives data */
	RULE_LAPSED_BACK,    /* an instance whose lease is over is not gone for good */
	RULE_TRIED_SHUT,     /* a trial of the old server is without its address */
	RULE_KEPT_HELD,      /* the address is the instance's own only behind HOLD */
	RULE_DOOR_FIRST,     /* who says that nobody serves is gone before the way back */
	RULES,
};

static const char *const rule_names[RULES] = {"none",
					      "hold",
					      "hold is acknowledged",
					      "abort before release",
					      "a lapsed lease is lost",
					      "no second fence",
					      "older epochs are refused",
					      "held stays",
					      "one control",
					      "commit before open",
					      "no way back",
					      "last pass behind the fence",
					      "yield before start",
					      "let go before the lease ends",
					      "placed when it is opened",
					      "shut before the last pass back",
					      "shut stays",
					      "commit before the way back",
					      "who receives is held",
					      "a lapsed lease is lost on the way back",
					      "a trial without the address",
					      "the address is kept behind HOLD",
					      "the door is shut before the way back"};
static enum rule broken;

enum side { FREE, LEASED, HELD };
enum instance { OFF, CLOSED, OPEN };
/* Of the new host: DOOR = nobody serves there, and whoever comes is told so. */
enum address { NOWHERE, LENT, OWN, DOOR };
enum kind { NO_MESSAGE, FENCE, YIELD, HOLD, RELEASE, RECEIVE, TRY, BACK };
/* What a reverse did to the instance: nothing, ended until its lease is over, or for good. */
enum shut { HERE, LEAVING, LEFT };

/* Where a control is between two looks. */
enum at { DEAD, LOOKS, BEGINS, ACTS, WAITS, STARTS, ENDS };

struct log {
	uint16_t begun, ok;
	uint8_t epoch, reverse;
};

struct control {
	struct log log; /* what it read */
	uint8_t at, want, act, phase, stopped, released;
};

struct message {
	uint8_t kind, epoch;
};

struct world {
	struct log log;
	uint8_t old, old_epoch, old_closed, old_address;
	uint8_t instance, shut, address;
	uint8_t tried;            /* the old application runs, and nobody can come */
	uint8_t lent;             /* the lease surely goes on */
	uint8_t old_fresh, fresh; /* has every sale */
	struct control c[2];
	struct message m[MESSAGES];
};

static struct cut_facts facts_of(const struct log *l)
{
	struct cut_facts f = {.epoch = l->epoch, .reverse = l->reverse};

	for (int i = 0; i < CUT_PHASES; i++) {
		f.begun[i] = (l->begun >> i) & 1;
		f.ok[i] = (l->ok >> i) & 1;
	}
	return f;
}

/* As journal_append: what the control believes decides whether it may, and the file has it. */
static bool append(struct world *w, struct control *c, enum cut_phase p, enum cut_event v)
{
	struct cut_facts f = facts_of(&c->log);
	uint64_t epoch = p == CUT_PLAN ? f.epoch + 1 : f.epoch;
	bool forced = broken == RULE_NO_WAY_BACK || broken == RULE_HOLD ||
		      broken == RULE_COMMIT_FIRST || broken == RULE_HOLD_ACKED ||
		      broken == RULE_PASS_FENCED || broken == RULE_BACK_COMMITTED;

	if (cut_take(&f, epoch, p, v) != 0 && !forced)
		return false;
	if (p == CUT_PLAN) {
		c->log = (struct log){
		    .begun = 1, .epoch = (uint8_t)epoch, .reverse = (uint8_t)f.reverse};
		w->log = c->log;
		return true;
	}
	if (v == CUT_BEGIN) {
		c->log.begun |= (uint16_t)(1U << p);
		w->log.begun |= (uint16_t)(1U << p);
	} else {
		c->log.ok |= (uint16_t)(1U << p);
		w->log.ok |= (uint16_t)(1U << p);
	}
	return true;
}

/* It sells. */
static void freed(struct world *w)
{
	w->old = FREE;
	w->old_address = 1;
	w->lent = 0;
	w->fresh = 0;
	w->tried = 0;
}

/* So does it. */
static void opened(struct world *w)
{
	w->instance = OPEN;
	w->shut = HERE;
	w->lent = 0;
	if (broken != RULE_PLACED || w->address != NOWHERE)
		w->address = OWN;
	w->old_fresh = 0;
}

static void stopped(struct world *w)
{
	w->instance = OFF;
	w->address = NOWHERE;
}

/* What the old server can take back no more is lent no more. */
static void kept(struct world *w)
{
	if (w->address == LENT)
		w->address = OWN;
}

/* The kernel of the new host takes away what is not lent any more. */
static void let_go(struct world *w)
{
	w->lent = 0;
	if (w->address == LENT)
		w->address = NOWHERE;
}

static bool agent_fence(struct world *w, uint8_t epoch)
{
	if (w->old != FREE)
		return w->old_epoch == epoch;
	if (w->old_epoch == epoch && (w->old_closed || broken != RULE_NO_REFENCE))
		return false;
	w->old = LEASED;
	w->old_epoch = epoch;
	w->old_closed = 0;
	return true;
}

static bool agent_yield(struct world *w, uint8_t epoch)
{
	if (w->old_epoch != epoch || w->old == FREE)
		return false;
	if (broken != RULE_YIELD_FIRST)
		w->old_address = 0;
	return true;
}

static bool agent_hold(struct world *w, uint8_t epoch)
{
	if (w->old_epoch != epoch || (w->old == FREE && broken != RULE_LAPSED_IS_LOST) ||
	    (w->old_address && broken != RULE_YIELD_FIRST && broken != RULE_LAPSED_IS_LOST))
		return false;
	w->old = HELD;
	return true;
}

static bool agent_release(struct world *w, uint8_t epoch)
{
	if (epoch > w->old_epoch) {
		if (w->old != FREE)
			return false;
		w->old_epoch = epoch;
	}
	w->old_closed = 1;
	freed(w);
	return true;
}

/* Opens a way to write the data, of a name that only who gets the answer knows: what comes late is
 * nobody's. One that works would have what it sold written over. */
static bool agent_receive(struct world *w, uint8_t epoch)
{
	if (w->old != HELD && broken != RULE_RECEIVES_HELD)
		return false;
	w->old_epoch = epoch;
	w->old_closed = 0;
	w->tried = 0;
	if (w->old != HELD)
		w->old_fresh = 0;
	return true;
}

/* It starts on what came back, as long as its lease goes on or until it receives once more. */
static bool agent_try(struct world *w, uint8_t epoch)
{
	if (w->old != HELD || epoch != w->old_epoch)
		return false;
	w->tried = 1;
	if (broken == RULE_TRIED_SHUT)
		w->old_address = 1;
	return true;
}

static bool agent_back(struct world *w, uint8_t epoch)
{
	if (epoch != w->old_epoch || w->old == LEASED)
		return false;
	w->old_closed = 1;
	freed(w);
	return true;
}

static bool agent(struct world *w, struct message m)
{
	if (m.epoch < w->old_epoch) {
		if (broken != RULE_OLD_EPOCHS)
			return false;
		m.epoch = w->old_epoch;
	}
	switch (m.kind) {
	case FENCE:
		return agent_fence(w, m.epoch);
	case YIELD:
		return agent_yield(w, m.epoch);
	case HOLD:
		return agent_hold(w, m.epoch);
	case RECEIVE:
		return agent_receive(w, m.epoch);
	case TRY:
		return agent_try(w, m.epoch);
	case BACK:
		return agent_back(w, m.epoch);
	default:
		return agent_release(w, m.epoch);
	}
}

/* What a control has to ask the agent for what it is at. */
static enum kind asks(const struct control *c)
{
	static const uint8_t there[CUT_PHASES] = {
	    [CUT_FENCE] = FENCE, [CUT_START] = YIELD, [CUT_HOLD] = HOLD};
	static const uint8_t back[CUT_PHASES] = {
	    [CUT_WARM] = RECEIVE, [CUT_START] = TRY, [CUT_OPEN] = BACK};

	if (c->act == CUT_DO_RELEASE)
		return c->log.reverse ? NO_MESSAGE : RELEASE;
	if (c->act != CUT_DO_PHASE)
		return NO_MESSAGE;
	return (enum kind)(c->log.reverse ? back : there)[c->phase];
}

static enum cut_old answer(const struct world *w, const struct control *c)
{
	if (c->log.reverse)
		return w->shut == LEFT      ? CUT_OLD_HELD
		       : w->shut == LEAVING ? CUT_OLD_LEASED
					    : CUT_OLD_FREE;
	if (w->old == FREE)
		return w->old_epoch == c->log.epoch ? CUT_OLD_FELL : CUT_OLD_FREE;
	if (w->old_epoch != c->log.epoch)
		return CUT_OLD_OTHER;
	return w->old == HELD ? CUT_OLD_HELD : CUT_OLD_LEASED;
}

/* What a phase does without asking anybody; false: it failed. */
static bool there(struct world *w, enum cut_phase p)
{
	if (p == CUT_PASS)
		w->fresh = w->old != FREE && w->old_fresh;
	if (p == CUT_VERIFY && (!w->fresh || w->old == FREE) && broken != RULE_PASS_FENCED)
		return false;
	if (p == CUT_OPEN)
		opened(w);
	return true;
}

/* The instance ends, and who comes is told at its door. */
static void leaves(struct world *w)
{
	w->shut = w->shut == LEFT ? LEFT : LEAVING;
	if (broken == RULE_SHUT_FIRST)
		return;
	w->instance = OFF;
	w->address = DOOR;
}

static bool leaves_for_good(struct world *w)
{
	if (w->shut == HERE && broken != RULE_LAPSED_BACK)
		return false;
	w->shut = LEFT;
	return true;
}

static bool back(struct world *w, const struct control *c)
{
	bool held = w->old == HELD && w->old_epoch == c->log.epoch;

	if (c->phase == CUT_FENCE)
		leaves(w);
	if (c->phase == CUT_HOLD)
		return leaves_for_good(w);
	if (c->phase == CUT_PASS && (!held || w->tried))
		return false;
	if (c->phase == CUT_PASS)
		w->old_fresh = w->fresh && (w->instance != OPEN || broken == RULE_SHUT_FIRST);
	return c->phase != CUT_VERIFY || (held && w->old_fresh);
}

/* The instance that starts, closed, with what is lent. */
static bool starts(struct world *w)
{
	if (!w->lent)
		return false;
	if (w->instance == OFF) {
		w->instance = CLOSED;
		w->shut = HERE;
		w->address = broken == RULE_KEPT_HELD ? OWN : LENT;
	}
	return true;
}

#endif
