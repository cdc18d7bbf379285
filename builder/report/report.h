/* report.h - what the ledger says, as tables and charts: see posmedia-report(1).
 *
 * The events are put into a database of SQLite that is made for the call and goes with it. Of
 * ledgers that are damaged it is made of what is whole, and says so. The same ledger, options and
 * day give the same bytes. */
#ifndef REPORT_REPORT_H
#define REPORT_REPORT_H

#include "base/buf.h"
#include "base/strv.h"
#include "form/json.h"
#include "ledger/ledger.h"

struct report_opts {
	const struct strv *ledgers; /* directories; one that is absent is empty */
	int64_t now;                /* seconds */
	int from, until;  /* days as YYYYMMDD: billing and performance of that time; 0 = no limit */
	const char *zone; /* "Europe/Berlin"; NULL = the one of the prices, or UTC */
	const char *prices; /* a file, posmedia-prices(5); NULL = none */
	uint64_t backup_s;  /* how often a backup is due; 0 = once a day */
};

/* What a column is of: how it is shown, and sorted. */
enum report_type {
	REPORT_TEXT,
	REPORT_STATE,  /* a word that is good, bad or neither */
	REPORT_DIGEST, /* "sha256:…" */
	REPORT_NUMBER,
	REPORT_TIME,    /* seconds since the epoch */
	REPORT_DATE,    /* the same, the day alone */
	REPORT_SECONDS, /* how long */
	REPORT_MS,
	REPORT_BYTES,
	REPORT_DAYS,
	REPORT_MONEY /* hundredths */
};

struct report_column {
	const char *key, *title;
	enum report_type type;
};

struct report_cell {
	char *text; /* of text, state and digest; NULL = nothing is known */
	int64_t n;  /* of all others */
	bool has;
};

struct report_table {
	const char *id, *title;
	const char *none; /* what an empty one means */
	const struct report_column *cols;
	size_t cols_n;
	struct report_cell *v; /* rows * cols_n */
	size_t rows;
};

enum { REPORT_SERIES_MAX = 4 };

/* Bars by label, beside each other for several series. */
struct report_chart {
	const char *title;
	enum report_type type;
	const char *series[REPORT_SERIES_MAX];
	size_t series_n;
	struct strv labels;
	int64_t *v; /* labels.n * series_n */
};

struct report {
	const char *kind, *title, *about; /* one sentence */
	struct strv facts;                /* "NAME\tVALUE", what it was made from */
	struct strv remarks;              /* what it does not know; facts too */
	struct report_table *tables;
	size_t tables_n;
	struct report_chart *charts;
	size_t charts_n;
	char *zone, *currency; /* currency: "EUR", "" without prices */
	int64_t made;
	size_t damaged; /* places of the ledgers that are not as they were written: remarks say
			   which; the report is made of the rest */
};

/* "inventory", "billing", …, NULL; those that report_make knows. */
extern const char *const report_kinds[];

/* An unknown kind is ERR_USAGE, a fault in the prices ERR_RECIPE, a broken mirror ERR_VERIFY. The
 * caller releases *ret; report_release accepts a zeroed struct. */
int report_make(const char *kind, const struct report_opts *o, struct report *ret,
		struct err *e) MUST_CHECK;
void report_release(struct report *r);

/* Where a report goes, part by part; -1 with *e set ends it. */
struct report_to {
	int (*put)(void *ctx, const char *p, size_t n, struct err *e);
	void *ctx;
};

/* The report for people at a terminal, for tables (RFC 4180; of several tables the first), for
 * programs, and as a page that asks for nothing else; nav: with links to the pages of all kinds
 * beside it. */
int report_text(const struct report *r, const struct report_to *to, struct err *e) MUST_CHECK;
int report_csv(const struct report *r, const struct report_to *to, struct err *e) MUST_CHECK;
int report_json(const struct report *r, const struct report_to *to, struct err *e) MUST_CHECK;
int report_html(const struct report *r, bool nav, const struct report_to *to,
		struct err *e) MUST_CHECK;

/* Lets go of all that the index does not need. */
void report_trim(struct report *r);

/* The page that leads to all others, which lie beside it as KIND.html. */
void report_index(const struct report *all, size_t n, struct buf *out);

/* A row of an answer, an array; the first that is given names the columns. -1 with *e set ends it.
 */
typedef int report_row_fn(void *ctx, const struct jval *row, struct err *e);

/* The rows of one statement that only reads, over all events. What SQLite does not take, or what
 * would change anything, is ERR_USAGE. *ret_damaged: see struct report. */
int report_sql(const struct report_opts *o, const char *statement, report_row_fn *fn, void *ctx,
	       size_t *ret_damaged, struct err *e) MUST_CHECK;

#endif
