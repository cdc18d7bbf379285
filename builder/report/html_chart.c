/* html_chart.c - charts as SVG: bars, with a scale that people can read. */
#include "report/page.h"

#include "evidence/parts.h"
#include <string.h>

enum { WIDE = 720, HIGH = 230, LEFT = 84, TOP = 10, BOTTOM = 26, LINES = 4, LABEL_WIDE = 62 };

/* A round number at least n, so that a quarter of it is one that people like. */
static int64_t round_up(int64_t n, enum report_type type)
{
	static const int64_t seconds[] = {4,     20,    60,    240,    1200,  3600,
					  14400, 43200, 86400, 345600, 864000};
	int64_t step = 1, scale = type == REPORT_SECONDS ? 3600 : 1;

	for (size_t i = 0; type == REPORT_SECONDS && i < sizeof(seconds) / sizeof(seconds[0]); i++)
		if (n <= seconds[i])
			return seconds[i];
	for (;; step *= 10) {
		static const int64_t steps[] = {4, 6, 8, 10, 12, 16, 20, 24, 32};

		for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
			if (n <= step * steps[i] * scale && step * steps[i] % LINES == 0)
				return step * steps[i] * scale;
	}
}

static int64_t largest(const struct report_chart *c)
{
	int64_t most = 1;

	for (size_t i = 0; i < c->labels.n * c->series_n; i++)
		if (c->v[i] > most)
			most = c->v[i];
	return most;
}

static char *shown(const struct report *r, const struct report_chart *c, int64_t n)
{
	const struct report_column col = {"", "", c->type};
	const struct report_cell cell = {NULL, n, true};

	if (c->type == REPORT_SECONDS && n % 3600 == 0)
		return mem_format("%lld h", (long long)(n / 3600));
	return cell_shown(r, &col, &cell);
}

static void scale(const struct report *r, const struct report_chart *c, int64_t top,
		  struct buf *out)
{
	for (int i = 0; i <= LINES; i++) {
		int y = TOP + (HIGH - TOP - BOTTOM) * (LINES - i) / LINES;
		char *text SCOPED(mem_freep) = shown(r, c, top * i / LINES);

		buf_addf(out,
			 "<path class=\"grid\" d=\"M%d %dH%d\"/><text x=\"%d\" y=\"%d\" "
			 "text-anchor=\"end\">",
			 LEFT, y, WIDE, LEFT - 8, y + 4);
		markup_text(text, out);
		buf_addf(out, "</text>\n");
	}
}

/* A chart that is drawn, up to so much. */
struct drawing {
	const struct report *r;
	const struct report_chart *c;
	int64_t top;
};

static void bar(const struct drawing *d, size_t i, size_t k, struct buf *out)
{
	const struct report_chart *c = d->c;
	int64_t n = c->v[i * c->series_n + k], room = HIGH - TOP - BOTTOM;
	int64_t high = n * room / d->top;
	int64_t slot = (WIDE - LEFT) * 100 / (int64_t)c->labels.n;
	int64_t each = slot * 8 / 10 / (int64_t)c->series_n, x;
	char *text SCOPED(mem_freep) = shown(d->r, c, n);

	if (each > 4800)
		each = 4800;
	x = slot * (int64_t)i + (slot - each * (int64_t)c->series_n) / 2 + each * (int64_t)k;
	if (n > 0 && high < 1)
		high = 1;
	buf_addf(out,
		 "<rect class=\"s%zu\" x=\"%lld.%02lld\" y=\"%lld\" width=\"%lld.%02lld\" "
		 "height=\"%lld\"><title>",
		 k, (long long)(LEFT + x / 100), (long long)(x % 100),
		 (long long)(TOP + room - high), (long long)(each * 9 / 10 / 100),
		 (long long)(each * 9 / 10 % 100), (long long)high);
	markup_text(c->labels.v[i], out);
	if (c->series_n > 1) {
		buf_addf(out, ", ");
		markup_text(c->series[k], out);
	}
	buf_addf(out, ": ");
	markup_text(text, out);
	buf_addf(out, "</title></rect>\n");
}

/* As many labels as there is room for. */
static void label(const struct report_chart *c, size_t i, struct buf *out)
{
	size_t every = c->labels.n * LABEL_WIDE / (WIDE - LEFT) + 1;
	int64_t x = LEFT + (WIDE - LEFT) * (2 * (int64_t)i + 1) / (2 * (int64_t)c->labels.n);
	char *text SCOPED(mem_freep) = NULL;

	if (i % every != 0)
		return;
	text = text_clean(c->labels.v[i], 24);
	buf_addf(out, "<text x=\"%lld\" y=\"%d\" text-anchor=\"middle\">", (long long)x, HIGH - 8);
	markup_text(text, out);
	buf_addf(out, "</text>\n");
}

static void legend(const struct report_chart *c, struct buf *out)
{
	if (c->series_n < 2)
		return;
	buf_addf(out, "<ul class=\"key\">");
	for (size_t k = 0; k < c->series_n; k++) {
		buf_addf(out,
			 "<li><svg viewBox=\"0 0 1 1\" aria-hidden=\"true\"><rect "
			 "class=\"s%zu\" width=\"1\" height=\"1\"/></svg>",
			 k);
		markup_text(c->series[k], out);
		buf_addf(out, "</li>");
	}
	buf_addf(out, "</ul>\n");
}

void page_chart(const struct report *r, const struct report_chart *c, struct buf *out)
{
	const struct drawing d = {r, c, round_up(largest(c), c->type)};

	if (c->labels.n == 0)
		return;
	buf_addf(out, "<figure><figcaption>");
	markup_text(c->title, out);
	buf_addf(out, "</figcaption>\n<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", WIDE,
		 HIGH);
	markup_text(c->title, out);
	buf_addf(out, "\">\n");
	scale(r, c, d.top, out);
	for (size_t i = 0; i < c->labels.n; i++) {
		for (size_t k = 0; k < c->series_n; k++)
			bar(&d, i, k, out);
		label(c, i, out);
	}
	buf_addf(out, "</svg>\n");
	legend(c, out);
	buf_addf(out, "</figure>\n");
}
