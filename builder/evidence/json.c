/* json.c - audit.json: everything that the other files say, for programs. */
#include "evidence/parts.h"

static struct jval *sources_json(const struct evidence_result *r)
{
	struct jval *j = jval_object();

	for (size_t i = 0; i < r->sources_n; i++) {
		struct jval *list = jval_get(j, r->sources[i].standard);

		if (list == NULL) {
			list = jval_array();
			jval_put(j, r->sources[i].standard, list);
		}
		jval_push(list, jval_text(r->sources[i].number));
	}
	return j;
}

static struct jval *waiver_json(const struct harden_waiver *w)
{
	struct jval *j = jval_object();

	jval_put_text(j, "by", w->by);
	jval_put_text(j, "reason", w->reason);
	jval_put_text(j, "until", w->until);
	jval_put(j, "ended", jval_bool(w->ended));
	return j;
}

static struct jval *result_json(const struct evidence_result *r)
{
	struct jval *j = jval_object();

	jval_put_text(j, "id", r->id);
	jval_put_text(j, "title", r->title);
	jval_put_text(j, "severity", harden_severity_name(r->severity));
	jval_put_text(j, "status", harden_status_name(r->status));
	jval_put_text(j, "place", r->place);
	jval_put(j, "sources", sources_json(r));
	jval_put(j, "wants", evidence_list(&r->wants));
	if (r->seen.n > 0)
		jval_put(j, "seen", evidence_list(&r->seen));
	if (r->held.n > 0)
		jval_put(j, "held", evidence_list(&r->held));
	if (r->reason != NULL)
		jval_put_text(j, "reason", r->reason);
	if (r->waiver != NULL)
		jval_put(j, "waiver", waiver_json(r->waiver));
	return j;
}

static struct jval *profile_json_of(const struct evidence *v)
{
	struct jval *j = jval_object();

	jval_put_text(j, "id", v->profile_id);
	jval_put_text(j, "version", v->profile_version);
	jval_put_text(j, "title", v->profile_title);
	jval_put_text(j, "digest", digest_text(&v->profile).s);
	return j;
}

static void put_subject(const struct evidence *v, struct jval *j)
{
	if (!v->is_image) {
		jval_put_text(j, "object", v->object);
		return;
	}
	jval_put_text(j, "name", v->name);
	jval_put_text(j, "version", v->version);
	jval_put_text(j, "image", digest_text(&v->image).s);
	jval_put_text(j, "config", digest_text(&v->config).s);
	if (v->signatures_checked)
		jval_put(j, "signatures", evidence_list(&v->signatures));
}

void format_json(const struct evidence *v, struct buf *out)
{
	struct jval *j SCOPED(jval_freep) = jval_object();
	struct jval *results = jval_array(), *summary = jval_object();
	char *time SCOPED(mem_freep) = evidence_time(v);

	put_subject(v, j);
	for (size_t i = 0; i < v->n; i++)
		jval_push(results, result_json(&v->results[i]));
	for (int i = 0; i < HARDEN_STATUSES; i++)
		jval_put_int(summary, harden_status_name((enum harden_status)i),
			     (int64_t)v->count[i]);
	jval_put_text(j, "system", v->system);
	jval_put_text(j, "time", time);
	jval_put_text(j, "checker", "posmedia " POSMEDIA_VERSION);
	if (v->until != NULL)
		jval_put_text(j, "holds-until", v->until);
	jval_put(j, "profile", profile_json_of(v));
	jval_put(j, "results", results);
	jval_put(j, "summary", summary);
	jval_write_pretty(j, out);
}
