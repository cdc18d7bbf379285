/* billing.c - how long instances ran, by shop, month and price.
 *
 * Time is cut at quarters of an hour: clocks of all zones go over to another offset, and months and
 * prices begin, at one. So an hour that a clock shows twice is two hours, and one that it leaves
 * out is none. */
#include "report/parts.h"

#include <stdlib.h>
#include <string.h>

enum { QUARTER_S = 900, ENVS = 3, QUARTERS_MAX = 100 * 366 * DAY_QUARTERS };

/* One line of a bill while it is summed up. */
struct line {
	char *shop, *env;
	int month, price;
	int64_t seconds, starts, crashes;
};

/* What the clocks showed from `first` on, one moment a quarter. */
struct grid {
	int64_t first;
	struct moment *v;
	size_t *month; /* where the next month begins, or the grid ends */
	size_t n;
};

struct bill {
	const struct making *m;
	struct grid grid;
	struct line *v;
	size_t n, cap;
	/* the instance that is looked at, which runs since; 0 = it does not */
	char *shop, *env;
	int64_t since, last; /* last: when it ended before */
	bool unsure;         /* some end is not known */
	int64_t unseen;      /* ends that nobody saw */
};

static void bill_release(struct bill *b)
{
	for (size_t i = 0; i < b->n; i++) {
		free(b->v[i].shop);
		free(b->v[i].env);
	}
	free(b->v);
	free(b->grid.v);
	free(b->grid.month);
	free(b->shop);
	free(b->env);
}

static int grid_make(struct grid *g, int64_t from, int64_t until, struct err *e)
{
	g->first = from - from % QUARTER_S;
	if (until <= g->first)
		return 0;
	g->n = (size_t)((until - g->first) / QUARTER_S + 1);
	if (g->n > QUARTERS_MAX)
		return err_set(e, ERR_USAGE, "the times are more than a hundred years apart");
	g->v = mem_resize(NULL, g->n, sizeof(*g->v));
	for (size_t i = 0; i < g->n; i++)
		g->v[i] = moment_of(g->first + (int64_t)i * QUARTER_S);
	g->month = mem_resize(NULL, g->n, sizeof(*g->month));
	for (size_t i = g->n; i-- > 0;)
		g->month[i] =
		    i + 1 < g->n && g->v[i + 1].month == g->v[i].month ? g->month[i + 1] : i + 1;
	return 0;
}

/* The line of the present instance, mostly the last one or near it. */
static struct line *line_of(struct bill *b, int month, int price)
{
	for (size_t i = b->n; i > 0; i--) {
		struct line *l = &b->v[i - 1];

		if (strcmp(l->shop, b->shop) != 0 || strcmp(l->env, b->env) != 0)
			break;
		if (l->month == month && l->price == price)
			return l;
	}
	if (b->n == b->cap) {
		b->cap = b->cap == 0 ? 64 : 2 * b->cap;
		b->v = mem_resize(b->v, b->cap, sizeof(*b->v));
	}
	b->v[b->n] = (struct line){
	    .shop = mem_strdup(b->shop), .env = mem_strdup(b->env), .month = month, .price = price};
	return &b->v[b->n++];
}

static int price_at(const struct bill *b, const struct moment *w)
{
	return b->m->prices != NULL ? prices_find(b->m->prices, b->shop, b->env, w) : -1;
}

/* The moment of a time in the grid, NULL outside of it. */
static const struct moment *moment_in(const struct bill *b, int64_t t)
{
	const struct grid *g = &b->grid;

	if (t < b->m->from || t >= b->m->until || t < g->first)
		return NULL;
	return (size_t)(t - g->first) / QUARTER_S < g->n ? &g->v[(size_t)(t - g->first) / QUARTER_S]
							 : NULL;
}

static void add_run(struct bill *b, int64_t from, int64_t until)
{
	const struct grid *g = &b->grid;
	struct line *l = NULL;

	if (from < b->m->from)
		from = b->m->from;
	if (from < g->first)
		from = g->first;
	if (until > b->m->until)
		until = b->m->until;
	while (from < until) {
		size_t at = (size_t)(from - g->first) / QUARTER_S;
		/* without prices nothing changes before the month does */
		size_t end = b->m->prices != NULL ? at + 1 : g->month[at];
		int64_t next = g->first + (int64_t)end * QUARTER_S;
		const struct moment *w = &g->v[at];
		int price = price_at(b, w);

		if (l == NULL || l->month != w->month || l->price != price)
			l = line_of(b, w->month, price);
		if (next > until)
			next = until;
		l->seconds += next - from;
		from = next;
	}
}

static void count(struct bill *b, int64_t t, bool crash)
{
	const struct moment *w = moment_in(b, t);
	struct line *l = w != NULL ? line_of(b, w->month, price_at(b, w)) : NULL;

	if (l != NULL && crash)
		l->crashes++;
	else if (l != NULL)
		l->starts++;
}

static void end_run(struct bill *b, int64_t t)
{
	b->unsure |= t < b->since;
	if (b->since != 0)
		add_run(b, b->since, t);
	b->since = 0;
}

static int next_instance(struct bill *b, int64_t place, struct err *e)
{
	struct sql_query *q SCOPED(sql_query_freep) = NULL;
	bool there;

	if (b->shop != NULL)
		end_run(b, b->m->until);
	if (sql_prepare(b->m->db, "SELECT shop, env FROM place WHERE id = ?", &q, e) != 0)
		return -1;
	sql_int(q, 1, place);
	if (sql_next(q, &there, e) != 0)
		return -1;
	free(b->shop);
	free(b->env);
	b->last = 0;
	b->shop = mem_strdup(there ? sql_column_text(q, 0) : "");
	b->env = mem_strdup(there ? sql_column_text(q, 1) : "");
	return 0;
}

/* at: when it was, of what was told later; 0 = then. */
static void one_event(struct bill *b, const char *kind, int64_t t, int64_t at)
{
	int64_t when = at != 0 && at < t ? at : t;

	if (strcmp(kind, "start") == 0) {
		/* no end was told of: it is not known to have run until now */
		b->unsure |= b->since != 0;
		end_run(b, b->since);
		b->since = when > b->last ? when : b->last;
		count(b, b->since, false);
		return;
	}
	if (strcmp(kind, "crash") == 0 && b->since != 0)
		count(b, when, true);
	end_run(b, when >= b->since ? when : t);
	b->last = when > b->last ? when : b->last;
}

static int read_runs(struct bill *b, struct err *e)
{
	static const char query[] =
	    "SELECT place, kind, t, ended, unseen FROM ran ORDER BY place, t, id";
	struct sql_query *q SCOPED(sql_query_freep) = NULL;
	int64_t place = 0;

	if (sql_prepare(b->m->db, query, &q, e) != 0)
		return -1;
	for (;;) {
		bool more;

		if (sql_next(q, &more, e) != 0)
			return -1;
		if (!more)
			break;
		if (sql_column_int(q, 0) != place) {
			place = sql_column_int(q, 0);
			if (next_instance(b, place, e) != 0)
				return -1;
		}
		b->unseen += sql_column_int(q, 4);
		one_event(b, sql_column_text(q, 1), sql_column_int(q, 2), sql_column_int(q, 3));
	}
	if (b->shop != NULL)
		end_run(b, b->m->until);
	return 0;
}

static int by_bill(const void *a, const void *b)
{
	const struct line *x = a, *y = b;
	int d = strcmp(x->shop, y->shop);

	if (d == 0)
		d = strcmp(x->env, y->env);
	if (d == 0)
		d = x->month - y->month;
	return d != 0 ? d : (x->price > y->price) - (x->price < y->price);
}

/* Hundredths, half a one up. Hours and the rest apart, so that nothing overflows. */
static int64_t cost(const struct bill *b, const struct line *l)
{
	const int64_t unit = 3600LL * 10000;
	int64_t micro, whole;

	if (l->price < 0)
		return 0;
	micro = b->m->prices->v[l->price].micro;
	whole = micro * (l->seconds / 3600);
	return whole / 10000 +
	       (whole % 10000 * 3600 + micro * (l->seconds % 3600) + unit / 2) / unit;
}

static const struct report_column by_month[] = {
    {"shop", "Shop", REPORT_TEXT},       {"env", "Environment", REPORT_TEXT},
    {"month", "Month", REPORT_TEXT},     {"seconds", "Ran", REPORT_SECONDS},
    {"starts", "Starts", REPORT_NUMBER}, {"crashes", "Crashes", REPORT_NUMBER},
    {"amount", "Amount", REPORT_MONEY},
};
static const struct report_column by_price[] = {
    {"shop", "Shop", REPORT_TEXT},      {"env", "Environment", REPORT_TEXT},
    {"month", "Month", REPORT_TEXT},    {"price", "Price", REPORT_TEXT},
    {"seconds", "Ran", REPORT_SECONDS}, {"amount", "Amount", REPORT_MONEY},
};

static bool same_bill(const struct line *a, const struct line *b)
{
	return strcmp(a->shop, b->shop) == 0 && strcmp(a->env, b->env) == 0 && a->month == b->month;
}

static void put_months(const struct bill *b, struct report *r)
{
	struct report_table *t = table_new(r, "months", "Run time by shop and month", by_month,
					   b->m->prices != NULL ? 7 : 6);

	t->none = "Nothing ran in this time.";
	for (size_t i = 0; i < b->n;) {
		char *month SCOPED(mem_freep) = month_name(b->v[i].month);
		struct report_cell *c = table_row(t);
		int64_t sum[4] = {0};
		size_t k = i;

		for (; k < b->n && same_bill(&b->v[i], &b->v[k]); k++) {
			sum[0] += b->v[k].seconds;
			sum[1] += b->v[k].starts;
			sum[2] += b->v[k].crashes;
			sum[3] += cost(b, &b->v[k]);
		}
		cell_text(&c[0], b->v[i].shop);
		cell_text(&c[1], b->v[i].env);
		cell_text(&c[2], month);
		for (size_t n = 0; n < 3 + (b->m->prices != NULL ? 1u : 0u); n++)
			cell_number(&c[3 + n], sum[n]);
		i = k;
	}
}

static void put_prices(const struct bill *b, struct report *r)
{
	struct report_table *t;

	if (b->m->prices == NULL)
		return;
	t = table_new(r, "slices", "The same by price", by_price, 6);
	t->none = "Nothing ran in this time.";
	for (size_t i = 0; i < b->n; i++) {
		const struct line *l = &b->v[i];
		char *month SCOPED(mem_freep) = month_name(l->month);
		struct report_cell *c;

		if (l->seconds == 0)
			continue;
		c = table_row(t);
		cell_text(&c[0], l->shop);
		cell_text(&c[1], l->env);
		cell_text(&c[2], month);
		cell_text(&c[3], l->price >= 0 ? b->m->prices->v[l->price].name : "no price");
		cell_number(&c[4], l->seconds);
		cell_number(&c[5], cost(b, l));
	}
}

/* How long instances of each environment ran in each month from `first` on, one row a month. */
static int64_t *sum_up(const struct bill *b, const char *const *envs, int first, int last,
		       int64_t *ret_all)
{
	int64_t *sum = mem_zalloc((size_t)(last - first + 1) * ENVS * sizeof(*sum));

	for (size_t i = 0; i < b->n; i++)
		for (int k = 0; k < ENVS; k++)
			if (strcmp(b->v[i].env, envs[k]) == 0) {
				sum[(b->v[i].month - first) * ENVS + k] += b->v[i].seconds;
				ret_all[k] += b->v[i].seconds;
			}
	return sum;
}

static void put_chart(const struct bill *b, struct report *r)
{
	static const char *const envs[ENVS] = {"prod", "qa", "dev"};
	int64_t *sum SCOPED(mem_freep) = NULL, all[ENVS] = {0};
	struct report_chart *c;
	int first = INT32_MAX, last = INT32_MIN;

	for (size_t i = 0; i < b->n; i++) {
		first = b->v[i].month < first ? b->v[i].month : first;
		last = b->v[i].month > last ? b->v[i].month : last;
	}
	if (b->n == 0)
		return;
	sum = sum_up(b, envs, first, last, all);
	c = chart_new(r, "Run time of all shops", REPORT_SECONDS);
	for (int k = 0; k < ENVS; k++)
		if (all[k] > 0)
			c->series[c->series_n++] = envs[k];
	for (int month = first; c->series_n > 0 && month <= last; month++) {
		char *name SCOPED(mem_freep) = month_name(month);
		int64_t v[ENVS] = {0};
		size_t n = 0;

		for (int k = 0; k < ENVS; k++)
			if (all[k] > 0)
				v[n++] = sum[(month - first) * ENVS + k];
		chart_add(c, name, v);
	}
}

static int first_run(const struct making *m, int64_t *ret, struct err *e)
{
	struct sql_query *q SCOPED(sql_query_freep) = NULL;
	bool more;

	if (sql_prepare(m->db, "SELECT min(min(t), coalesce(min(ended), min(t))) FROM ran", &q,
			e) != 0 ||
	    sql_next(q, &more, e) != 0)
		return -1;
	*ret = sql_column_text(q, 0) != NULL ? sql_column_int(q, 0) : m->until;
	return 0;
}

int make_billing(const struct making *m, struct report *r, struct err *e)
{
	struct bill b SCOPED(bill_release) = {.m = m};
	int64_t first = 0;

	r->title = "Billing";
	r->about = "How long the instances of each shop ran, by month.";
	if (first_run(m, &first, e) != 0 ||
	    grid_make(&b.grid, first > m->from ? first : m->from, m->until, e) != 0 ||
	    read_runs(&b, e) != 0)
		return -1;
	if (b.n > 0)
		qsort(b.v, b.n, sizeof(*b.v), by_bill);
	put_months(&b, r);
	put_prices(&b, r);
	put_chart(&b, r);
	if (m->o->prices != NULL)
		report_fact(r, "Prices", "%s", m->o->prices);
	if (b.unsure)
		report_not_known(r, "an end is missing, or comes before its start: "
				    "what ran until then is not billed");
	if (b.unseen > 0) {
		char *what SCOPED(mem_freep) =
		    mem_format("of %lld ends nobody knows when they were: what ran is billed until "
			       "it was last seen",
			       (long long)b.unseen);

		report_not_known(r, what);
	}
	return 0;
}
