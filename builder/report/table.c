/* table.c - tables and charts, and how their values are read. */
#include "report/parts.h"

#include "sys/clock.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { HOUR = 3600, DAY = 86400 };

struct report_table *table_new(struct report *r, const char *id, const char *title,
			       const struct report_column *cols, size_t n)
{
	struct report_table *t;

	r->tables = mem_resize(r->tables, r->tables_n + 1, sizeof(*r->tables));
	t = &r->tables[r->tables_n++];
	*t = (struct report_table){.id = id, .title = title, .cols = cols, .cols_n = n};
	return t;
}

struct report_chart *chart_new(struct report *r, const char *title, enum report_type type)
{
	struct report_chart *c;

	r->charts = mem_resize(r->charts, r->charts_n + 1, sizeof(*r->charts));
	c = &r->charts[r->charts_n++];
	*c = (struct report_chart){.title = title, .type = type};
	return c;
}

struct report_cell *table_row(struct report_table *t)
{
	size_t at = t->rows * t->cols_n;

	/* by doubling: whenever the number of rows is a power of two */
	if ((t->rows & (t->rows - 1)) == 0)
		t->v =
		    mem_resize(t->v, (t->rows == 0 ? 1 : 2 * t->rows) * t->cols_n, sizeof(*t->v));
	memset(&t->v[at], 0, t->cols_n * sizeof(*t->v));
	t->rows++;
	return &t->v[at];
}

void cell_text(struct report_cell *c, const char *s)
{
	free(c->text);
	c->text = s != NULL ? mem_strdup(s) : NULL;
	c->has = s != NULL;
}

void cell_number(struct report_cell *c, int64_t n)
{
	c->n = n;
	c->has = true;
}

void chart_add(struct report_chart *c, const char *label, const int64_t *v)
{
	strv_add(&c->labels, label);
	c->v = mem_resize(c->v, c->labels.n * c->series_n, sizeof(*c->v));
	memcpy(&c->v[(c->labels.n - 1) * c->series_n], v, c->series_n * sizeof(*v));
}

static bool is_words(enum report_type type)
{
	return type == REPORT_TEXT || type == REPORT_STATE || type == REPORT_DIGEST;
}

static void fill_row(struct report_table *t, struct sql_query *q)
{
	struct report_cell *c = table_row(t);

	for (size_t i = 0; i < t->cols_n; i++) {
		const char *s = sql_column_text(q, (int)i);

		if (s == NULL)
			continue;
		if (is_words(t->cols[i].type))
			cell_text(&c[i], s);
		else
			cell_number(&c[i], sql_column_int(q, (int)i));
	}
}

/* :now, :from, :until in a query, as far as it has them. */
static void bind(struct sql_query *q, const struct making *m)
{
	sql_named(q, ":now", m->o->now);
	sql_named(q, ":from", m->from);
	sql_named(q, ":until", m->until);
}

int table_fill(struct report_table *t, struct sql *db, const char *query, const struct making *m,
	       struct err *e)
{
	struct sql_query *q SCOPED(sql_query_freep) = NULL;
	bool more = true;

	if (sql_prepare(db, query, &q, e) != 0)
		return -1;
	bind(q, m);
	for (;;) {
		if (sql_next(q, &more, e) != 0)
			return -1;
		if (!more)
			return 0;
		fill_row(t, q);
	}
}

void report_fact(struct report *r, const char *name, const char *fmt, ...)
{
	char *value SCOPED(mem_freep) = NULL;
	va_list ap;

	va_start(ap, fmt);
	value = mem_vformat(fmt, ap);
	va_end(ap);
	strv_addf(&r->facts, "%s\t%s", name, value);
}

void report_not_known(struct report *r, const char *what)
{
	report_fact(r, "Not known", "%s", what);
	strv_add(&r->remarks, what);
}

static char *seconds_shown(int64_t s)
{
	return mem_format("%lld:%02d:%02d", (long long)(s / HOUR), (int)(s % HOUR / 60),
			  (int)(s % 60));
}

static char *ms_shown(int64_t ms)
{
	if (ms < 1000)
		return mem_format("%lld ms", (long long)ms);
	if (ms < 60000)
		return mem_format("%lld.%lld s", (long long)(ms / 1000),
				  (long long)(ms % 1000 / 100));
	return mem_format("%lld min %02lld s", (long long)(ms / 60000),
			  (long long)(ms % 60000 / 1000));
}

static char *bytes_shown(int64_t n)
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
	size_t u = 0;
	int64_t tenths = n * 10;

	if (n < 1000)
		return mem_format("%lld B", (long long)n);
	for (; tenths >= 10000 && u < 5; u++)
		tenths /= 1000;
	return mem_format("%lld.%lld %s", (long long)(tenths / 10), (long long)(tenths % 10),
			  units[u]);
}

static char *money_raw(int64_t n)
{
	int64_t a = n < 0 ? -n : n;

	return mem_format("%s%lld.%02lld", n < 0 ? "-" : "", (long long)(a / 100),
			  (long long)(a % 100));
}

static char *moment_shown(int64_t t, bool day)
{
	struct moment m = moment_of(t);
	char *date SCOPED(mem_freep) = mem_format("%04d-%02d-%02d", (int)(m.day / 10000),
						  (int)(m.day / 100 % 100), (int)(m.day % 100));

	return day ? STEAL(date) : mem_format("%s %02d:%02d", date, m.hour, m.minute);
}

char *cell_shown(const struct report *r, const struct report_column *col,
		 const struct report_cell *c)
{
	if (!c->has)
		return mem_strdup("");
	switch (col->type) {
	case REPORT_TEXT:
	case REPORT_STATE:
	case REPORT_DIGEST:
		return mem_strdup(c->text);
	case REPORT_TIME:
	case REPORT_DATE:
		return moment_shown(c->n, col->type == REPORT_DATE);
	case REPORT_SECONDS:
		return seconds_shown(c->n);
	case REPORT_MS:
		return ms_shown(c->n);
	case REPORT_BYTES:
		return bytes_shown(c->n);
	case REPORT_MONEY: {
		char *sum SCOPED(mem_freep) = money_raw(c->n);

		return mem_format("%s%s%s", sum, *r->currency != '\0' ? " " : "", r->currency);
	}
	case REPORT_NUMBER:
	case REPORT_DAYS:
		break;
	}
	return mem_format("%lld", (long long)c->n);
}

char *cell_raw(const struct report_column *col, const struct report_cell *c)
{
	if (!c->has)
		return mem_strdup("");
	if (is_words(col->type))
		return mem_strdup(c->text);
	if (col->type == REPORT_TIME)
		return clock_rfc3339(c->n);
	if (col->type == REPORT_DATE)
		return moment_shown(c->n, true);
	if (col->type == REPORT_MONEY)
		return money_raw(c->n);
	return mem_format("%lld", (long long)c->n);
}

int state_is(const char *word)
{
	static const char *const good[] = {"runs", "ok", "yes", "whole", "current", "good"};
	static const char *const bad[] = {"crashed", "overdue",  "ended", "failed", "missed",
					  "never",   "security", "no",    "late",   "damaged"};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (strcmp(word, good[i]) == 0)
			return 1;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (strcmp(word, bad[i]) == 0)
			return -1;
	return 0;
}

static void table_release(struct report_table *t)
{
	for (size_t i = 0; t->v != NULL && i < t->rows * t->cols_n; i++)
		free(t->v[i].text);
	free(t->v);
	t->v = NULL;
}

void report_trim(struct report *r)
{
	for (size_t i = 0; i < r->tables_n; i++)
		table_release(&r->tables[i]);
}

void report_release(struct report *r)
{
	for (size_t i = 0; i < r->tables_n; i++)
		table_release(&r->tables[i]);
	for (size_t i = 0; i < r->charts_n; i++) {
		strv_release(&r->charts[i].labels);
		free(r->charts[i].v);
	}
	free(r->tables);
	free(r->charts);
	free(r->zone);
	free(r->currency);
	strv_release(&r->facts);
	strv_release(&r->remarks);
	*r = (struct report){0};
}
