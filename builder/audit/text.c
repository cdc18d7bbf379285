/* text.c - an audit for people and for programs. */
#include "audit/audit.h"

#include "form/plain.h"

/* What needs attention comes first. */
static const enum harden_status order[] = {HARDEN_FAIL, HARDEN_WAIVED, HARDEN_PASS, HARDEN_NOT_RUN,
					   HARDEN_NOT_APPLICABLE};

static void result_text(const struct harden_result *r, struct buf *out)
{
	/* names of files are in it, of whatever bytes */
	char *detail SCOPED(mem_freep) = mem_strdup(r->detail != NULL ? r->detail : "");

	plain_line(detail);
	buf_addf(out, "%-14s %-6s %-8s %s\n", harden_status_name(r->status),
		 harden_severity_name(r->severity), r->id, r->title);
	if (*detail != '\0')
		buf_addf(out, "    %s\n", detail);
}

void audit_text(const struct audit *a, bool all, struct buf *out)
{
	const struct harden_report *r = &a->report;
	struct digest d = harden_profile_digest(a->profile);
	char *system SCOPED(mem_freep) = harden_system_text(&r->system);

	buf_addf(out, "object   %s\n", a->object);
	if (a->is_image)
		buf_addf(out, "image    %s\nconfig   %s\n", digest_text(&a->image).s,
			 digest_text(&a->config).s);
	buf_addf(out, "system   %s\n", system);
	buf_addf(out, "profile  %s %s %s\n         %s\n\n", harden_profile_id(a->profile),
		 harden_profile_version(a->profile), digest_text(&d).s,
		 harden_profile_title(a->profile));
	for (size_t k = 0; k < sizeof(order) / sizeof(order[0]); k++) {
		if (!all && order[k] != HARDEN_FAIL && order[k] != HARDEN_WAIVED)
			continue;
		for (size_t i = 0; i < r->n; i++)
			if (r->v[i].status == order[k])
				result_text(&r->v[i], out);
	}
	buf_addf(out, "%zu pass, %zu fail, %zu waived, %zu not applicable", r->count[HARDEN_PASS],
		 r->count[HARDEN_FAIL], r->count[HARDEN_WAIVED], r->count[HARDEN_NOT_APPLICABLE]);
	if (r->count[HARDEN_NOT_RUN] > 0)
		buf_addf(out, ", %zu not run (--gates)", r->count[HARDEN_NOT_RUN]);
	buf_addf(out, "\n");
}

struct jval *audit_json(const struct audit *a)
{
	struct jval *j = harden_report_json(&a->report, a->profile);

	jval_put_text(j, "object", a->object);
	if (a->is_image) {
		jval_put_text(j, "image", digest_text(&a->image).s);
		jval_put_text(j, "config", digest_text(&a->config).s);
	}
	return j;
}
