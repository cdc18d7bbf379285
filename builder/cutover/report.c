/* report.c - what the journal says of its last epoch, for people and programs. */
#include "cutover/run.h"

#include "restore/ledger.h"
#include "stage/parts.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include <stdlib.h>
#include <string.h>

struct telling {
	uint64_t epoch;
	struct jval *rows;      /* of the timeline */
	struct jval *checks;    /* all of them */
	struct jval *begun;     /* data of the first record */
	struct jval *estimates; /* of any epoch of that way, the last */
	bool reverse;
	int64_t fence, smoke, open, first, fence_s, smoke_s, open_s;
};

static void telling_release(struct telling *t)
{
	jval_free(t->rows);
	jval_free(t->checks);
	jval_free(t->begun);
	jval_free(t->estimates);
}

static struct jval *row_of(struct telling *t, const char *word)
{
	for (size_t i = jval_len(t->rows); i-- > 0;) {
		struct jval *o = jval_at(t->rows, i);

		if (strcmp(jval_get_str(o, "phase"), word) == 0)
			return o;
	}
	return NULL;
}

static struct jval *add_row(struct telling *t, const struct cut_record *r, int64_t mono)
{
	struct jval *o = jval_object();

	jval_put_text(o, "phase", cut_phase_word(r->phase));
	jval_put_text(o, "time", r->time);
	jval_put_int(o, "at-ms", mono >= t->first ? mono - t->first : 0);
	jval_push(t->rows, o);
	return o;
}

static void take_checks(struct telling *t, const struct jval *data)
{
	const struct jval *list = jval_get(data, "checks");

	for (size_t i = 0; i < jval_len(list); i++)
		jval_push(t->checks, jval_ref(jval_at(list, i)));
}

static void take_moment(struct telling *t, const struct cut_record *r, int64_t mono)
{
	int64_t wall = 0;

	if (clock_parse(r->time, &wall) != 0)
		wall = 0;
	if (r->phase == CUT_FENCE && r->event == CUT_BEGIN && t->fence == 0) {
		t->fence = mono;
		t->fence_s = wall;
	} else if (r->phase == CUT_SMOKE && r->event == CUT_OK) {
		t->smoke = mono;
		t->smoke_s = wall;
	} else if (r->phase == CUT_OPEN && r->event == CUT_OK) {
		t->open = mono;
		t->open_s = wall;
	}
}

static int take(void *ctx, const struct cut_record *r, struct err *e)
{
	struct telling *t = ctx;
	const char *word = cut_phase_word(r->phase);
	const char *key = t->reverse ? "reverse-estimates" : "estimates";
	int64_t mono = cut_number(r->line, "mono");
	struct jval *row;

	(void)e;
	if (jval_get(r->data, key) != NULL) {
		jval_free(t->estimates);
		t->estimates = jval_ref(jval_get(r->data, key));
	}
	if (r->epoch != t->epoch)
		return 0;
	if (r->phase == CUT_PLAN) {
		t->first = mono;
		t->begun = r->data == NULL ? NULL : jval_ref((struct jval *)(uintptr_t)r->data);
	}
	take_moment(t, r, mono);
	take_checks(t, r->data);
	row = r->event == CUT_BEGIN ? NULL : row_of(t, word);
	if (row == NULL)
		row = add_row(t, r, mono);
	if (r->event == CUT_OK)
		jval_put(row, "ok", jval_bool(true));
	if (r->data != NULL && r->event == CUT_FAIL)
		jval_put_text(row, "error", jval_get_str(r->data, "error"));
	else if (r->data != NULL && r->event != CUT_BEGIN)
		jval_put(row, "data", jval_ref((struct jval *)(uintptr_t)r->data));
	if (r->data != NULL && jval_get(r->data, "ms") != NULL)
		jval_put_int(row, "ms", cut_number(r->data, "ms"));
	return 0;
}

/* One clock counts both ends, unless the machine was started again in between. */
static int64_t between(int64_t a, int64_t b, int64_t a_s, int64_t b_s)
{
	return b >= a ? b - a : (b_s - a_s) * 1000;
}

static const char *state_of(const struct cut_facts *f, const struct telling *t)
{
	int last = CUT_PLAN;

	if (f->epoch == 0)
		return "none";
	if (f->ok[CUT_DONE])
		return "done";
	if (cut_committed(f))
		return "committed";
	if (f->rehearsal && f->ok[CUT_ABORT])
		return row_of((struct telling *)(uintptr_t)t, "smoke") != NULL ? "rehearsed"
									       : "failed";
	if (cut_aborted(f))
		return f->ok[CUT_ABORT] ? "rolled-back" : "undoing";
	for (int i = CUT_PLAN; i < CUT_ABORT; i++)
		if (f->begun[i])
			last = i;
	return cut_phase_word((enum cut_phase)last);
}

static void put_totals(struct jval *v, struct telling *t)
{
	static const char *const from[] = {"verify", "smoke", "ready", "warm"};
	static const char *const keys[] = {"files", "bytes", "written-bytes"};
	int64_t passed = 0;

	for (size_t i = 0; i < sizeof(from) / sizeof(from[0]); i++) {
		const struct jval *data = jval_get(row_of(t, from[i]), "data");

		if (jval_get(data, "bytes") == NULL)
			continue;
		for (size_t k = 0; k < 3; k++)
			jval_put_int(v, keys[k], cut_number(data, keys[k]));
		break;
	}
	for (size_t i = 0; i < jval_len(t->checks); i++)
		passed += jval_get_bool(jval_at(t->checks, i), "passed");
	jval_put_int(v, "checks-passed", passed);
	jval_put_int(v, "checks-failed", (int64_t)jval_len(t->checks) - passed);
}

static void put_outage(struct jval *v, const struct telling *t)
{
	if (t->fence != 0 && t->smoke != 0)
		jval_put_int(v, "smoke-ms", between(t->fence, t->smoke, t->fence_s, t->smoke_s));
	if (t->fence != 0 && t->open != 0)
		jval_put_int(v, "outage-ms", between(t->fence, t->open, t->fence_s, t->open_s));
}

int cut_report(const struct cutover_opts *o, const struct journal *j, struct jval **ret,
	       struct err *e)
{
	const struct cut_facts *f = journal_facts(j);
	struct telling t SCOPED(telling_release) = {.epoch = f->epoch, .reverse = f->reverse};
	struct jval *v;

	t.rows = jval_array();
	t.checks = jval_array();
	if (journal_each(j, take, &t, e) != 0)
		return -1;
	v = jval_object();
	jval_put_text(v, "shop", o->s->shop);
	jval_put_text(v, "environment", site_env_word(o->s->env));
	jval_put_int(v, "epoch", (int64_t)f->epoch);
	jval_put_text(v, "run", journal_run(j));
	jval_put(v, "rehearsal", jval_bool(f->rehearsal));
	jval_put(v, "reverse", jval_bool(f->reverse));
	jval_put_text(v, "right", cut_moved(f) ? "new" : "old");
	if (jval_get_str(t.begun, "old") != NULL)
		jval_put_text(v, "old", jval_get_str(t.begun, "old"));
	jval_put_text(v, "state", state_of(f, &t));
	put_totals(v, &t);
	put_outage(v, &t);
	if (t.estimates != NULL)
		jval_put(v, "estimates", jval_ref(t.estimates));
	jval_put(v, "checks", STEAL(t.checks));
	jval_put(v, "phases", STEAL(t.rows));
	*ret = v;
	return 0;
}

int cut_estimates(const struct journal *j, bool reverse, struct jval **ret, struct err *e)
{
	struct telling t SCOPED(telling_release) = {.reverse = reverse};

	t.rows = jval_array();
	t.checks = jval_array();
	if (journal_each(j, take, &t, e) != 0)
		return -1;
	*ret = t.estimates == NULL ? NULL : STEAL(t.estimates);
	return 0;
}

static int put_line(struct cut_run *r, const struct jval *report, struct err *e)
{
	struct stage st SCOPED(stage_release) = {.ownfd = -1, .lock = -1};

	return stage_open_staged(r->s, r->o->so, &st, e) != 0
		   ? -1
		   : restore_ledger_append(st.ownfd, "cutover", report, e);
}

int cut_publish(struct cut_run *r, const struct jval *report, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(8 << 20);
	struct buf page SCOPED(buf_release) = BUF_INIT(8 << 20);
	uint64_t epoch = journal_facts(r->j)->epoch;
	char *json SCOPED(mem_freep) = mem_format("report-%llu.json", (unsigned long long)epoch);
	char *html SCOPED(mem_freep) = mem_format("report-%llu.html", (unsigned long long)epoch);

	jval_write_pretty(report, &text);
	cut_page(report, &page);
	if (buf_over(&text) || buf_over(&page))
		return err_set(e, ERR_FAIL, "the report is too long");
	if (fs_put(journal_dir(r->j), json, text.data, text.len, 0600, e) != 0 ||
	    fs_put(journal_dir(r->j), html, page.data, page.len, 0600, e) != 0)
		return -1;
	return put_line(r, report, e);
}

int cutover_status(const struct cutover_opts *o, struct jval **ret, struct err *e)
{
	char *dir SCOPED(mem_freep) = cut_dir(o);
	struct journal *j SCOPED(journal_closep) = NULL;

	return journal_look(dir, &j, e) != 0 ? -1 : cut_report(o, j, ret, e);
}
