/* oscal.c - the results as OSCAL assessment-results: an observation and a finding a control; a
 * waiver is a risk whose deviation was approved until a day. */
#include "evidence/parts.h"

#include <string.h>

static void put_uuid(struct jval *to, const struct evidence *v, const char *kind, const char *id)
{
	jval_put_text(to, "uuid", evidence_uuid(v, kind, id).s);
}

static void push_prop(struct jval *props, const char *name, const char *value)
{
	struct jval *j = jval_object();

	if (*value == '\0') {
		jval_free(j);
		return;
	}
	jval_put_text(j, "name", name);
	jval_put_text(j, "ns", "urn:posmedia:oscal");
	jval_put_text(j, "value", value);
	jval_push(props, j);
}

static struct jval *one_ref(const char *key, const char *uuid)
{
	struct jval *list = jval_array(), *j = jval_object();

	jval_put_text(j, key, uuid);
	jval_push(list, j);
	return list;
}

static struct jval *subjects(const struct evidence *v)
{
	struct jval *list = one_ref("subject-uuid", evidence_uuid(v, "resource", "object").s);

	jval_put_text(jval_at(list, 0), "type", "resource");
	return list;
}

static struct jval *result_props(const struct evidence_result *r)
{
	struct jval *props = jval_array();

	push_prop(props, "control-id", r->id);
	push_prop(props, "status", harden_status_name(r->status));
	push_prop(props, "severity", harden_severity_name(r->severity));
	push_prop(props, "held-by", r->place);
	for (size_t i = 0; i < r->sources_n; i++)
		push_prop(props, r->sources[i].standard, r->sources[i].number);
	return props;
}

static void push_proof(struct jval *to, const char *word, const struct strv *l)
{
	for (size_t i = 0; i < l->n; i++) {
		struct jval *one = jval_object();
		char *text SCOPED(mem_freep) = mem_format("%s: %s", word, l->v[i]);

		jval_put_text(one, "description", text);
		jval_push(to, one);
	}
}

static struct jval *observation(const struct evidence *v, const struct evidence_result *r,
				const char *time)
{
	struct jval *j = jval_object(), *methods = jval_array(), *proof = jval_array();
	char *seen SCOPED(mem_freep) = evidence_seen(r);
	char *about SCOPED(mem_freep) = NULL;

	about = mem_format("%s: %s", harden_status_name(r->status),
			   r->reason != NULL ? r->reason
			   : *seen == '\0'   ? "as wanted"
					     : seen);
	jval_push(methods, jval_text("TEST"));
	put_uuid(j, v, "observation", r->id);
	jval_put_text(j, "title", r->title);
	jval_put_text(j, "description", about);
	jval_put(j, "props", result_props(r));
	jval_put(j, "methods", methods);
	jval_put(j, "subjects", subjects(v));
	jval_put_text(j, "collected", time);
	push_proof(proof, "found", &r->held);
	push_proof(proof, "wanted", &r->wants);
	if (jval_len(proof) > 0)
		jval_put(j, "relevant-evidence", proof);
	else
		jval_free(proof);
	return j;
}

static struct jval *finding(const struct evidence *v, const struct evidence_result *r)
{
	struct jval *j = jval_object(), *to = jval_object(), *status = jval_object();
	char *seen SCOPED(mem_freep) = evidence_seen(r);

	jval_put_text(status, "state", r->status == HARDEN_PASS ? "satisfied" : "not-satisfied");
	if (r->status != HARDEN_PASS)
		jval_put_text(status, "reason", r->status == HARDEN_WAIVED ? "other" : "fail");
	jval_put_text(to, "type", "objective-id");
	jval_put_text(to, "target-id", r->id);
	jval_put(to, "status", status);
	put_uuid(j, v, "finding", r->id);
	jval_put_text(j, "title", r->title);
	jval_put_text(j, "description", *seen == '\0' ? "as wanted" : seen);
	jval_put(j, "target", to);
	jval_put(j, "related-observations",
		 one_ref("observation-uuid", evidence_uuid(v, "observation", r->id).s));
	if (r->waiver != NULL)
		jval_put(j, "related-risks",
			 one_ref("risk-uuid", evidence_uuid(v, "risk", r->id).s));
	return j;
}

static struct jval *risk(const struct evidence *v, const struct evidence_result *r)
{
	struct jval *j = jval_object(), *props = jval_array();
	char *day SCOPED(mem_freep) = mem_format("%sT23:59:59Z", r->waiver->until);

	push_prop(props, "waived-by", r->waiver->by);
	put_uuid(j, v, "risk", r->id);
	jval_put_text(j, "title", r->title);
	jval_put_text(j, "description", "a control that fails and has a waiver");
	jval_put_text(j, "statement", *r->waiver->reason == '\0' ? "-" : r->waiver->reason);
	jval_put_text(j, "status", r->waiver->ended ? "open" : "deviation-approved");
	jval_put_text(j, "deadline", day);
	jval_put(j, "props", props);
	return j;
}

static void put_list(struct jval *to, const char *key, struct jval *list)
{
	if (jval_len(list) > 0)
		jval_put(to, key, list);
	else
		jval_free(list);
}

static struct jval *reviewed(void)
{
	struct jval *j = jval_object(), *list = jval_array(), *one = jval_object();

	jval_put(one, "include-all", jval_object());
	jval_push(list, one);
	jval_put(j, "control-selections", list);
	return j;
}

static struct jval *assessment(const struct evidence *v, const char *time)
{
	struct jval *j = jval_object(), *observations = jval_array(), *findings = jval_array();
	struct jval *risks = jval_array();
	char *title SCOPED(mem_freep) = evidence_title(v);

	for (size_t i = 0; i < v->n; i++) {
		const struct evidence_result *r = &v->results[i];

		jval_push(observations, observation(v, r, time));
		if (r->status != HARDEN_NOT_APPLICABLE && r->status != HARDEN_NOT_RUN)
			jval_push(findings, finding(v, r));
		if (r->waiver != NULL)
			jval_push(risks, risk(v, r));
	}
	put_uuid(j, v, "result", "");
	jval_put_text(j, "title", title);
	jval_put_text(j, "description", v->profile_title);
	jval_put_text(j, "start", time);
	jval_put_text(j, "end", time);
	jval_put(j, "reviewed-controls", reviewed());
	put_list(j, "observations", observations);
	put_list(j, "risks", risks);
	put_list(j, "findings", findings);
	return j;
}

static struct jval *resource(const struct evidence *v, const char *id, const char *title,
			     const struct digest *d)
{
	struct jval *j = jval_object();

	put_uuid(j, v, "resource", id);
	jval_put_text(j, "title", title);
	if (d != NULL) {
		struct jval *props = jval_array();

		push_prop(props, "digest", digest_text(d).s);
		jval_put(j, "props", props);
	}
	return j;
}

static struct jval *back_matter(const struct evidence *v)
{
	struct jval *j = jval_object(), *list = jval_array();
	char *title SCOPED(mem_freep) = evidence_title(v);
	char *profile SCOPED(mem_freep) = mem_format("%s %s", v->profile_id, v->profile_version);
	const struct digest *image = v->is_image ? &v->image : NULL;

	jval_push(list, resource(v, "object", title, image));
	if (v->is_image)
		jval_push(list, resource(v, "config", "image configuration", &v->config));
	jval_push(list, resource(v, "profile", profile, &v->profile));
	jval_put(j, "resources", list);
	return j;
}

void format_oscal(const struct evidence *v, struct buf *out)
{
	struct jval *j SCOPED(jval_freep) = jval_object();
	struct jval *ar = jval_object(), *meta = jval_object(), *plan = jval_object();
	struct jval *results = jval_array();
	char *time SCOPED(mem_freep) = evidence_time(v);
	char *href SCOPED(mem_freep) = mem_format("#%s", evidence_uuid(v, "resource", "profile").s);

	jval_put_text(meta, "title", v->profile_title);
	jval_put_text(meta, "last-modified", time);
	jval_put_text(meta, "version", v->profile_version);
	jval_put_text(meta, "oscal-version", "1.0.6");
	jval_put_text(plan, "href", href);
	jval_push(results, assessment(v, time));
	put_uuid(ar, v, "assessment-results", "");
	jval_put(ar, "metadata", meta);
	jval_put(ar, "import-ap", plan);
	jval_put(ar, "results", results);
	jval_put(ar, "back-matter", back_matter(v));
	jval_put(j, "assessment-results", ar);
	jval_write(j, out);
	buf_addf(out, "\n");
}
