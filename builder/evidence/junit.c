/* junit.c - the results as a JUnit report, for build servers. */
#include "evidence/parts.h"

#include <string.h>

static void attribute(const char *name, const char *text, struct buf *out)
{
	buf_addf(out, " %s=\"", name);
	markup_text(text, out);
	buf_addf(out, "\"");
}

static void result(const struct evidence *v, const struct evidence_result *r, struct buf *out)
{
	char *seen SCOPED(mem_freep) = evidence_seen(r);

	buf_addf(out, "  <testcase");
	attribute("classname", v->profile_id, out);
	buf_addf(out, " name=\"");
	markup_text(r->id, out);
	buf_addf(out, ": ");
	markup_text(r->title, out);
	buf_addf(out, "\" time=\"0\">");
	if (r->status == HARDEN_FAIL) {
		buf_addf(out, "<failure");
		attribute("type", harden_severity_name(r->severity), out);
		attribute("message", seen, out);
		buf_addf(out, "/>");
	}
	if (r->status != HARDEN_PASS && r->status != HARDEN_FAIL) {
		char *why SCOPED(mem_freep) =
		    r->waiver == NULL
			? mem_format("%s: %s", r->place, r->reason)
			: mem_format("waived until %s by %s: %s (%s)", r->waiver->until,
				     r->waiver->by, r->waiver->reason, seen);

		buf_addf(out, "<skipped");
		attribute("message", why, out);
		buf_addf(out, "/>");
	}
	buf_addf(out, "</testcase>\n");
}

void format_junit(const struct evidence *v, struct buf *out)
{
	char *time SCOPED(mem_freep) = evidence_time(v);
	char *title SCOPED(mem_freep) = evidence_title(v);

	/* the format has no zone: it is UTC */
	time[strlen(time) - 1] = '\0';
	buf_addf(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n <testsuite");
	attribute("name", title, out);
	buf_addf(out, " tests=\"%zu\" failures=\"%zu\" errors=\"0\" skipped=\"%zu\" time=\"0\"",
		 v->n, v->count[HARDEN_FAIL],
		 v->count[HARDEN_NOT_APPLICABLE] + v->count[HARDEN_WAIVED] +
		     v->count[HARDEN_NOT_RUN]);
	attribute("timestamp", time, out);
	buf_addf(out, ">\n  <properties>\n");
	if (v->is_image)
		buf_addf(out,
			 "   <property name=\"image\" value=\"%s\"/>\n"
			 "   <property name=\"config\" value=\"%s\"/>\n",
			 digest_text(&v->image).s, digest_text(&v->config).s);
	buf_addf(out, "   <property name=\"profile\" value=\"%s\"/>\n  </properties>\n",
		 digest_text(&v->profile).s);
	for (size_t i = 0; i < v->n; i++)
		result(v, &v->results[i], out);
	buf_addf(out, " </testsuite>\n</testsuites>\n");
}
