#include "report/parts.h"

#include <stdlib.h>
#include <string.h>

enum { ROWS_MAX = 1000000, DAY = 86400, KIND_EVENTS = 6, CELL_MAX = 1 << 20 };

static const struct {
	const char *kind;
	const char *events[KIND_EVENTS]; /* that it is made of; none = all */
	int (*make)(const struct making *m, struct report *r, struct err *e);
} makers[] = {
    {"inventory", {"start", "stop", "crash", "destroy", "build"}, make_inventory},
    {"billing", {"start", "stop", "crash", "destroy"}, make_billing},
    {"patches", {"start", "stop", "destroy", "build", "outdated"}, make_patches},
    {"keys", {"key", "sign", "promote"}, make_keys},
    {"compliance", {"audit", "start", "stop", "crash", "destroy"}, make_compliance},
    {"backups", {"snapshot", "start", "destroy"}, make_backups},
    {"performance", {"build", "stage", "restore", "cutover"}, make_performance},
    {"ledger", {NULL}, make_ledger},
};
enum { MAKERS = sizeof(makers) / sizeof(makers[0]) };

const char *const report_kinds[] = {"inventory", "billing",     "patches", "keys", "compliance",
				    "backups",   "performance", "ledger",  NULL};

/* In the zone of the options, of the prices, or UTC. */
static int choose_zone(struct making *m, struct err *e)
{
	if (m->o->prices != NULL && prices_load(m->o->prices, &m->prices, e) != 0)
		return -1;
	m->zone = m->o->zone;
	if (m->zone == NULL && m->prices != NULL)
		m->zone = m->prices->zone;
	if (m->zone == NULL)
		m->zone = "UTC";
	return zone_use(m->zone, e);
}

static void making_end(struct making *m)
{
	sql_close(m->db);
	prices_free(m->prices);
}

static void put_ledgers(const struct ledgers *l, struct report *r)
{
	for (size_t i = 0; i < l->n; i++)
		report_fact(r, "Made from", "%s, lines 1 to %llu, the last %s", l->v[i].dir,
			    (unsigned long long)l->v[i].st.lines, digest_text(&l->v[i].st.last).s);
}

/* Of what a report was not made. */
static void put_damage(const struct ledgers *l, struct report *r)
{
	for (size_t i = 0; i < l->damage.places.n; i++) {
		char *what SCOPED(mem_freep) =
		    mem_format("%s: what was noted there is not in it", l->damage.places.v[i]);

		report_fact(r, "Damaged", "%s", what);
		strv_add(&r->remarks, what);
	}
	r->damaged = l->damage.n;
}

static int make(size_t k, const struct report_opts *o, struct report *r, struct err *e)
{
	struct making m SCOPED(making_end) = {.o = o};
	struct report_opts with = *o;
	struct ledgers states SCOPED(ledgers_release) = {0};
	const char *const *events = makers[k].events[0] != NULL ? makers[k].events : NULL;

	if (with.backup_s == 0)
		with.backup_s = DAY;
	m.o = &with;
	if (choose_zone(&m, e) != 0)
		return -1;
	m.from = o->from != 0 ? day_begin(o->from) : 0;
	m.until = o->until != 0 ? day_begin(o->until) : o->now;
	if (m.until > o->now)
		m.until = o->now;
	if (base_load(o, events, &m.db, &states, e) != 0)
		return -1;
	r->kind = makers[k].kind;
	r->zone = mem_strdup(m.zone);
	r->currency = mem_strdup(m.prices != NULL ? m.prices->currency : "");
	r->made = o->now;
	if (makers[k].make(&m, r, e) != 0)
		return err_in(e, "report %s", r->kind);
	put_ledgers(&states, r);
	put_damage(&states, r);
	return 0;
}

int report_make(const char *kind, const struct report_opts *o, struct report *ret, struct err *e)
{
	struct report r = {.kind = NULL};

	for (size_t k = 0; k < MAKERS; k++) {
		if (strcmp(makers[k].kind, kind) != 0)
			continue;
		if (make(k, o, &r, e) != 0) {
			report_release(&r);
			return -1;
		}
		*ret = r;
		return 0;
	}
	(void)err_set(e, ERR_USAGE, "report: no such kind: %.60s", kind);
	return err_hint(e, "inventory, billing, patches, keys, compliance, backups, performance, "
			   "ledger or sql");
}

static struct jval *value_of(struct sql_query *q, int at)
{
	const char *s = sql_column_text(q, at);

	if (s == NULL)
		return jval_null();
	return sql_column_is_integer(q, at) ? jval_int(sql_column_int(q, at)) : jval_text(s);
}

static int give_columns(struct sql_query *q, report_row_fn *fn, void *ctx, struct err *e)
{
	struct jval *row SCOPED(jval_freep) = jval_array();

	for (int i = 0; i < sql_columns(q); i++)
		jval_push(row, jval_text(sql_column_name(q, i)));
	return fn(ctx, row, e);
}

static int give_rows(struct sql_query *q, report_row_fn *fn, void *ctx, struct err *e)
{
	for (size_t n = 0;; n++) {
		struct jval *row SCOPED(jval_freep) = NULL;
		bool more;

		if (sql_next(q, &more, e) != 0)
			return -1;
		if (!more)
			return 0;
		if (n == ROWS_MAX) {
			(void)err_set(e, ERR_USAGE, "the answer has more than %d rows", ROWS_MAX);
			return err_hint(e, "LIMIT, or a sum");
		}
		row = jval_array();
		for (int i = 0; i < sql_columns(q); i++)
			jval_push(row, value_of(q, i));
		if (fn(ctx, row, e) != 0)
			return -1;
	}
}

int report_sql(const struct report_opts *o, const char *statement, report_row_fn *fn, void *ctx,
	       size_t *ret_damaged, struct err *e)
{
	struct ledgers states SCOPED(ledgers_release) = {.n = 0};
	struct sql *db SCOPED(sql_closep) = NULL;
	struct sql_query *q SCOPED(sql_query_freep) = NULL;

	if (base_load(o, NULL, &db, &states, e) != 0)
		return -1;
	*ret_damaged = states.damage.n;
	sql_only_read(db);
	if (sql_prepare(db, statement, &q, e) != 0 || give_columns(q, fn, ctx, e) != 0)
		return -1;
	return give_rows(q, fn, ctx, e);
}
