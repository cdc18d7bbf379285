/* xccdf.c - the results as XCCDF 1.2: a TestResult, and around it the benchmark whose rules it
 * speaks of, so that SCAP tools can read and show the file by itself. */
#include "evidence/parts.h"

#include <string.h>

#define NAMES "xccdf_org.posmedia_"

static const char *const verdicts[] = {[HARDEN_PASS] = "pass",
				       [HARDEN_FAIL] = "fail",
				       [HARDEN_NOT_APPLICABLE] = "notapplicable",
				       [HARDEN_WAIVED] = "informational",
				       [HARDEN_NOT_RUN] = "notchecked"};

static void rule(const struct evidence_result *r, struct buf *out)
{
	buf_addf(out, " <Rule id=\"" NAMES "rule_%s\" severity=\"%s\" selected=\"true\">\n  ",
		 r->id, harden_severity_name(r->severity));
	markup_element("title", r->title, out);
	buf_addf(out, "\n  <description>");
	for (size_t i = 0; i < r->wants.n; i++) {
		buf_addf(out, i == 0 ? "" : "; ");
		markup_text(r->wants.v[i], out);
	}
	buf_addf(out, "%s</description>\n", r->wants.n == 0 ? "not held by the image" : "");
	for (size_t i = 0; i < r->sources_n; i++) {
		buf_addf(out, "  <ident system=\"urn:posmedia:standard:");
		markup_text(r->sources[i].standard, out);
		buf_addf(out, "\">");
		markup_text(r->sources[i].number, out);
		buf_addf(out, "</ident>\n");
	}
	buf_addf(out, "  <check system=\"urn:posmedia:profile\"/>\n </Rule>\n");
}

/* In words: XCCDF's own element for it, override, makes OpenSCAP 1.3's rules refuse every other
 * result of the file. */
static void waiver(const struct harden_waiver *w, struct buf *out)
{
	buf_addf(out, "   <message severity=\"%s\">%s ", w->ended ? "error" : "warning",
		 w->ended ? "the waiver ended on" : "waived until");
	markup_text(w->until, out);
	buf_addf(out, " by ");
	markup_text(w->by, out);
	buf_addf(out, ": ");
	markup_text(w->reason, out);
	buf_addf(out, "</message>\n");
}

static void result(const struct evidence_result *r, struct buf *out)
{
	buf_addf(out, "  <rule-result idref=\"" NAMES "rule_%s\" severity=\"%s\" weight=\"1\">\n",
		 r->id, harden_severity_name(r->severity));
	buf_addf(out, "   <result>%s</result>\n", verdicts[r->status]);
	for (size_t i = 0; i < r->seen.n; i++) {
		buf_addf(out, "   <message severity=\"%s\">",
			 r->status == HARDEN_FAIL ? "error" : "info");
		markup_text(r->seen.v[i], out);
		buf_addf(out, "</message>\n");
	}
	for (size_t i = 0; i < r->held.n; i++) {
		buf_addf(out, "   <message severity=\"info\">");
		markup_text(r->held.v[i], out);
		buf_addf(out, "</message>\n");
	}
	if (r->waiver != NULL)
		waiver(r->waiver, out);
	if (r->reason != NULL) {
		buf_addf(out, "   <message severity=\"info\">%s: ", r->place);
		markup_text(r->reason, out);
		buf_addf(out, "</message>\n");
	}
	buf_addf(out, "   <check system=\"urn:posmedia:profile\"/>\n  </rule-result>\n");
}

static void fact(const char *name, const char *value, struct buf *out)
{
	buf_addf(out, "   <fact name=\"urn:posmedia:%s\" type=\"string\">", name);
	markup_text(value, out);
	buf_addf(out, "</fact>\n");
}

static void target(const struct evidence *v, struct buf *out)
{
	char *title SCOPED(mem_freep) = evidence_title(v);

	buf_addf(out, "  ");
	markup_element("target", v->is_image ? digest_text(&v->image).s : v->object, out);
	buf_addf(out, "\n  <target-facts>\n");
	fact("name", title, out);
	if (v->is_image) {
		fact("image", digest_text(&v->image).s, out);
		fact("config", digest_text(&v->config).s, out);
	}
	fact("profile", digest_text(&v->profile).s, out);
	buf_addf(out, "  </target-facts>\n");
}

/* The part of what applies that passes, in hundredths of a per cent. */
static size_t score(const struct evidence *v)
{
	size_t of = v->count[HARDEN_PASS] + v->count[HARDEN_FAIL] + v->count[HARDEN_WAIVED];

	return of == 0 ? 0 : v->count[HARDEN_PASS] * 10000 / of;
}

static void test_result(const struct evidence *v, struct buf *out)
{
	char *time SCOPED(mem_freep) = evidence_time(v);
	size_t points = score(v);

	buf_addf(out, " <TestResult id=\"" NAMES "testresult_%s\"", v->profile_id);
	buf_addf(out, " start-time=\"%s\" end-time=\"%s\" version=\"%s\"", time, time,
		 POSMEDIA_VERSION);
	buf_addf(out, " test-system=\"urn:posmedia:%s\">\n", POSMEDIA_VERSION);
	buf_addf(out, "  <benchmark href=\"#" NAMES "benchmark_%s\"", v->profile_id);
	buf_addf(out, " id=\"" NAMES "benchmark_%s\"/>\n  ", v->profile_id);
	markup_element("title", v->profile_title, out);
	buf_addf(out, "\n");
	target(v, out);
	for (size_t i = 0; i < v->n; i++)
		result(&v->results[i], out);
	buf_addf(out,
		 "  <score system=\"urn:xccdf:scoring:flat-unweighted\" maximum=\"100\">"
		 "%zu.%02zu</score>\n </TestResult>\n",
		 points / 100, points % 100);
}

void format_xccdf(const struct evidence *v, struct buf *out)
{
	char *time SCOPED(mem_freep) = evidence_time(v);

	buf_addf(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		      "<Benchmark xmlns=\"http://checklists.nist.gov/xccdf/1.2\""
		      " xml:lang=\"en\" resolved=\"true\"");
	buf_addf(out, " id=\"" NAMES "benchmark_%s\">\n", v->profile_id);
	buf_addf(out, " <status date=\"%.10s\">accepted</status>\n ", time);
	markup_element("title", v->profile_title, out);
	buf_addf(out, "\n <description>the controls of profile %s</description>\n ", v->profile_id);
	markup_element("version", v->profile_version, out);
	buf_addf(out, "\n");
	for (size_t i = 0; i < v->n; i++)
		rule(&v->results[i], out);
	test_result(v, out);
	buf_addf(out, "</Benchmark>\n");
}
