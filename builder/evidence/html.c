/* html.c - the page for people: one file that asks for nothing else and runs nothing. */
#include "evidence/page.h"

#include "form/hex.h"
#include <string.h>

void format_html(const struct evidence *v, struct buf *out)
{
	struct requirements r SCOPED(requirements_release) = {0};
	char *title SCOPED(mem_freep) = evidence_title(v);
	struct digest d = digest_of(page_style, strlen(page_style));
	char *sha SCOPED(mem_freep) = base64_encode(d.b, sizeof(d.b));

	requirements_of(v, &r);
	buf_addf(out,
		 "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		 "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
		 "style-src 'sha256-%s'; base-uri 'none'; form-action 'none'\">\n"
		 "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
		 "<meta name=\"referrer\" content=\"no-referrer\">\n<title>Hardening evidence: ",
		 sha);
	markup_text(title, out);
	buf_addf(out, "</title>\n<style>%s</style>\n</head>\n<body>\n", page_style);
	page_summary(v, &r, out);
	page_requirements(v, &r, out);
	page_lists(v, &r, out);
	buf_addf(out, "</body>\n</html>\n");
}

size_t page_chapter(const char *number)
{
	return strcspn(number, ".");
}

struct page_counts page_count(const struct evidence *v, const struct requirement *r, size_t n)
{
	bool *seen SCOPED(mem_freep) = mem_zalloc((v->n + 1) * sizeof(*seen));
	struct page_counts c = {{0}};

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < r[i].n; k++)
			seen[r[i].results[k]] = true;
	for (size_t i = 0; i < v->n; i++)
		c.count[v->results[i].status] += seen[i];
	return c;
}

/* Words and marks: who sees no colours reads the same. */
void page_badge(enum harden_status s, struct buf *out)
{
	static const char *const badges[] = {
	    [HARDEN_PASS] = "<span class=\"badge pass\">&#10003; pass</span>",
	    [HARDEN_FAIL] = "<span class=\"badge fail\">&#10007; fail</span>",
	    [HARDEN_NOT_APPLICABLE] = "<span class=\"badge na\">&#8211; not applicable</span>",
	    [HARDEN_WAIVED] = "<span class=\"badge waived\">! waived</span>",
	    [HARDEN_NOT_RUN] = "<span class=\"badge na\">? not run</span>"};

	buf_addf(out, "%s", badges[s]);
}

void page_bar(const struct page_counts *c, const char *label, struct buf *out)
{
	static const int order[] = {HARDEN_PASS, HARDEN_WAIVED, HARDEN_FAIL, HARDEN_NOT_RUN,
				    HARDEN_NOT_APPLICABLE};
	size_t all = 0, at = 0;

	buf_addf(out,
		 "<svg class=\"%s\" viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" "
		 "role=\"img\" aria-label=\"%zu pass, %zu waived, %zu fail, %zu not applicable\">",
		 label, c->count[HARDEN_PASS], c->count[HARDEN_WAIVED], c->count[HARDEN_FAIL],
		 c->count[HARDEN_NOT_APPLICABLE]);
	for (size_t i = 0; i < HARDEN_STATUSES; i++)
		all += c->count[i];
	for (size_t i = 0; i < HARDEN_STATUSES; i++) {
		size_t n = c->count[order[i]], to;

		if (n == 0)
			continue;
		to = at + n;
		buf_addf(out, "<rect class=\"b%d\" x=\"%zu\" y=\"0\" width=\"%zu\" height=\"10\"/>",
			 order[i], at * 1000 / all, to * 1000 / all - at * 1000 / all);
		at = to;
	}
	buf_addf(out, "</svg>");
}
