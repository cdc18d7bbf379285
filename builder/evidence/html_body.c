/* html_body.c - the page's tables, by requirement, and the lists after them. */
#include "evidence/page.h"

#include <string.h>

/* The requirements of the other standards that the control answers. */
static void other_sources(const struct evidence_result *r, const char *not_this, struct buf *out)
{
	static const char mark[] = " &#183; ";
	const char *last = not_this;
	size_t n = 0;
	bool same;

	for (size_t i = 0; i < r->sources_n; i++) {
		const struct evidence_source *s = &r->sources[i];

		if (strcmp(s->standard, not_this) == 0 || strcmp(s->standard, "legacy") == 0)
			continue;
		same = n > 0 && strcmp(last, s->standard) == 0;
		buf_addf(out, "%s", n == 0 ? "<br><span class=\"small\">" : same ? ", " : mark);
		if (!same) {
			markup_text(standard_title(s->standard), out);
			buf_addf(out, " ");
		}
		markup_text(s->number, out);
		last = s->standard;
		n++;
	}
	if (n > 0)
		buf_addf(out, "</span>");
}

static void lines(const char *element, const struct strv *l, struct buf *out)
{
	for (size_t i = 0; i < l->n; i++) {
		buf_addf(out, "<span class=\"%s\">%s", element,
			 strcmp(element, "want") == 0 ? "<code>" : "");
		markup_text(l->v[i], out);
		buf_addf(out, "%s</span>", strcmp(element, "want") == 0 ? "</code>" : "");
	}
}

static void waiver(const struct harden_waiver *w, struct buf *out)
{
	buf_addf(out, "<span class=\"small\">%s ", w->ended ? "the waiver ended on" : "until");
	markup_text(w->until, out);
	buf_addf(out, ", by ");
	markup_text(w->by, out);
	buf_addf(out, ": ");
	markup_text(w->reason, out);
	buf_addf(out, "</span>");
}

static void control_cell(const struct evidence_result *r, const char *standard, struct buf *out)
{
	buf_addf(out, "<td class=\"c-id\"><span class=\"id\">");
	markup_text(r->id, out);
	buf_addf(out, "</span> <span class=\"small\">%s</span><br>",
		 harden_severity_name(r->severity));
	markup_text(r->title, out);
	other_sources(r, standard, out);
	buf_addf(out, "</td>");
}

static void row(const struct evidence_result *r, const char *standard, struct buf *out)
{
	buf_addf(out, "<tr%s>", r->status == HARDEN_FAIL ? " class=\"bad\"" : "");
	control_cell(r, standard, out);
	buf_addf(out, "<td class=\"c-res\">");
	page_badge(r->status, out);
	buf_addf(out, "</td><td>");
	if (r->reason != NULL) {
		if (strcmp(r->place, "image") != 0)
			buf_addf(out, "held by the %s: ", r->place);
		markup_text(r->reason, out);
	} else if (r->seen.n == 0 && r->held.n == 0) {
		buf_addf(out, "found as wanted:");
	}
	lines("seen", &r->seen, out);
	lines("held", &r->held, out);
	if (r->waiver != NULL)
		waiver(r->waiver, out);
	if (r->status != HARDEN_NOT_APPLICABLE) {
		if (r->seen.n > 0 || r->held.n > 0)
			buf_addf(out, "<span class=\"small\">wanted:</span>");
		lines("want", &r->wants, out);
	}
	buf_addf(out, "</td></tr>\n");
}

static void table_head(struct buf *out)
{
	buf_addf(out, "<table><thead><tr><th class=\"c-id\">Control</th>"
		      "<th class=\"c-res\">Result</th><th>File and value</th></tr></thead>"
		      "<tbody>\n");
}

static void chapter_head(const struct evidence *v, const struct requirements *r, size_t at,
			 struct buf *out)
{
	char *chapter SCOPED(mem_freep) =
	    mem_strndup(r->v[at].number, page_chapter(r->v[at].number));
	const char *title = harden_requirement_title(v->from, r->standard, chapter);

	buf_addf(out, "<h2 id=\"r%zu\">%s requirement ", at, standard_title(r->standard));
	markup_text(chapter, out);
	if (title != NULL) {
		buf_addf(out, ": ");
		markup_text(title, out);
	}
	buf_addf(out, PAGE_UP);
}

/* What the profile calls the requirement, or the one that it is a part of; NULL when only the
 * chapter has a title, which stands above. */
static const char *section_title(const struct evidence *v, const struct requirements *r, size_t at)
{
	char *number SCOPED(mem_freep) = mem_strdup(r->v[at].number);
	char *dot;

	while ((dot = strrchr(number, '.')) != NULL) {
		const char *title = harden_requirement_title(v->from, r->standard, number);

		if (title != NULL)
			return title;
		*dot = '\0';
	}
	return NULL;
}

static bool is_new_chapter(const struct requirements *r, size_t i)
{
	size_t n = page_chapter(r->v[i].number);

	return i == 0 || page_chapter(r->v[i - 1].number) != n ||
	       strncmp(r->v[i - 1].number, r->v[i].number, n) != 0;
}

/* What answers no requirement of the page's standard is not lost. */
static void others(const struct evidence *v, const struct requirements *r, struct buf *out)
{
	const char *standard = r->standard == NULL ? "" : r->standard;
	size_t n = 0;

	for (size_t i = 0; i < v->n; i++) {
		bool has = false;

		for (size_t k = 0; k < v->results[i].sources_n; k++)
			has = has || strcmp(v->results[i].sources[k].standard, standard) == 0;
		if (has)
			continue;
		if (n++ == 0) {
			buf_addf(out, "<h2 id=\"others\">Other controls" PAGE_UP);
			table_head(out);
		}
		row(&v->results[i], standard, out);
	}
	if (n > 0)
		buf_addf(out, "</tbody></table>\n");
}

void page_requirements(const struct evidence *v, const struct requirements *r, struct buf *out)
{
	for (size_t i = 0; i < r->n; i++) {
		const char *title = section_title(v, r, i);

		if (is_new_chapter(r, i))
			chapter_head(v, r, i, out);
		buf_addf(out, "<h3>%s ", standard_title(r->standard));
		markup_text(r->v[i].number, out);
		buf_addf(out, "%s", title == NULL ? "" : ": ");
		markup_text(title == NULL ? "" : title, out);
		buf_addf(out, "</h3>\n");
		table_head(out);
		for (size_t k = 0; k < r->v[i].n; k++)
			row(&v->results[r->v[i].results[k]], r->standard, out);
		buf_addf(out, "</tbody></table>\n");
	}
	others(v, r, out);
}

static void waivers(const struct evidence *v, struct buf *out)
{
	size_t n = 0;

	buf_addf(out, "<h2 id=\"waivers\">Waivers" PAGE_UP);
	for (size_t i = 0; i < v->n; i++) {
		const struct evidence_result *r = &v->results[i];

		if (r->waiver == NULL)
			continue;
		if (n++ == 0)
			table_head(out);
		buf_addf(out, "<tr>");
		control_cell(r, "", out);
		buf_addf(out, "<td class=\"c-res\">");
		page_badge(r->status, out);
		buf_addf(out, "</td><td>");
		waiver(r->waiver, out);
		buf_addf(out, "</td></tr>\n");
	}
	buf_addf(out, n > 0 ? "</tbody></table>\n" : "<p>None are in use.</p>\n");
}

static void not_applicable(const struct evidence *v, struct buf *out)
{
	buf_addf(out, "<h2 id=\"not-applicable\">What does not apply, and who holds it" PAGE_UP
		      "<table><thead><tr><th class=\"c-id\">Control</th><th class=\"c-res\">Held "
		      "by</th><th>Why</th></tr></thead><tbody>\n");
	for (size_t i = 0; i < v->n; i++) {
		const struct evidence_result *r = &v->results[i];

		if (r->status != HARDEN_NOT_APPLICABLE)
			continue;
		buf_addf(out, "<tr>");
		control_cell(r, "", out);
		buf_addf(out, "<td class=\"c-res\">%s</td><td>",
			 strcmp(r->place, "image") == 0 ? "&#8211;" : r->place);
		markup_text(r->reason == NULL ? "" : r->reason, out);
		buf_addf(out, "</td></tr>\n");
	}
	buf_addf(out, "</tbody></table>\n");
}

void page_lists(const struct evidence *v, const struct requirements *r, struct buf *out)
{
	bool retired = r->standard != NULL && strcmp(r->standard, "pa-dss") == 0;

	waivers(v, out);
	not_applicable(v, out);
	buf_addf(
	    out,
	    "<h2 id=\"words\">What the words mean" PAGE_UP "<dl>\n"
	    "<dt>pass</dt><dd>The values that are in effect &#8211; with included files, drop-ins "
	    "and later lines &#8211; are the wanted ones, which stand beside it.</dd>\n"
	    "<dt>fail</dt><dd>They are not; the file, the line and the value seen stand beside "
	    "it.</dd>\n"
	    "<dt>waived</dt><dd>They are not, and the recipe says why, who decided it and until "
	    "when. A waiver that has ended counts no more: the control fails.</dd>\n"
	    "<dt>not applicable</dt><dd>The control is the host&#39;s or the instance&#39;s to "
	    "hold, or what it is about is not installed. It counts as neither passed nor "
	    "failed.</dd>\n</dl>\n"
	    "<footer><p>This page was made from the bytes of the object above and nothing else; "
	    "<code>posmedia audit --verify-evidence</code> makes it again and compares. "
	    "%s evidence for an assessor and no certificate.</p></footer>\n",
	    retired ? "PA-DSS was retired in October 2022: these results are"
		    : "These results are");
}
