/* report.c - what a run of a profile found: the gate and the JSON form. */
#include "harden/system.h"

#include <stdlib.h>
#include <string.h>

static const char *const severity_names[] = {"low", "medium", "high"};
static const char *const status_names[] = {"pass", "fail", "not-applicable", "waived", "not-run"};

enum { IDS_MAX = 700 };

static int gate_level(const char *fail_on, int *ret, struct err *e)
{
	*ret = -1;
	for (int i = 0; i < 3; i++)
		if (strcmp(fail_on, severity_names[i]) == 0)
			*ret = i;
	if (*ret >= 0 || strcmp(fail_on, "never") == 0)
		return 0;
	(void)err_set(e, ERR_USAGE, "fail-on \"%s\" is not known", fail_on);
	return err_hint(e, "Use low, medium, high or never.");
}

int harden_gate(const struct harden_report *r, const char *fail_on, struct err *e)
{
	struct buf ids SCOPED(buf_release) = BUF_INIT(IDS_MAX);
	size_t n = 0;
	int level;

	if (gate_level(fail_on, &level, e) != 0)
		return -1;
	for (size_t i = 0; level >= 0 && i < r->n; i++) {
		if (r->v[i].status != HARDEN_FAIL || (int)r->v[i].severity < level)
			continue;
		buf_addf(&ids, "%s%s", n == 0 ? "" : ", ", r->v[i].id);
		n++;
	}
	if (n == 0)
		return 0;
	(void)err_set(e, ERR_VERIFY, "%zu control%s of severity %s or above failed: %s%s", n,
		      n == 1 ? "" : "s", fail_on, ids.data, buf_over(&ids) ? ", ..." : "");
	return err_hint(e, "Mend what the report names, or waive it with a reason and a date.");
}

static struct jval *result_json(const struct harden_result *r, const struct harden_profile *p)
{
	const struct control *c = profile_control(p, r->id);
	struct jval *j = jval_object();

	jval_put_text(j, "id", r->id);
	jval_put_text(j, "title", r->title);
	jval_put_text(j, "severity", severity_names[r->severity]);
	jval_put_text(j, "status", status_names[r->status]);
	if (r->detail != NULL && *r->detail != '\0')
		jval_put_text(j, "detail", r->detail);
	if (r->fixed != NULL)
		jval_put_text(j, "fixed", r->fixed);
	if (c != NULL)
		jval_put(j, "sources", profile_json(c->sources));
	return j;
}

static int by_id(const void *a, const void *b)
{
	const struct harden_result *const *x = a, *const *y = b;

	return strcmp((*x)->id, (*y)->id);
}

struct jval *harden_report_json(const struct harden_report *r, const struct harden_profile *p)
{
	const struct harden_result **v SCOPED(mem_freep) = mem_zalloc((r->n + 1) * sizeof(*v));
	struct jval *j = jval_object(), *profile = jval_object();
	struct jval *results = jval_array(), *summary = jval_object();
	char *system SCOPED(mem_freep) = harden_system_text(&r->system);

	jval_put_text(profile, "id", p->id);
	jval_put_text(profile, "version", p->version);
	jval_put_text(profile, "title", p->title);
	jval_put_text(profile, "digest", digest_text(&p->digest).s);
	for (size_t i = 0; i < r->n; i++)
		v[i] = &r->v[i];
	qsort(v, r->n, sizeof(*v), by_id);
	for (size_t i = 0; i < r->n; i++)
		jval_push(results, result_json(v[i], p));
	for (int i = 0; i < HARDEN_STATUSES; i++)
		jval_put_int(summary, status_names[i], (int64_t)r->count[i]);
	jval_put(j, "profile", profile);
	jval_put(j, "results", results);
	jval_put(j, "summary", summary);
	jval_put_text(j, "system", system);
	return j;
}

const char *harden_severity_name(enum harden_severity s)
{
	return severity_names[s];
}

const char *harden_status_name(enum harden_status s)
{
	return status_names[s];
}

char *harden_system_text(const struct harden_system *s)
{
	const char *kind = s->machine ? "machine" : "container";

	if (s->id == NULL || *s->id == '\0')
		return mem_strdup(kind);
	return s->major == 0 ? mem_format("%s, %s", kind, s->id)
			     : mem_format("%s, %s %u", kind, s->id, (unsigned)s->major);
}

void harden_waiver_free(struct harden_waiver *w)
{
	if (w == NULL)
		return;
	free(w->reason);
	free(w->by);
	free(w->until);
	free(w);
}

void harden_report_release(struct harden_report *r)
{
	for (size_t i = 0; i < r->n; i++) {
		free(r->v[i].detail);
		free(r->v[i].fixed);
		strv_release(&r->v[i].found);
		strv_release(&r->v[i].held);
		harden_waiver_free(r->v[i].waiver);
	}
	free(r->v);
	system_release(&r->system);
	*r = (struct harden_report){0};
}
