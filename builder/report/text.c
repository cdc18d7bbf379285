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

int report_drain(const struct report_to *to, struct buf *b, size_t above, struct err *e)
{
	if (buf_over(b))
		return err_set(e, ERR_FAIL, "a row of the report is too long");
	if (b->len <= above)
		return 0;
	if (to->put(to->ctx, b->data, b->len, e) != 0)
		return -1;
	buf_cut(b, 0);
	return 0;
}

/* How wide the columns are: all rows are looked at, and none is kept. */
static size_t *widths(const struct report *r, const struct report_table *t)
{
	size_t *width = mem_zalloc((t->cols_n + 1) * sizeof(*width));

	for (size_t c = 0; c < t->cols_n; c++)
		width[c] = width_of(t->cols[c].title);
	for (size_t i = 0; i < t->rows * t->cols_n; i++) {
		char *s SCOPED(mem_freep) = shown(r, &t->cols[i % t->cols_n], &t->v[i]);
		size_t w = width_of(s);

		if (w > width[i % t->cols_n])
			width[i % t->cols_n] = w;
	}
	return width;
}

static int one_table(const struct report *r, const struct report_table *t,
		     const struct report_to *to, struct buf *out, struct err *e)
{
	size_t *width SCOPED(mem_freep) = widths(r, t);

	for (size_t c = 0; c < t->cols_n; c++)
		put(out, t->cols[c].title, width[c], is_right(t->cols[c].type), c + 1 == t->cols_n);
	for (size_t i = 0; i < t->rows * t->cols_n; i++) {
		size_t c = i % t->cols_n;
		char *s SCOPED(mem_freep) = shown(r, &t->cols[c], &t->v[i]);

		put(out, s, width[c], is_right(t->cols[c].type), c + 1 == t->cols_n);
		if (report_drain(to, out, REPORT_PART, e) != 0)
			return -1;
	}
	return 0;
}

int report_text(const struct report *r, const struct report_to *to, struct err *e)
{
	struct buf out SCOPED(buf_release) = BUF_INIT(REPORT_ROW_MAX);

	for (size_t i = 0; i < r->tables_n; i++) {
		const struct report_table *t = &r->tables[i];

		buf_addf(&out, "%s%s\n\n", i > 0 ? "\n" : "", t->title);
		if (t->rows == 0)
			buf_addf(&out, "%s\n", t->none);
		else if (one_table(r, t, to, &out, e) != 0)
			return -1;
	}
	for (size_t i = 0; i < r->remarks.n; i++) {
		char *s SCOPED(mem_freep) = mem_strdup(r->remarks.v[i]);

		plain_line(s);
		buf_addf(&out, "\nNot known: %s\n", s);
	}
	return report_drain(to, &out, 0, e);
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

int report_csv(const struct report *r, const struct report_to *to, struct err *e)
{
	struct buf out SCOPED(buf_release) = BUF_INIT(REPORT_ROW_MAX);
	const struct report_table *t = &r->tables[0];

	for (size_t c = 0; c < t->cols_n; c++)
		buf_addf(&out, "%s%s", t->cols[c].key, c + 1 == t->cols_n ? "\r\n" : ",");
	for (size_t i = 0; i < t->rows * t->cols_n; i++) {
		size_t c = i % t->cols_n;
		char *s SCOPED(mem_freep) = cell_raw(&t->cols[c], &t->v[i]);

		field(s, is_right(t->cols[c].type), &out);
		buf_addf(&out, "%s", c + 1 == t->cols_n ? "\r\n" : ",");
		if (report_drain(to, &out, REPORT_PART, e) != 0)
			return -1;
	}
	return report_drain(to, &out, 0, e);
}

/* A value as jval_write_pretty has it, so deep inside another; without its last newline. */
static void indented(const struct jval *v, int depth, struct buf *out)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(REPORT_ROW_MAX);

	jval_write_pretty(v, &b);
	for (const char *p = b.data; p + 1 < b.data + b.len; p++)
		if (*p == '\n')
			buf_addf(out, "\n%*s", depth, "");
		else
			buf_add(out, p, 1);
}

/* A text of JSON: what needs no escapes is most of it. */
static void put_string(const char *s, struct buf *out)
{
	struct jval *v SCOPED(jval_freep) = NULL;
	size_t n = 0;

	while (s[n] >= ' ' && s[n] < 0x7f && s[n] != '"' && s[n] != '\\')
		n++;
	if (s[n] == '\0') {
		buf_add(out, "\"", 1);
		buf_add(out, s, n);
		buf_add(out, "\"", 1);
		return;
	}
	v = jval_text(s);
	jval_write(v, out);
}

static void cell_json(const struct report_column *col, const struct report_cell *c, struct buf *out)
{
	char *raw SCOPED(mem_freep) = c->has ? cell_raw(col, c) : NULL;

	if (raw == NULL)
		buf_add(out, "null", 4);
	else if (is_right(col->type) && col->type != REPORT_MONEY)
		buf_add(out, raw, strlen(raw));
	else
		put_string(raw, out);
}

/* The columns by their keys, as an object of JSON has its members. */
static size_t *by_key(const struct report_table *t)
{
	size_t *order = mem_zalloc((t->cols_n + 1) * sizeof(*order));

	for (size_t i = 0; i < t->cols_n; i++) {
		size_t at = i;

		for (; at > 0 && strcmp(t->cols[order[at - 1]].key, t->cols[i].key) > 0; at--)
			order[at] = order[at - 1];
		order[at] = i;
	}
	return order;
}

static void row_json(const struct report_table *t, const size_t *order, size_t i, struct buf *out)
{
	for (size_t k = 0; k < t->cols_n; k++) {
		size_t c = order[k];

		buf_addf(out, "%s\n    \"%s\": ", k > 0 ? "," : "{", t->cols[c].key);
		cell_json(&t->cols[c], &t->v[i * t->cols_n + c], out);
	}
	buf_addf(out, "\n   }");
}

static int table_json(const struct report_table *t, const struct report_to *to, struct buf *out,
		      struct err *e)
{
	size_t *order SCOPED(mem_freep) = by_key(t);

	buf_addf(out, "\n  \"%s\": [", t->id);
	for (size_t i = 0; i < t->rows; i++) {
		buf_addf(out, "%s\n   ", i > 0 ? "," : "");
		row_json(t, order, i, out);
		if (report_drain(to, out, REPORT_PART, e) != 0)
			return -1;
	}
	buf_addf(out, t->rows > 0 ? "\n  ]" : "]");
	return 0;
}

/* Behind `id` in byte order, the next; NULL = the first. */
static const struct report_table *next_table(const struct report *r, const char *id)
{
	const struct report_table *next = NULL;

	for (size_t i = 0; i < r->tables_n; i++) {
		const struct report_table *t = &r->tables[i];

		if ((id == NULL || strcmp(t->id, id) > 0) &&
		    (next == NULL || strcmp(t->id, next->id) < 0))
			next = t;
	}
	return next;
}

static void head_json(const struct report *r, struct buf *out)
{
	struct jval *v SCOPED(jval_freep) = jval_object(), *remarks = jval_array();
	char *made SCOPED(mem_freep) = clock_rfc3339(r->made);
	struct buf b SCOPED(buf_release) = BUF_INIT(REPORT_ROW_MAX);

	if (*r->currency != '\0')
		jval_put_text(v, "currency", r->currency);
	jval_put_text(v, "made", made);
	for (size_t i = 0; i < r->remarks.n; i++)
		jval_push(remarks, jval_text(r->remarks.v[i]));
	jval_put(v, "not-known", remarks);
	jval_put_text(v, "report", r->kind);
	jval_write_pretty(v, &b);
	buf_cut(&b, b.len - strlen("\n}\n"));
	buf_add(out, b.data, b.len);
}

/* The bytes of jval_write_pretty, row by row: a table can be larger than what it is made from. */
int report_json(const struct report *r, const struct report_to *to, struct err *e)
{
	struct buf out SCOPED(buf_release) = BUF_INIT(REPORT_ROW_MAX);
	struct jval *zone SCOPED(jval_freep) = jval_text(r->zone);
	const char *id = NULL;

	head_json(r, &out);
	buf_addf(&out, ",\n \"tables\": {");
	for (const struct report_table *t; (t = next_table(r, id)) != NULL; id = t->id) {
		buf_addf(&out, "%s", id != NULL ? "," : "");
		if (table_json(t, to, &out, e) != 0)
			return -1;
	}
	buf_addf(&out, "%s},\n \"zone\": ", id != NULL ? "\n " : "");
	indented(zone, 1, &out);
	buf_addf(&out, "\n}\n");
	return report_drain(to, &out, 0, e);
}
