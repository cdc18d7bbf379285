/* page.c - the report as one page that asks for nothing else: figures, the timeline drawn, and what
 * each phase said. */
#include "cutover/run.h"

#include "evidence/parts.h"
#include "form/hex.h"
#include <string.h>

enum { WIDE = 900, LEFT = 110, BAR = 20, GAP = 6 };

static const char style[] =
    "body{font:15px/1.5 sans-serif;margin:2em auto;max-width:62em;padding:0 1em;color:#222}"
    "h1{font-size:1.5em}table{border-collapse:collapse;width:100%}"
    "td,th{text-align:left;padding:.3em .6em;border-bottom:1px solid #ddd;vertical-align:top}"
    "dl{display:grid;grid-template-columns:max-content auto;gap:.2em 1em}dd{margin:0}"
    "svg{width:100%;height:auto}svg text{font:12px sans-serif}.bad{color:#a00}"
    ".o{fill:#c8502d}.n{fill:#6b8fb5}.x{fill:#a00}";

static void fact(struct buf *out, const char *name, const char *value)
{
	buf_addf(out, "<dt>%s</dt><dd>", name);
	markup_text(value != NULL ? value : "-", out);
	buf_addf(out, "</dd>\n");
}

static void number(struct buf *out, const char *name, const struct jval *v, const char *key,
		   const char *unit)
{
	char *text SCOPED(mem_freep) = NULL;
	long long n = (long long)cut_number(v, key);

	if (jval_get(v, key) == NULL)
		return;
	text = strcmp(unit, "s") == 0 ? mem_format("%lld.%03lld s", n / 1000, n % 1000)
				      : mem_format("%lld %s", n, unit);
	fact(out, name, text);
}

static bool behind_fence(const char *phase)
{
	int p = cut_phase_of(phase);

	return p >= CUT_FENCE && p <= CUT_OPEN;
}

static int64_t end_of(const struct jval *row)
{
	return cut_number(row, "at-ms") + cut_number(row, "ms");
}

/* One bar a phase, from when it began; what the shop was without is of another colour. */
static void bar(struct buf *out, const struct jval *row, size_t i, int64_t all)
{
	const char *phase = jval_get_str(row, "phase");
	long long wide = (WIDE - LEFT) * (long long)cut_number(row, "ms") / all;
	long long at = LEFT + (WIDE - LEFT) * (long long)cut_number(row, "at-ms") / all;
	long long y = (long long)i * (BAR + GAP);
	const char *kind = jval_get(row, "error") != NULL ? "x" : behind_fence(phase) ? "o" : "n";

	buf_addf(out, "<text x=\"0\" y=\"%lld\">", y + BAR - 5);
	markup_text(phase, out);
	buf_addf(out,
		 "</text><rect class=\"%s\" x=\"%lld\" y=\"%lld\" width=\"%lld\" "
		 "height=\"%d\"><title>%lld ms</title></rect>\n",
		 kind, at, y, wide < 2 ? 2 : wide, BAR, (long long)cut_number(row, "ms"));
}

static void timeline(struct buf *out, const struct jval *rows)
{
	size_t n = jval_len(rows);
	int64_t all = 1;

	for (size_t i = 0; i < n; i++)
		if (end_of(jval_at(rows, i)) > all)
			all = end_of(jval_at(rows, i));
	buf_addf(out,
		 "<h2>Timeline</h2>\n<svg viewBox=\"0 0 %d %zu\" role=\"img\" "
		 "aria-label=\"when each phase ran\">\n",
		 WIDE + 4, n * (BAR + GAP) + 20);
	for (size_t i = 0; i < n; i++)
		bar(out, jval_at(rows, i), i, all);
	buf_addf(out,
		 "<text x=\"%d\" y=\"%zu\">0</text><text x=\"%d\" y=\"%zu\" "
		 "text-anchor=\"end\">%lld.%03lld s</text>\n</svg>\n",
		 LEFT, n * (BAR + GAP) + 14, WIDE, n * (BAR + GAP) + 14, (long long)all / 1000,
		 (long long)all % 1000);
}

static void row(struct buf *out, const struct jval *v)
{
	const char *error = jval_get_str(v, "error");

	buf_addf(out, "<tr><td>");
	markup_text(jval_get_str(v, "phase"), out);
	buf_addf(out, "</td><td>");
	markup_text(jval_get_str(v, "time"), out);
	buf_addf(out, "</td><td>%lld ms</td><td%s>", (long long)cut_number(v, "ms"),
		 error != NULL ? " class=\"bad\"" : "");
	markup_text(error != NULL ? error : jval_get_bool(v, "ok") ? "done" : "-", out);
	buf_addf(out, "</td></tr>\n");
}

static void check_row(struct buf *out, const struct jval *v)
{
	bool ok = jval_get_bool(v, "passed");
	const char *why = jval_get_str(v, "why");

	buf_addf(out, "<tr><td>");
	markup_text(jval_get_str(v, "name"), out);
	buf_addf(out, "</td><td>");
	markup_text(jval_get_str(v, "on"), out);
	buf_addf(out, "</td><td>%lld ms</td><td%s>", (long long)cut_number(v, "ms"),
		 ok ? "" : " class=\"bad\"");
	markup_text(ok ? "passed" : why != NULL ? why : "failed", out);
	buf_addf(out, "</td></tr>\n");
}

static void table(struct buf *out, const char *title, const struct jval *list,
		  void (*one)(struct buf *out, const struct jval *v))
{
	if (jval_len(list) == 0)
		return;
	buf_addf(out, "<h2>%s</h2>\n<table>\n", title);
	for (size_t i = 0; i < jval_len(list); i++)
		one(out, jval_at(list, i));
	buf_addf(out, "</table>\n");
}

void cut_page(const struct jval *v, struct buf *out)
{
	struct digest d = digest_of(style, strlen(style));
	char *sha SCOPED(mem_freep) = base64_encode(d.b, sizeof(d.b));

	buf_addf(out,
		 "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		 "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
		 "style-src 'sha256-%s'; base-uri 'none'; form-action 'none'\">\n"
		 "<title>Cutover</title>\n<style>%s</style>\n</head>\n<body>\n<h1>Cutover of shop ",
		 sha, style);
	markup_text(jval_get_str(v, "shop"), out);
	buf_addf(out, "</h1>\n<dl>\n");
	fact(out, "Outcome", jval_get_str(v, "state"));
	fact(out, "Environment", jval_get_str(v, "environment"));
	fact(out, "Old server", jval_get_str(v, "old"));
	fact(out, "Run", jval_get_str(v, "run"));
	number(out, "Outage, until open", v, "outage-ms", "s");
	number(out, "Outage, until the first good test", v, "smoke-ms", "s");
	number(out, "Files", v, "files", "");
	number(out, "Data", v, "bytes", "bytes");
	number(out, "Written in the last pass", v, "written-bytes", "bytes");
	number(out, "Checks passed", v, "checks-passed", "");
	number(out, "Checks failed", v, "checks-failed", "");
	buf_addf(out, "</dl>\n");
	timeline(out, jval_get(v, "phases"));
	table(out, "Phases", jval_get(v, "phases"), row);
	table(out, "Checks", jval_get(v, "checks"), check_row);
	buf_addf(out, "</body>\n</html>\n");
}
