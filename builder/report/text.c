/* text.c - a report for a terminal, for other programs' tables, and as JSON. */
#include "report/parts.h"

#include "form/plain.h"
#include "sys/clock.h"
#include <stdlib.h>
#include <string.h>

enum { DIGEST_SHOWN = 19 }; /* "sha256:" and twelve digits */

static bool is_right(enum report_type type)
{
	return type == REPORT_NUMBER || type == REPORT_SECONDS || type == REPORT_MS ||
	       type == REPORT_BYTES || type == REPORT_DAYS || type == REPORT_MONEY;
}

/* Characters, not bytes: what follows the first byte of one is 10xxxxxx. */
static size_t width_of(const char *s)
{
	size_t n = 0;

	for (; *s != '\0'; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static char *shown(const struct report *r, const struct report_column *col,
		   const struct report_cell *c)
{
	char *s = cell_shown(r, col, c);

	if (col->type == REPORT_DIGEST && strlen(s) > DIGEST_SHOWN)
		s[DIGEST_SHOWN] = '\0';
	plain_line(s);
	return s;
}

static void put(struct buf *out, const char *s, size_t width, bool right, bool last)
{
	size_t n = width_of(s), fill = n < width ? width - n : 0;

	if (right)
		buf_addf(out, "%*s%s", (int)fill, "", s);
	else
		buf_addf(out, "%s%*s", s, last ? 0 : (int)fill, "");
	buf_addf(out, "%s", last ? "\n" : "  ");
}

static void one_table(const struct report *r, const struct report_table *t, struct buf *out)
{
	size_t n = t->rows * t->cols_n;
	char **text SCOPED(mem_freep) = mem_zalloc((n + 1) * sizeof(*text));
	size_t *width SCOPED(mem_freep) = mem_zalloc((t->cols_n + 1) * sizeof(*width));

	for (size_t c = 0; c < t->cols_n; c++)
		width[c] = width_of(t->cols[c].title);
	for (size_t i = 0; i < n; i++) {
		size_t w;

		text[i] = shown(r, &t->cols[i % t->cols_n], &t->v[i]);
		w = width_of(text[i]);
		if (w > width[i % t->cols_n])
			width[i % t->cols_n] = w;
	}
	for (size_t c = 0; c < t->cols_n; c++)
		put(out, t->cols[c].title, width[c], is_right(t->cols[c].type), c + 1 == t->cols_n);
	for (size_t i = 0; i < n; i++) {
		size_t c = i % t->cols_n;

		put(out, text[i], width[c], is_right(t->cols[c].type), c + 1 == t->cols_n);
		free(text[i]);
	}
}

void report_text(const struct report *r, struct buf *out)
{
	for (size_t i = 0; i < r->tables_n; i++) {
		const struct report_table *t = &r->tables[i];

		buf_addf(out, "%s%s\n\n", i > 0 ? "\n" : "", t->title);
		if (t->rows > 0)
			one_table(r, t, out);
		else
			buf_addf(out, "%s\n", t->none);
	}
	for (size_t i = 0; i < r->remarks.n; i++) {
		char *s SCOPED(mem_freep) = mem_strdup(r->remarks.v[i]);

		plain_line(s);
		buf_addf(out, "\nNot known: %s\n", s);
	}
}

/* In quotes when it has to be, and never what a spreadsheet takes for a formula: text that begins
 * as a number may go on as one. */
static void field(const char *s, bool number, struct buf *out)
{
	bool formula = !number && *s != '\0' && strchr("=@+-\t\r", *s) != NULL;

	if (!formula && s[strcspn(s, ",\"\r\n")] == '\0') {
		buf_addf(out, "%s", s);
		return;
	}
	buf_addf(out, "\"%s", formula ? "'" : "");
	for (; *s != '\0'; s++)
		buf_addf(out, "%s%c", *s == '"' ? "\"" : "", *s);
	buf_addf(out, "\"");
}

void report_csv(const struct report *r, struct buf *out)
{
	const struct report_table *t = &r->tables[0];

	for (size_t c = 0; c < t->cols_n; c++)
		buf_addf(out, "%s%s", t->cols[c].key, c + 1 == t->cols_n ? "\r\n" : ",");
	for (size_t i = 0; i < t->rows * t->cols_n; i++) {
		size_t c = i % t->cols_n;
		char *s SCOPED(mem_freep) = cell_raw(&t->cols[c], &t->v[i]);

		field(s, is_right(t->cols[c].type), out);
		buf_addf(out, "%s", c + 1 == t->cols_n ? "\r\n" : ",");
	}
}

static struct jval *cell_json(const struct report_column *col, const struct report_cell *c)
{
	char *raw SCOPED(mem_freep) = cell_raw(col, c);

	if (!c->has)
		return jval_null();
	return is_right(col->type) && col->type != REPORT_MONEY ? jval_int(c->n) : jval_text(raw);
}

static struct jval *table_json(const struct report_table *t)
{
	struct jval *rows = jval_array();

	for (size_t i = 0; i < t->rows; i++) {
		struct jval *row = jval_object();

		for (size_t c = 0; c < t->cols_n; c++)
			jval_put(row, t->cols[c].key,
				 cell_json(&t->cols[c], &t->v[i * t->cols_n + c]));
		jval_push(rows, row);
	}
	return rows;
}

struct jval *report_json(const struct report *r)
{
	struct jval *v = jval_object(), *tables = jval_object(), *remarks = jval_array();
	char *made SCOPED(mem_freep) = clock_rfc3339(r->made);

	for (size_t i = 0; i < r->tables_n; i++)
		jval_put(tables, r->tables[i].id, table_json(&r->tables[i]));
	jval_put_text(v, "report", r->kind);
	jval_put_text(v, "made", made);
	jval_put_text(v, "zone", r->zone);
	if (*r->currency != '\0')
		jval_put_text(v, "currency", r->currency);
	for (size_t i = 0; i < r->remarks.n; i++)
		jval_push(remarks, jval_text(r->remarks.v[i]));
	jval_put(v, "not-known", remarks);
	jval_put(v, "tables", tables);
	return v;
}
