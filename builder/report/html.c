/* html.c - a report as one page for people, which asks for nothing else: see html_style.c for how
 * it looks and what it does. */
#include "report/page.h"

#include "evidence/page.h"
#include "form/hex.h"
#include <stdlib.h>
#include <string.h>

enum { DIGEST_SHOWN = 12, WIDE_TEXT = 48, CARDS_MAX = 8 };

static char *sha_of(const char *text)
{
	struct digest d = digest_of(text, strlen(text));

	return base64_encode(d.b, sizeof(d.b));
}

/* Only what is in the page itself is believed: no text of a ledger becomes a program. */
static void head(const char *title, struct buf *out)
{
	char *base SCOPED(mem_freep) = sha_of(page_style);
	char *own SCOPED(mem_freep) = sha_of(report_style);
	char *script SCOPED(mem_freep) = sha_of(report_script);

	buf_addf(out,
		 "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		 "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
		 "style-src 'sha256-%s' 'sha256-%s'; script-src 'sha256-%s'; base-uri 'none'; "
		 "form-action 'none'\">\n"
		 "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
		 "<meta name=\"referrer\" content=\"no-referrer\">\n<title>",
		 base, own, script);
	markup_text(title, out);
	buf_addf(out, "</title>\n<style>%s</style>\n<style>%s</style>\n</head>\n<body>\n",
		 page_style, report_style);
}

static void foot(struct buf *out)
{
	buf_addf(out, "<script>%s</script>\n</body>\n</html>\n", report_script);
}

static void navigation(const char *here, struct buf *out)
{
	buf_addf(out, "<nav aria-label=\"Reports\"><a href=\"index.html\"%s>all reports</a>",
		 here == NULL ? " aria-current=\"page\"" : "");
	for (const char *const *k = report_kinds; *k != NULL; k++)
		buf_addf(out, "<a href=\"%s.html\"%s>%s</a>", *k,
			 here != NULL && strcmp(*k, here) == 0 ? " aria-current=\"page\"" : "", *k);
	buf_addf(out, "</nav>\n");
}

void page_state(const char *word, struct buf *out)
{
	static const char *const classes[] = {"fail", "na", "pass"};
	static const char *const marks[] = {"&#10007;", "&#8211;", "&#10003;"};
	int is = state_is(word) + 1;

	buf_addf(out, "<span class=\"badge %s\">%s ", classes[is], marks[is]);
	markup_text(word, out);
	buf_addf(out, "</span>");
}

static bool is_number(enum report_type type)
{
	return type >= REPORT_NUMBER && type != REPORT_TIME && type != REPORT_DATE;
}

/* Twelve digits are enough to tell them apart; the whole of it is told on asking. */
static void digest_cell(const char *s, struct buf *out)
{
	const char *hex = strncmp(s, "sha256:", 7) == 0 ? s + 7 : s;
	char *part SCOPED(mem_freep) =
	    mem_strndup(hex, strlen(hex) < DIGEST_SHOWN ? strlen(hex) : DIGEST_SHOWN);

	buf_addf(out, "<td><code title=\"");
	markup_text(s, out);
	buf_addf(out, "\">");
	markup_text(part, out);
	buf_addf(out, "%s</code></td>", strlen(hex) > DIGEST_SHOWN ? "&#8230;" : "");
}

static void cell(const struct report *r, const struct report_column *col,
		 const struct report_cell *c, struct buf *out)
{
	char *text SCOPED(mem_freep) = cell_shown(r, col, c);

	if (!c->has) {
		buf_addf(out, "<td></td>");
		return;
	}
	if (col->type == REPORT_DIGEST) {
		digest_cell(text, out);
		return;
	}
	if (col->type == REPORT_STATE) {
		buf_addf(out, "<td>");
		page_state(text, out);
	} else if (col->type == REPORT_TEXT) {
		buf_addf(out, "<td%s>", strlen(text) > WIDE_TEXT ? " class=\"wide\"" : "");
		markup_text(text, out);
	} else {
		buf_addf(out, "<td%s data-v=\"%lld\">",
			 is_number(col->type) ? " class=\"num\"" : "", (long long)c->n);
		markup_text(text, out);
	}
	buf_addf(out, "</td>");
}

static int rows(const struct report *r, const struct report_table *t, const struct report_to *to,
		struct buf *out, struct err *e)
{
	buf_addf(out,
		 "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"%s\">"
		 "<table>\n<thead><tr>",
		 t->title);
	for (size_t c = 0; c < t->cols_n; c++)
		buf_addf(out, "<th scope=\"col\"%s>%s</th>",
			 is_number(t->cols[c].type) ? " class=\"num\"" : "", t->cols[c].title);
	buf_addf(out, "</tr></thead>\n<tbody>\n");
	for (size_t i = 0; i < t->rows; i++) {
		buf_addf(out, "<tr>");
		for (size_t c = 0; c < t->cols_n; c++)
			cell(r, &t->cols[c], &t->v[i * t->cols_n + c], out);
		buf_addf(out, "</tr>\n");
		if (report_drain(to, out, REPORT_PART, e) != 0)
			return -1;
	}
	buf_addf(out, "</tbody>\n</table></div>\n");
	return 0;
}

static int one_table(const struct report *r, const struct report_table *t,
		     const struct report_to *to, struct buf *out, struct err *e)
{
	buf_addf(out, "<section id=\"%s\"><h2>%s</h2>\n", t->id, t->title);
	if (t->rows == 0) {
		buf_addf(out, "<p class=\"none\">%s</p></section>\n", t->none);
		return 0;
	}
	buf_addf(out,
		 "<div class=\"tools\"><input type=\"search\" placeholder=\"Filter\" "
		 "aria-label=\"Filter: %s\"><output aria-live=\"polite\"></output></div>\n",
		 t->title);
	if (rows(r, t, to, out, e) != 0)
		return -1;
	buf_addf(out, "</section>\n");
	return 0;
}

static void state_cards(const struct report_table *t, size_t col, struct buf *out)
{
	const char *words[CARDS_MAX];
	size_t count[CARDS_MAX] = {0}, n = 0;

	for (size_t i = 0; i < t->rows; i++) {
		const char *s = t->v[i * t->cols_n + col].text;
		size_t k = 0;

		if (s == NULL || *s == '\0')
			continue;
		while (k < n && strcmp(words[k], s) != 0)
			k++;
		if (k == CARDS_MAX)
			continue;
		if (k == n)
			words[n++] = s;
		count[k]++;
	}
	for (size_t k = 0; k < n; k++) {
		int is = state_is(words[k]);

		buf_addf(out,
			 "<li><button type=\"button\" class=\"card%s\" data-for=\"%s\" data-q=\"",
			 is > 0   ? " pass"
			 : is < 0 ? " fail"
				  : "",
			 t->id);
		markup_text(words[k], out);
		buf_addf(out, "\"><b>%zu</b><span>", count[k]);
		markup_text(words[k], out);
		buf_addf(out, "</span></button></li>\n");
	}
}

static void sum_card(const struct report *r, const struct report_table *t, size_t col,
		     struct buf *out)
{
	struct report_cell sum = {.has = true};
	char *text SCOPED(mem_freep) = NULL;

	for (size_t i = 0; i < t->rows; i++)
		sum.n += t->v[i * t->cols_n + col].n;
	text = cell_shown(r, &t->cols[col], &sum);
	buf_addf(out, "<li class=\"card\"><b>");
	markup_text(text, out);
	buf_addf(out, "</b><span>%s, all together</span></li>\n", t->cols[col].title);
}

void page_cards(const struct report *r, struct buf *out)
{
	const struct report_table *t = &r->tables[0];

	if (t->rows == 0)
		return;
	buf_addf(out, "<ul class=\"cards\">\n<li class=\"card\"><b>%zu</b><span>%s</span></li>\n",
		 t->rows, t->rows == 1 ? "row" : "rows");
	for (size_t c = 0; c < t->cols_n; c++) {
		if (t->cols[c].type == REPORT_STATE)
			state_cards(t, c, out);
		if (t->cols[c].type == REPORT_SECONDS || t->cols[c].type == REPORT_MONEY)
			sum_card(r, t, c, out);
	}
	buf_addf(out, "</ul>\n");
}

static void facts(const struct report *r, struct buf *out)
{
	const struct report_column col = {"", "", REPORT_TIME};
	const struct report_cell cell = {NULL, r->made, true};
	char *made SCOPED(mem_freep) = cell_shown(r, &col, &cell);

	buf_addf(out, "<footer><dl>\n<dt>Made</dt><dd>%s, times of ", made);
	markup_text(r->zone, out);
	buf_addf(out, "</dd>\n");
	for (size_t i = 0; i < r->facts.n; i++) {
		char *name SCOPED(mem_freep) = mem_strdup(r->facts.v[i]);
		char *value = strchr(name, '\t');

		*value++ = '\0';
		buf_addf(out, "<dt>%s</dt><dd>", name);
		markup_text(value, out);
		buf_addf(out, "</dd>\n");
	}
	buf_addf(out, "</dl></footer>\n");
}

/* What is wrong with the ledgers comes before anything that is made of them. */
static void damage(const struct report *r, struct buf *out)
{
	if (r->damaged == 0)
		return;
	buf_addf(out,
		 "<p class=\"damaged\" role=\"alert\">&#10007; The ledger is damaged: %zu %s "
		 "%s not as it was written. This page is made of the rest; what is missing is "
		 "at its end.</p>\n",
		 r->damaged, r->damaged == 1 ? "place" : "places", r->damaged == 1 ? "is" : "are");
}

static int tables(const struct report *r, const struct report_to *to, struct buf *out,
		  struct err *e)
{
	for (size_t i = 0; i < r->tables_n; i++)
		if (one_table(r, &r->tables[i], to, out, e) != 0)
			return -1;
	return 0;
}

int report_html(const struct report *r, bool nav, const struct report_to *to, struct err *e)
{
	char *title SCOPED(mem_freep) = mem_format("%s: posmedia report", r->title);
	struct buf out SCOPED(buf_release) = BUF_INIT(REPORT_ROW_MAX);

	head(title, &out);
	if (nav)
		navigation(r->kind, &out);
	buf_addf(&out, "<main>\n<h1>%s</h1>\n<p class=\"sub\">%s</p>\n", r->title, r->about);
	damage(r, &out);
	page_cards(r, &out);
	if (r->charts_n > 0) {
		buf_addf(&out, "<div class=\"charts\">\n");
		for (size_t i = 0; i < r->charts_n; i++)
			page_chart(r, &r->charts[i], &out);
		buf_addf(&out, "</div>\n");
	}
	if (tables(r, to, &out, e) != 0)
		return -1;
	buf_addf(&out, "</main>\n");
	facts(r, &out);
	foot(&out);
	return report_drain(to, &out, 0, e);
}

void report_index(const struct report *all, size_t n, struct buf *out)
{
	head("posmedia reports", out);
	navigation(NULL, out);
	buf_addf(out, "<main>\n<h1>Reports</h1>\n<ul class=\"list\">\n");
	for (size_t i = 0; i < n; i++) {
		const struct report *r = &all[i];
		size_t rows_n = r->tables_n > 0 ? r->tables[0].rows : 0;

		buf_addf(out, "<li><a href=\"%s.html\"><b>%s</b>%s<small>%zu %s</small></a></li>\n",
			 r->kind, r->title, r->about, rows_n, rows_n == 1 ? "row" : "rows");
	}
	buf_addf(out, "</ul>\n</main>\n");
	if (n > 0)
		facts(&all[0], out);
	foot(out);
}
