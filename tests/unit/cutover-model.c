/* cutover: every way that a cutover can go. The machine of the program, a model of the old server's
 * agent and of the new instance, and a network that loses and delays: each order of steps, crashes,
 * resumes, rollbacks, lapses and late messages, for three epochs there and back, is visited, and in
 * each state it must hold that
 *   no two sides serve, or have the address; who serves has every sale; COMMIT and ABORT exclude
 *   each other; and a resume, or a rollback, ends with one side serving.
 * Then one rule after the other is broken, and each must be missed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "cutover-world.h"

#include <cmocka.h>

enum { STATES_MAX = 1 << 22, NEXT_MAX = 64 };

static struct world *states;
static uint32_t *table;
static size_t states_n;
static const char *bad; /* what does not hold */

static size_t hash_of(const struct world *w)
{
	const unsigned char *p = (const unsigned char *)w;
	uint64_t h = 1469598103934665603U;

	for (size_t i = 0; i < sizeof(*w); i++)
		h = (h ^ p[i]) * 1099511628211U;
	return (size_t)(h ^ (h >> 29)) & (STATES_MAX * 2 - 1);
}

static void visit(const struct world *w)
{
	size_t at = hash_of(w);

	while (table[at] != 0 && memcmp(&states[table[at] - 1], w, sizeof(*w)) != 0)
		at = (at + 1) & (STATES_MAX * 2 - 1);
	if (table[at] != 0)
		return;
	assert_true(states_n < STATES_MAX);
	states[states_n++] = *w;
	table[at] = (uint32_t)states_n;
}

static bool send_message(struct world *w, const struct control *c)
{
	for (int i = 0; i < MESSAGES; i++)
		if (w->m[i].kind == NO_MESSAGE) {
			w->m[i] = (struct message){(uint8_t)asks(c), c->log.epoch};
			return true;
		}
	return false;
}

/* Who waits for it is told, when the answer is not lost. */
static void deliver(const struct world *w, int i, bool lost, struct world *to)
{
	struct message m = w->m[i];
	bool ok;

	*to = *w;
	to->m[i] = (struct message){0};
	ok = agent(to, m);
	for (int k = 0; k < 2 && !lost; k++) {
		struct control *c = &to->c[k];

		if (c->at != WAITS || asks(c) != m.kind || c->log.epoch != m.epoch)
			continue;
		c->at = !ok ? LOOKS : m.kind == YIELD ? STARTS : ENDS;
		if (ok && m.kind == HOLD)
			kept(to);
		if (ok && m.kind == RELEASE) {
			c->released = 1;
			c->at = LOOKS;
		}
		return;
	}
}

/* What a machine without one rule takes the journal for. */
static struct cut_facts believed(const struct control *c)
{
	struct cut_facts f = facts_of(&c->log);

	if (broken == RULE_HOLD && f.ok[CUT_SMOKE])
		f.ok[CUT_HOLD] = true;
	if (broken == RULE_HOLD_ACKED && f.begun[CUT_HOLD])
		f.ok[CUT_HOLD] = true;
	if (broken == RULE_NO_WAY_BACK && c->want == CUT_BACK && cut_committed(&f))
		f.ok[CUT_COMMIT] = f.ok[CUT_DONE] = false;
	return f;
}

static struct cut_step next_of(const struct control *c, enum cut_old old)
{
	struct cut_facts f = believed(c);
	struct cut_undone u = {.stopped = c->stopped, .released = c->released};
	struct cut_step s = cut_next(&f, old, u, (enum cut_want)c->want);
	bool phase = s.act == CUT_DO_PHASE;

	if (broken == RULE_COMMIT_FIRST && phase && s.phase == CUT_HOLD)
		s.phase = CUT_OPEN;
	if (broken == RULE_PASS_FENCED && phase && s.phase == CUT_FENCE && !f.ok[CUT_PASS])
		s.phase = CUT_PASS;
	if (broken == RULE_BACK_COMMITTED && phase && s.phase == CUT_HOLD && f.reverse)
		s.phase = CUT_OPEN;
	if (broken == RULE_ABORT_FIRST && s.act == CUT_DO_ABORT && !c->released)
		s.act = CUT_DO_RELEASE;
	return s;
}

static void decide(struct world *w, struct control *c, enum cut_old old)
{
	struct cut_step s = next_of(c, old);

	c->act = (uint8_t)s.act;
	c->phase = (uint8_t)(s.act == CUT_DO_PHASE ? s.phase : 0);
	if (s.act == CUT_DO_NOTHING || s.act == CUT_DO_REFUSE || s.act == CUT_DO_WAIT)
		*c = (struct control){0};
	else if (s.act != CUT_DO_PHASE || s.phase == CUT_COMMIT)
		c->at = ACTS;
	else
		c->at = BEGINS;
	(void)w;
}

/* An instance that is about to start is lent the address before, and a host that gives it back has
 * it no more. */
static void ask(struct world *w, struct control *c)
{
	if (!send_message(w, c)) {
		*c = (struct control){0};
		return;
	}
	if (asks(c) == BACK && broken != RULE_DOOR_FIRST)
		w->address = NOWHERE;
	c->at = WAITS;
	if (asks(c) == YIELD && w->old != FREE && w->old_epoch == c->log.epoch)
		w->lent = 1;
}

static void undo(struct world *w, struct control *c)
{
	if (c->act == CUT_DO_STOP) {
		c->stopped = 1;
		if (!c->log.reverse)
			stopped(w);
	} else {
		c->released = 1;
		opened(w);
	}
}

static void act(struct world *w, struct control *c)
{
	bool ok = true;

	if (asks(c) != NO_MESSAGE) {
		ask(w, c);
		return;
	}
	if (c->act == CUT_DO_PHASE && c->phase == CUT_COMMIT)
		ok = true;
	else if (c->act == CUT_DO_PHASE)
		ok = c->log.reverse ? back(w, c) : there(w, (enum cut_phase)c->phase);
	else if (c->act == CUT_DO_ABORT)
		ok = append(w, c, CUT_ABORT, CUT_BEGIN);
	else if (c->act == CUT_DO_UNDO)
		ok = append(w, c, CUT_ABORT, CUT_OK);
	else
		undo(w, c);
	c->at = ok && c->act == CUT_DO_PHASE ? ENDS : LOOKS;
	if (!ok)
		c->want = CUT_BACK;
}

/* One step of a control that is not waiting. */
static void advance(struct world *w, struct control *c)
{
	if (c->at == LOOKS)
		decide(w, c, answer(w, c));
	else if (c->at == BEGINS)
		c->at = append(w, c, (enum cut_phase)c->phase, CUT_BEGIN) ? ACTS : LOOKS;
	else if (c->at == ACTS)
		act(w, c);
	else if (c->at == STARTS) {
		c->at = starts(w) ? ENDS : LOOKS;
		if (c->at == LOOKS)
			c->want = CUT_BACK;
	} else if (c->at == ENDS) {
		(void)append(w, c, (enum cut_phase)c->phase, CUT_OK);
		c->at = LOOKS;
	}
}

/* A control takes up what the journal says, or begins. */
static bool start(struct world *w, struct control *c, enum cut_want want)
{
	struct cut_facts f = facts_of(&w->log);

	*c = (struct control){.log = w->log, .at = LOOKS, .want = (uint8_t)want};
	if (!cut_over(&f))
		return true;
	if (want == CUT_BACK || f.epoch == EPOCHS) {
		*c = (struct control){0};
		return false;
	}
	return append(w, c, CUT_PLAN, CUT_BEGIN);
}

static size_t next_of_control(const struct world *w, int k, struct world *to)
{
	const struct control *c = &w->c[k];
	size_t n = 0;

	if (c->at == DEAD) {
		for (int want = CUT_GO; want <= CUT_BACK; want++) {
			to[n] = *w;
			n += start(&to[n], &to[n].c[k], (enum cut_want)want);
		}
		return n;
	}
	to[n] = *w;
	to[n++].c[k] = (struct control){0}; /* it is killed */
	if (c->at == WAITS) {
		to[n] = *w;
		to[n++].c[k].at = LOOKS; /* it waits no longer */
		return n;
	}
	if (c->at == LOOKS && c->want == CUT_GO) {
		to[n] = *w;
		to[n++].c[k].want = CUT_BACK; /* over budget, or told so */
	}
	if (c->at == LOOKS) {
		to[n] = *w;
		decide(&to[n], &to[n].c[k], CUT_OLD_UNKNOWN);
		n++;
	}
	to[n] = *w;
	advance(&to[n], &to[n].c[k]);
	return n + 1;
}

/* Renewed by a control that lives, between its fence and HOLD. */
static bool renews(const struct world *w, const struct control *c)
{
	return c->at != DEAD && !c->log.reverse && w->old == LEASED &&
	       w->old_epoch == c->log.epoch && ((c->log.ok >> CUT_FENCE) & 1) &&
	       !((c->log.begun >> CUT_ABORT) & 1);
}

/* Of a way back: what the host of the instance and the old server do by themselves. */
static size_t next_of_return(const struct world *w, struct world *to)
{
	size_t n = 0;

	if (w->shut == LEAVING || (w->shut == LEFT && broken == RULE_STAYS_SHUT)) {
		to[n] = *w; /* its lease is over */
		opened(&to[n++]);
	}
	if (w->address == DOOR) {
		to[n] = *w; /* who kept it was killed */
		to[n++].address = NOWHERE;
	}
	if (w->tried) {
		to[n] = *w;
		to[n++].tried = 0;
	}
	return n;
}

static size_t next_of_time(const struct world *w, struct world *to)
{
	size_t n = next_of_return(w, to);

	if (w->lent) {
		to[n] = *w;
		let_go(&to[n++]);
	} else if (renews(w, &w->c[0])) {
		to[n] = *w;
		to[n++].lent = 1;
	}
	if ((w->old == LEASED && (!w->lent || broken == RULE_LET_GO)) ||
	    (w->old == HELD && broken == RULE_HELD_STAYS)) {
		to[n] = *w; /* the lease is over, or the old server was started again */
		freed(&to[n++]);
	}
	if (w->c[0].at != DEAD || w->c[1].at != DEAD)
		return n;
	if (w->instance == CLOSED) {
		to[n] = *w; /* the new host was started again, and its engine does not run */
		stopped(&to[n++]);
	}
	return n;
}

static size_t next_of_world(const struct world *w, struct world *to)
{
	size_t n = 0;

	for (int i = 0; i < MESSAGES; i++) {
		if (w->m[i].kind == NO_MESSAGE)
			continue;
		to[n] = *w;
		to[n++].m[i] = (struct message){0};
		deliver(w, i, false, &to[n++]);
		deliver(w, i, true, &to[n++]);
	}
	n += next_of_time(w, to + n);
	if (broken == RULE_LOCK || w->c[1].at == DEAD)
		n += next_of_control(w, 0, to + n);
	if (broken == RULE_LOCK)
		n += next_of_control(w, 1, to + n);
	return n;
}

static void holds(bool yes, const char *what)
{
	if (!yes && bad == NULL)
		bad = what;
}

static void check(const struct world *w)
{
	uint16_t commit = 1U << CUT_COMMIT, abort_bit = 1U << CUT_ABORT;
	struct cut_facts f = facts_of(&w->log);

	holds(w->old != FREE || w->instance != OPEN, "two sides serve");
	holds(!w->old_address || w->address == NOWHERE, "two sides have the address");
	holds(w->instance != OPEN || w->fresh, "sales are lost");
	holds(w->old != FREE || w->old_fresh, "sales are lost on the way back");
	holds(w->instance != OPEN || w->address == OWN, "the instance serves without its address");
	holds(w->old != FREE || w->old_address, "the old server serves without its address");
	holds(w->instance != OPEN || cut_moved(&f), "the instance serves and is not right");
	holds(w->old != FREE || !cut_moved(&f), "the old server serves and is not right");
	holds(!w->tried || w->old == HELD, "what is tried is not held");
	holds(!(w->log.ok & commit) || !(w->log.begun & abort_bit), "COMMIT and ABORT");
}

static bool serves(const struct world *w)
{
	return (w->old == FREE) != (w->instance == OPEN);
}

/* All that runs dies, what is on its way arrives or not, and one control works undisturbed. */
static void settles(const struct world *from, bool arrive, enum cut_want want)
{
	struct world w = *from, to;
	int steps = 0;

	memset(w.c, 0, sizeof(w.c));
	for (int i = 0; i < MESSAGES; i++) {
		if (w.m[i].kind != NO_MESSAGE && arrive) {
			deliver(&w, i, true, &to);
			w = to;
		}
		w.m[i] = (struct message){0};
	}
	if (facts_of(&w.log).epoch == 0 || !start(&w, &w.c[0], want)) {
		if (w.old != LEASED) /* which ends by itself */
			holds(serves(&w), "nobody serves");
		return;
	}
	for (; w.c[0].at != DEAD && steps < 400; steps++) {
		if (w.c[0].at == WAITS) {
			deliver(&w, 0, false, &to);
			w = to;
		} else {
			advance(&w, &w.c[0]);
		}
		check(&w);
	}
	holds(steps < 400, "it does not end");
	if (want == CUT_BACK && (w.log.ok & (1U << CUT_COMMIT)) && !serves(&w)) {
		settles(&w, false, CUT_GO);
		return;
	}
	holds(serves(&w), "nobody serves, or both");
}

static size_t explore(enum rule rule)
{
	static struct world to[NEXT_MAX];
	struct world first;

	memset(&first, 0, sizeof(first));
	first.old_address = first.old_fresh = 1;
	memset(table, 0, STATES_MAX * 2 * sizeof(*table));
	states_n = 0;
	bad = NULL;
	broken = rule;
	visit(&first);
	for (size_t i = 0; i < states_n && bad == NULL; i++) {
		size_t n = next_of_world(&states[i], to);

		assert_true(n <= NEXT_MAX);
		check(&states[i]);
		for (size_t k = 0; k < n; k++)
			visit(&to[k]);
		for (int k = 0; k < 4 && bad == NULL; k++)
			settles(&states[i], k & 1, k & 2 ? CUT_BACK : CUT_GO);
	}
	return states_n;
}

static int enter(void **state)
{
	(void)state;
	states = calloc(STATES_MAX, sizeof(*states));
	table = calloc(STATES_MAX * 2, sizeof(*table));
	return states == NULL || table == NULL;
}

static int leave(void **state)
{
	(void)state;
	free(states);
	free(table);
	return 0;
}

static void every_way_is_safe(void **state)
{
	size_t n = explore(RULE_NONE);
	bool seen_open = false, seen_undone = false, seen_back = false, seen_again = false;

	(void)state;
	print_message("%zu states\n", n);
	if (bad != NULL)
		fail_msg("%s", bad);
	for (size_t i = 0; i < n; i++) {
		const struct log *l = &states[i].log;
		bool done = (l->ok >> CUT_DONE) & 1, undone = (l->ok >> CUT_ABORT) & 1;

		seen_open |= states[i].instance == OPEN && done;
		seen_undone |= l->epoch == EPOCHS && undone;
		seen_back |= l->reverse && states[i].old == FREE && done;
		seen_again |= l->epoch == EPOCHS && states[i].instance == OPEN && done;
	}
	assert_true(seen_open && seen_undone && seen_back && seen_again);
	assert_true(n > 1000);
}

static void each_rule_is_needed(void **state)
{
	(void)state;
	for (int r = RULE_NONE + 1; r < RULES; r++) {
		size_t n = explore((enum rule)r);

		if (bad == NULL)
			fail_msg("without \"%s\" nothing goes wrong in %zu states", rule_names[r],
				 n);
		print_message("without \"%s\": %s, after %zu states\n", rule_names[r], bad, n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_way_is_safe),
	    cmocka_unit_test(each_rule_is_needed),
	};

	return cmocka_run_group_tests(tests, enter, leave);
}
