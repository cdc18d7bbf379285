/* performance.c - what builds, stagings, restores and cutovers took, month by month. */
#include "report/parts.h"

#include <stdlib.h>
#include <string.h>

static const struct report_column times[] = {
    {"what", "What", REPORT_TEXT},     {"month", "Month", REPORT_TEXT},
    {"count", "Times", REPORT_NUMBER}, {"least", "Least", REPORT_MS},
    {"median", "Median", REPORT_MS},   {"p95", "95 of 100", REPORT_MS},
    {"most", "Most", REPORT_MS},
};

enum { WHATS = 4, COLUMNS = 7 };
static const char *const whats[WHATS] = {"build", "stage", "restore", "cutover"};

/* The times of one what in one month. */
struct times {
	int what, month;
	int64_t *v;
	size_t n, cap;
};

struct all {
	struct times *v;
	size_t n;
};

static void all_release(struct all *a)
{
	for (size_t i = 0; i < a->n; i++)
		free(a->v[i].v);
	free(a->v);
}

static void add(struct all *a, int what, int month, int64_t ms)
{
	struct times *t = NULL;

	for (size_t i = 0; i < a->n && t == NULL; i++)
		if (a->v[i].what == what && a->v[i].month == month)
			t = &a->v[i];
	if (t == NULL) {
		a->v = mem_resize(a->v, a->n + 1, sizeof(*a->v));
		t = &a->v[a->n++];
		*t = (struct times){.what = what, .month = month};
	}
	if (t->n == t->cap) {
		t->cap = t->cap == 0 ? 16 : 2 * t->cap;
		t->v = mem_resize(t->v, t->cap, sizeof(*t->v));
	}
	t->v[t->n++] = ms;
}

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static int by_what(const void *a, const void *b)
{
	const struct times *x = a, *y = b;

	return x->what != y->what ? x->what - y->what : x->month - y->month;
}

static int what_of(const char *kind)
{
	for (int i = 0; i < WHATS; i++)
		if (strcmp(kind, whats[i]) == 0)
			return i;
	return -1;
}

/* Builds that had nothing to do say nothing of builds; of a cutover it is the outage. */
static int read_times(const struct making *m, struct all *a, struct err *e)
{
	static const char query[] =
	    "SELECT kind, t, CASE kind WHEN 'cutover' THEN fields ->> 'outage-ms' ELSE fields ->>"
	    " 'ms' END AS ms FROM raw WHERE t >= :from AND t < :until AND ((kind = 'build' AND"
	    " fields ->> 'stages-run' > 0) OR (kind = 'stage' AND fields ->> 'changed') OR (kind ="
	    " 'restore' AND fields ->> 'action' = 'restore') OR (kind = 'cutover' AND fields ->>"
	    " 'state' = 'done')) ORDER BY t";
	struct sql_query *q SCOPED(sql_query_freep) = NULL;

	if (sql_prepare(m->db, query, &q, e) != 0)
		return -1;
	sql_named(q, ":from", m->from);
	sql_named(q, ":until", m->until);
	for (;;) {
		bool more;
		int what;

		if (sql_next(q, &more, e) != 0)
			return -1;
		if (!more)
			return 0;
		what = what_of(sql_column_text(q, 0));
		if (what >= 0 && sql_column_is_integer(q, 2))
			add(a, what, moment_of(sql_column_int(q, 1)).month, sql_column_int(q, 2));
	}
}

static void put_rows(const struct all *a, struct report *r)
{
	struct report_table *t = table_new(r, "times", "Times by month", times, COLUMNS);

	t->none = "Nothing of the kind was done in this time.";
	for (size_t i = 0; i < a->n; i++) {
		struct times *x = &a->v[i];
		char *month SCOPED(mem_freep) = month_name(x->month);
		struct report_cell *c = table_row(t);

		qsort(x->v, x->n, sizeof(*x->v), by_size);
		cell_text(&c[0], x->what == 3 ? "cutover, outage" : whats[x->what]);
		cell_text(&c[1], month);
		cell_number(&c[2], (int64_t)x->n);
		cell_number(&c[3], x->v[0]);
		cell_number(&c[4], x->v[(x->n - 1) / 2]);
		cell_number(&c[5], x->v[(x->n * 95 + 99) / 100 - 1]);
		cell_number(&c[6], x->v[x->n - 1]);
	}
}

static void put_chart(const struct all *a, int what, struct report *r)
{
	static const char *const titles[WHATS] = {"Builds, median", "Stagings, median",
						  "Restores, median", "Outage of cutovers, median"};
	struct report_chart *c = NULL;

	for (size_t i = 0; i < a->n; i++) {
		const struct times *x = &a->v[i];
		char *month SCOPED(mem_freep) = month_name(x->month);

		if (x->what != what)
			continue;
		if (c == NULL) {
			c = chart_new(r, titles[what], REPORT_MS);
			c->series[0] = "median";
			c->series_n = 1;
		}
		chart_add(c, month, &x->v[(x->n - 1) / 2]);
	}
}

int make_performance(const struct making *m, struct report *r, struct err *e)
{
	struct all a SCOPED(all_release) = {0};

	r->title = "Performance";
	r->about = "What builds, stagings, restores and cutovers took, by month.";
	if (read_times(m, &a, e) != 0)
		return -1;
	if (a.n > 0)
		qsort(a.v, a.n, sizeof(*a.v), by_what);
	put_rows(&a, r);
	for (int i = 0; i < WHATS; i++)
		put_chart(&a, i, r);
	return 0;
}
