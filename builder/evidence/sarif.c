/* sarif.c - the results as SARIF 2.1.0, for code hosts: a rule a control, a result a finding. */
#include "evidence/parts.h"

#include <ctype.h>
#include <string.h>

static const char *const levels[] = {
    [HARDEN_LOW] = "note", [HARDEN_MEDIUM] = "warning", [HARDEN_HIGH] = "error"};

static struct jval *message(const char *text)
{
	struct jval *j = jval_object();

	jval_put_text(j, "text", *text == '\0' ? "-" : text);
	return j;
}

static struct jval *rule(const struct evidence_result *r)
{
	struct jval *j = jval_object(), *level = jval_object(), *more = jval_object();
	struct jval *tags = jval_array();

	for (size_t i = 0; i < r->sources_n; i++) {
		char *tag SCOPED(mem_freep) =
		    mem_format("%s %s", r->sources[i].standard, r->sources[i].number);

		jval_push(tags, jval_text(tag));
	}
	jval_put(more, "tags", tags);
	jval_put_text(more, "severity", harden_severity_name(r->severity));
	jval_put_text(more, "place", r->place);
	jval_put(more, "wants", evidence_list(&r->wants));
	jval_put_text(level, "level", levels[r->severity]);
	jval_put_text(j, "id", r->id);
	jval_put(j, "shortDescription", message(r->title));
	jval_put(j, "defaultConfiguration", level);
	jval_put(j, "properties", more);
	return j;
}

/* A relative reference (RFC 3986): what is not unreserved is escaped. */
static char *uri_of(const char *path)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(3 * strlen(path) + 1);

	for (; *path != '\0'; path++)
		if (isalnum((unsigned char)*path) || strchr("-._~/", *path) != NULL)
			buf_add(&b, path, 1);
		else
			buf_addf(&b, "%%%02X", (unsigned char)*path);
	return buf_take(&b);
}

/* Where the finding is; without a file, the root. */
static struct jval *locations(const char *seen)
{
	struct jval *list = jval_array(), *one = jval_object(), *physical = jval_object();
	struct jval *artifact = jval_object();
	unsigned line;
	char *path SCOPED(mem_freep) = evidence_place(seen, &line);
	char *uri SCOPED(mem_freep) = uri_of(path == NULL ? "" : path);

	jval_put_text(artifact, "uri", uri);
	jval_put_text(artifact, "uriBaseId", "ROOT");
	jval_put(physical, "artifactLocation", artifact);
	if (line > 0) {
		struct jval *region = jval_object();

		jval_put_int(region, "startLine", line);
		jval_put(physical, "region", region);
	}
	jval_put(one, "physicalLocation", physical);
	jval_push(list, one);
	return list;
}

static struct jval *suppressions(const struct harden_waiver *w)
{
	struct jval *list = jval_array(), *j = jval_object();
	char *why SCOPED(mem_freep) = mem_format("until %s by %s: %s", w->until, w->by, w->reason);

	jval_put_text(j, "kind", "external");
	jval_put_text(j, "status", w->ended ? "rejected" : "accepted");
	jval_put_text(j, "justification", why);
	jval_push(list, j);
	return list;
}

static void add_result(const struct evidence_result *r, size_t rule_at, const char *text,
		       struct jval *to)
{
	static const char *const kinds[] = {[HARDEN_PASS] = "pass",
					    [HARDEN_FAIL] = "fail",
					    [HARDEN_WAIVED] = "fail",
					    [HARDEN_NOT_APPLICABLE] = "notApplicable",
					    [HARDEN_NOT_RUN] = "open"};
	bool bad = r->status == HARDEN_FAIL || r->status == HARDEN_WAIVED;
	struct jval *j = jval_object();

	jval_put_text(j, "ruleId", r->id);
	jval_put_int(j, "ruleIndex", (int64_t)rule_at);
	jval_put_text(j, "kind", kinds[r->status]);
	jval_put_text(j, "level", bad ? levels[r->severity] : "none");
	jval_put(j, "message", message(text));
	jval_put(j, "locations", locations(bad ? text : ""));
	if (r->waiver != NULL)
		jval_put(j, "suppressions", suppressions(r->waiver));
	jval_push(to, j);
}

static struct jval *results(const struct evidence *v)
{
	struct jval *list = jval_array();

	for (size_t i = 0; i < v->n; i++) {
		const struct evidence_result *r = &v->results[i];

		for (size_t k = 0; k < r->seen.n; k++)
			add_result(r, i, r->seen.v[k], list);
		if (r->seen.n == 0)
			add_result(r, i, r->reason == NULL ? "as wanted" : r->reason, list);
	}
	return list;
}

static struct jval *tool(const struct evidence *v)
{
	struct jval *j = jval_object(), *driver = jval_object(), *rules = jval_array();

	for (size_t i = 0; i < v->n; i++)
		jval_push(rules, rule(&v->results[i]));
	jval_put_text(driver, "name", "posmedia");
	jval_put_text(driver, "version", POSMEDIA_VERSION);
	jval_put(driver, "rules", rules);
	jval_put(j, "driver", driver);
	return j;
}

static struct jval *about(const struct evidence *v)
{
	struct jval *j = jval_object();
	char *title SCOPED(mem_freep) = evidence_title(v);

	jval_put_text(j, "object", title);
	if (v->is_image) {
		jval_put_text(j, "image", digest_text(&v->image).s);
		jval_put_text(j, "config", digest_text(&v->config).s);
	}
	jval_put_text(j, "profile", digest_text(&v->profile).s);
	return j;
}

void format_sarif(const struct evidence *v, struct buf *out)
{
	struct jval *j SCOPED(jval_freep) = jval_object();
	struct jval *runs = jval_array(), *run = jval_object(), *bases = jval_object();
	struct jval *root = jval_object(), *calls = jval_array(), *call = jval_object();
	char *time SCOPED(mem_freep) = evidence_time(v);

	jval_put(root, "description", message("the root of the audited tree"));
	jval_put(bases, "ROOT", root);
	jval_put(call, "executionSuccessful", jval_bool(true));
	jval_put_text(call, "endTimeUtc", time);
	jval_push(calls, call);
	jval_put(run, "tool", tool(v));
	jval_put(run, "invocations", calls);
	jval_put(run, "originalUriBaseIds", bases);
	jval_put(run, "properties", about(v));
	jval_put(run, "results", results(v));
	jval_push(runs, run);
	jval_put_text(j, "version", "2.1.0");
	jval_put(j, "runs", runs);
	jval_write(j, out);
	buf_addf(out, "\n");
}
