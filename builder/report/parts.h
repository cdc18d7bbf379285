/* parts.h - how reports are made; for the files of report/ only. */
#ifndef REPORT_PARTS_H
#define REPORT_PARTS_H

#include "base/map.h"
#include "report/report.h"
#include "sql/sql.h"

/* What a report is made from. */
struct making {
	const struct report_opts *o;
	struct sql *db;
	struct prices *prices; /* or NULL */
	const char *zone;
	int64_t from, until; /* seconds */
};

/* Puts the events of those kinds (NULL-terminated; NULL = all) of all ledgers into a database: see
 * posmedia-report(1) for its tables. Says of each ledger how it stands, and of those that are
 * damaged where: the database has what is whole. The caller releases *states. */
struct ledger_of {
	const char *dir;
	struct ledger_state st;
};
struct ledgers {
	struct ledger_of *v;
	size_t n;
	struct ledger_damage damage; /* of all of them, "DIR/FILE:LINE: why" */
};
void ledgers_release(struct ledgers *l);
int base_load(const struct report_opts *o, const char *const *kinds, struct sql **ret,
	      struct ledgers *states, struct err *e) MUST_CHECK;

/* What was told with a "once", to count it once. Zero-initialised is empty. */
struct once {
	struct once_told *v;
	size_t n, cap;
	struct map kinds;
	char kind[40]; /* the last that was asked for, and its number */
	uint32_t number;
};

/* Whether the same was told before of that shop and environment (0 = of none): a line of that kind
 * with that "once", "" = it has none. Remembers it. */
bool once_told_before(struct once *o, int64_t place, const struct ledger_text *kind,
		      const struct ledger_text *once);
void once_release(struct once *o);

/* A line of a ledger as the database has it. Texts that are absent are NULL. */
enum base_text {
	BASE_KIND,
	BASE_SUBJECT,
	BASE_ACTOR,
	BASE_HOST,
	BASE_MACHINE,
	BASE_FIELDS,
	BASE_SHOP,
	BASE_ENV,
	BASE_ONCE,
	BASE_TEXTS
};
struct base_line {
	int64_t ledger, seq, t, at; /* at: when it was that is told later; 0 = at that time */
	struct ledger_text text[BASE_TEXTS];
};

/* Events counted by ledger, kind, host and actor. Zero-initialised is empty. tally_put puts the
 * counts into the table of that name. */
enum { TALLY_FEW = 8 };
struct tally {
	struct tally_row *v;
	size_t n;
	struct map rows;
};
void tally_add(struct tally *t, const struct base_line *v);
int tally_put(const struct tally *t, struct sql *db, struct err *e) MUST_CHECK;
void tally_release(struct tally *t);

/* Lines on their way from who reads them to who puts them into the database: fn is called for each
 * in their order, by a thread where one can be had. queue_put copies what it is given, and tells
 * what went wrong with earlier ones; after queue_wait the thread touches nothing of the caller's
 * until the next one is put. */
struct queue;
typedef int queue_fn(void *ctx, const struct base_line *v, struct err *e);
struct queue *queue_new(queue_fn *fn, void *ctx) MUST_CHECK;
int queue_put(struct queue *q, const struct base_line *v, struct err *e) MUST_CHECK;
int queue_wait(struct queue *q, struct err *e) MUST_CHECK;
void queue_freep(struct queue **q);

/* A new table or chart at the end of a report, good until the next one. */
struct report_table *table_new(struct report *r, const char *id, const char *title,
			       const struct report_column *cols, size_t n);
struct report_chart *chart_new(struct report *r, const char *title, enum report_type type);

/* A row more, empty; its cells. */
struct report_cell *table_row(struct report_table *t);
void cell_text(struct report_cell *c, const char *s);
void cell_number(struct report_cell *c, int64_t n);

/* A label more, with its values. */
void chart_add(struct report_chart *c, const char *label, const int64_t *v);

/* Fills a table with the rows of a query, whose columns are the table's, in their order. */
int table_fill(struct report_table *t, struct sql *db, const char *query, const struct making *m,
	       struct err *e) MUST_CHECK;

/* "NAME\tVALUE". */
void report_fact(struct report *r, const char *name, const char *fmt, ...) PRINTF(3, 4);

/* Something that its figures do not have: told in every form but tables alone. */
void report_not_known(struct report *r, const char *what);

/* Hands out what is in b when it is more than that. A report is handed out in parts of about
 * REPORT_PART bytes. */
enum { REPORT_PART = 64 << 10, REPORT_ROW_MAX = 64 << 20 };
int report_drain(const struct report_to *to, struct buf *b, size_t above, struct err *e) MUST_CHECK;

/* A value as people read it; the caller owns it. raw: as programs do. */
char *cell_shown(const struct report *r, const struct report_column *col,
		 const struct report_cell *c) MUST_CHECK;
char *cell_raw(const struct report_column *col, const struct report_cell *c) MUST_CHECK;

/* Whether a state is good (1), bad (-1), or neither (0). */
int state_is(const char *word);

/* The reports. */
int make_inventory(const struct making *m, struct report *r, struct err *e) MUST_CHECK;
int make_billing(const struct making *m, struct report *r, struct err *e) MUST_CHECK;
int make_patches(const struct making *m, struct report *r, struct err *e) MUST_CHECK;
int make_keys(const struct making *m, struct report *r, struct err *e) MUST_CHECK;
int make_compliance(const struct making *m, struct report *r, struct err *e) MUST_CHECK;
int make_backups(const struct making *m, struct report *r, struct err *e) MUST_CHECK;
int make_performance(const struct making *m, struct report *r, struct err *e) MUST_CHECK;
int make_ledger(const struct making *m, struct report *r, struct err *e) MUST_CHECK;

/* What an hour costs, from when: posmedia-prices(5). */
enum { PRICES_MAX = 100, DAY_QUARTERS = 96 };
struct price {
	char *name;           /* what the bill calls it */
	char *env;            /* or NULL: any */
	char *shop;           /* or NULL: any */
	unsigned days;        /* bits 1 << weekday, 0 = Sunday */
	int from, until;      /* quarters of an hour of the day; until <= from goes over midnight */
	int64_t since, ended; /* days as YYYYMMDD, 0 = no limit; ended is the last */
	int64_t micro;        /* millionths of the currency an hour */
};
struct prices {
	char *currency, *zone;
	struct price v[PRICES_MAX];
	size_t n;
};
int prices_load(const char *path, struct prices **ret, struct err *e) MUST_CHECK;
void prices_free(struct prices *p);
void prices_freep(struct prices **p);

/* The first price that holds for an instance at a local time, -1 = none. */
struct moment;
int prices_find(const struct prices *p, const char *shop, const char *env,
		const struct moment *when);

/* A time as the clocks of the zone show it. */
struct moment {
	int64_t day; /* YYYYMMDD */
	int month;   /* YYYY * 12 + month - 1 */
	int weekday; /* 0 = Sunday */
	int quarter; /* of the day, from 0 */
	int hour, minute, second;
};

/* ERR_USAGE for a zone that this machine does not know. Then moment_of is by that zone. */
int zone_use(const char *name, struct err *e) MUST_CHECK;
struct moment moment_of(int64_t t);

/* "2026-11" of a month; the caller owns it. The first second of a day, YYYYMMDD. */
char *month_name(int month) MUST_CHECK;
int64_t day_begin(int day);

#endif
