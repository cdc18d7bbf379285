/* html_summary.c - the page's beginning. */
#include "evidence/page.h"

#include <string.h>

static void verdict(const struct evidence *v, struct buf *out)
{
	size_t unrun = v->count[HARDEN_NOT_RUN];
	size_t applies = v->n - v->count[HARDEN_NOT_APPLICABLE] - unrun;
	size_t fail = v->count[HARDEN_FAIL], waived = v->count[HARDEN_WAIVED];

	buf_addf(out, "<div class=\"verdict %s\"><strong>",
		 fail > 0     ? "fail"
		 : waived > 0 ? "waived"
			      : "pass");
	if (fail > 0)
		buf_addf(out, "%zu of %zu controls that apply fail", fail, applies);
	else if (waived > 0)
		buf_addf(out, "No control fails without a waiver; %zu of %zu %s waived", waived,
			 applies, waived == 1 ? "is" : "are");
	else
		buf_addf(out, "All %zu controls that apply pass", applies);
	buf_addf(out, "</strong>");
	if (v->count[HARDEN_NOT_APPLICABLE] > 0)
		buf_addf(out,
			 "%zu controls do not apply to %s; <a href=\"#not-applicable\">who holds "
			 "them</a> is listed. ",
			 v->count[HARDEN_NOT_APPLICABLE], v->is_image ? "an image" : "this tree");
	if (unrun > 0)
		buf_addf(out, "%zu control%s by running programs of %s, which was not asked for. ",
			 unrun, unrun == 1 ? " is judged" : "s are judged",
			 v->is_image ? "the image" : "this tree");
	if (v->until != NULL) {
		buf_addf(out, "This holds until <b>");
		markup_text(v->until, out);
		buf_addf(out, "</b>, when the first <a href=\"#waivers\">waiver</a> ends.");
	}
	buf_addf(out, "</div>\n");
}

static void fact(const char *name, const char *value, struct buf *out)
{
	buf_addf(out, "<dt>%s</dt><dd><code>", name);
	markup_text(value, out);
	buf_addf(out, "</code></dd>\n");
}

static void signatures(const struct evidence *v, struct buf *out)
{
	buf_addf(out, "<dt>Signatures</dt><dd>");
	if (!v->signatures_checked)
		buf_addf(out, "not looked at here; <code>posmedia verify</code> checks them "
			      "against a key or a policy");
	else if (v->signatures.n == 0)
		buf_addf(out, "none by the given key");
	for (size_t i = 0; i < v->signatures.n; i++) {
		buf_addf(out, i == 0 ? "<code>" : "<br><code>");
		markup_text(v->signatures.v[i], out);
		buf_addf(out, "</code>");
	}
	buf_addf(out, "</dd>\n");
}

static void facts(const struct evidence *v, struct buf *out)
{
	char *time SCOPED(mem_freep) = evidence_time(v);
	char *profile SCOPED(mem_freep) = mem_format("%s %s", v->profile_id, v->profile_version);

	buf_addf(out, "<dl>\n");
	if (v->is_image) {
		fact("Image", digest_text(&v->image).s, out);
		fact("Configuration", digest_text(&v->config).s, out);
		fact("Made", time, out);
		signatures(v, out);
	} else {
		fact("Directory", v->object, out);
		buf_addf(out, "<dt>Digest</dt><dd>none: a directory is not an image, and this "
			      "page is bound to no digest</dd>\n");
		fact("Audited", time, out);
	}
	fact("Judged as", v->system, out);
	fact("Profile", profile, out);
	fact("", digest_text(&v->profile).s, out);
	fact("Checked by", "posmedia " POSMEDIA_VERSION, out);
	buf_addf(out, "</dl>\n");
}

static void counts(const struct evidence *v, struct buf *out)
{
	static const enum harden_status order[] = {HARDEN_PASS, HARDEN_WAIVED, HARDEN_FAIL,
						   HARDEN_NOT_RUN, HARDEN_NOT_APPLICABLE};
	struct page_counts c;

	memcpy(c.count, v->count, sizeof(c.count));
	page_bar(&c, "big", out);
	buf_addf(out, "<ul class=\"legend\">");
	for (size_t i = 0; i < HARDEN_STATUSES; i++) {
		/* where programs are run there is nothing to say about those that are not */
		if (order[i] == HARDEN_NOT_RUN && v->count[HARDEN_NOT_RUN] == 0)
			continue;
		buf_addf(out, "<li><b>%zu</b> ", v->count[order[i]]);
		page_badge(order[i], out);
		buf_addf(out, "</li>");
	}
	buf_addf(out, "</ul>\n");
}

static void chapter_row(const struct evidence *v, const struct requirements *r, size_t from,
			size_t to, struct buf *out)
{
	size_t n = page_chapter(r->v[from].number);
	char *chapter SCOPED(mem_freep) = mem_strndup(r->v[from].number, n);
	const char *title = harden_requirement_title(v->from, r->standard, chapter);
	struct page_counts c = page_count(v, &r->v[from], to - from);

	buf_addf(out, "<tr><td class=\"s-no\"><a href=\"#r%zu\">", from);
	markup_text(chapter, out);
	buf_addf(out, "</a></td><td><a href=\"#r%zu\">", from);
	markup_text(title == NULL ? "" : title, out);
	buf_addf(out, "</a></td>");
	buf_addf(out,
		 "<td class=\"s-num\">%zu</td><td class=\"s-num\">%zu</td>"
		 "<td class=\"s-num\">%zu</td><td class=\"s-num\">%zu</td>",
		 c.count[HARDEN_PASS], c.count[HARDEN_WAIVED], c.count[HARDEN_FAIL],
		 c.count[HARDEN_NOT_APPLICABLE]);
	if (v->count[HARDEN_NOT_RUN] > 0)
		buf_addf(out, "<td class=\"s-num\">%zu</td>", c.count[HARDEN_NOT_RUN]);
	buf_addf(out, "<td class=\"s-bar\">");
	page_bar(&c, "bar", out);
	buf_addf(out, "</td></tr>\n");
}

static void contents(const struct evidence *v, const struct requirements *r, struct buf *out)
{
	size_t from = 0;

	buf_addf(
	    out,
	    "<nav><h2 id=\"contents\">Contents and counts</h2>\n<table class=\"counts\"><thead><tr>"
	    "<th class=\"s-no\">%s</th><th>Requirement</th><th class=\"s-num\">pass</th>"
	    "<th class=\"s-num\">waived</th><th class=\"s-num\">fail</th>"
	    "<th class=\"s-num\">n/a</th>%s<th class=\"s-bar\"></th></tr></thead><tbody>\n",
	    r->standard == NULL ? "" : standard_title(r->standard),
	    v->count[HARDEN_NOT_RUN] > 0 ? "<th class=\"s-num\">not run</th>" : "");
	while (from < r->n) {
		size_t n = page_chapter(r->v[from].number), to = from;

		while (to < r->n && page_chapter(r->v[to].number) == n &&
		       strncmp(r->v[to].number, r->v[from].number, n) == 0)
			to++;
		chapter_row(v, r, from, to, out);
		from = to;
	}
	buf_addf(out, "</tbody></table>\n<p>Also: <a href=\"#waivers\">waivers</a> &#183; "
		      "<a href=\"#not-applicable\">what does not apply, and who holds it</a> "
		      "&#183; <a href=\"#words\">what the words mean</a>. A control may answer "
		      "several requirements and is counted under each.</p></nav>\n");
}

static void attention(const struct evidence *v, struct buf *out)
{
	if (v->count[HARDEN_FAIL] == 0)
		return;
	buf_addf(out, "<h2 id=\"attention\">What fails</h2>\n<table><thead><tr>"
		      "<th class=\"c-id\">Control</th><th>File and value seen</th></tr></thead>"
		      "<tbody>\n");
	for (size_t i = 0; i < v->n; i++) {
		const struct evidence_result *r = &v->results[i];

		if (r->status != HARDEN_FAIL)
			continue;
		buf_addf(out, "<tr class=\"bad\"><td><span class=\"id\">");
		markup_text(r->id, out);
		buf_addf(out, "</span> <span class=\"small\">%s</span><br>",
			 harden_severity_name(r->severity));
		markup_text(r->title, out);
		buf_addf(out, "</td><td>");
		for (size_t k = 0; k < r->seen.n; k++) {
			buf_addf(out, "<span class=\"seen\">");
			markup_text(r->seen.v[k], out);
			buf_addf(out, "</span>");
		}
		if (r->waiver != NULL) {
			buf_addf(out, "<span class=\"small\">its waiver ended on ");
			markup_text(r->waiver->until, out);
			buf_addf(out, "</span>");
		}
		buf_addf(out, "</td></tr>\n");
	}
	buf_addf(out, "</tbody></table>\n");
}

void page_summary(const struct evidence *v, const struct requirements *r, struct buf *out)
{
	char *title SCOPED(mem_freep) = evidence_title(v);

	buf_addf(out, "<header><h1>Hardening evidence: ");
	markup_text(title, out);
	buf_addf(out, "</h1>\n<p class=\"sub\">");
	markup_text(v->profile_title, out);
	buf_addf(out, "</p></header>\n");
	verdict(v, out);
	counts(v, out);
	facts(v, out);
	contents(v, r, out);
	attention(v, out);
}
