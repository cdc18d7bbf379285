#include "cli/noted.h"
#include "cli/object.h"
#include "cli/screen.h"
#include "cli/verb.h"

#include "audit/audit.h"
#include "base/num.h"
#include "engine/engine.h"
#include "sandbox/sandbox.h"
#include "sys/clock.h"
#include <stdio.h>
#include <string.h>

static const struct opt opts[] = {
    {0, "profile", "FILE", "Check this profile (default: recipes/profiles/pa-dss-3.2.yaml)."},
    {0, "recipe", "FILE", "The recipe it was made from: its ports, users and waivers count."},
    {0, "target", "KIND", "It is for a container or a machine (default: what the recipe says)."},
    {0, "fail-on", "SEVERITY", "Refuse at low, medium, high (the default) or never."},
    {0, "all", NULL, "Also list what passes or does not apply."},
    {0, "evidence", "DIR", "Write the files of evidence into DIR."},
    {0, "format", "LIST", "Only json, oscal, xccdf, sarif, junit, intoto or html of them."},
    {'k', "key", "FILE.pub", "Check and tell the signatures by this key (may be repeated)."},
    {0, "date", "DAY", "Judge waivers as on this day, YYYY-MM-DD."},
    {0, "verify-evidence", "DIR", "Audit again, and refuse files in DIR that say otherwise."},
    {0, "gates", NULL, "Also run its programs in the sandbox where a control wants that."},
    {0, "engine", "SOCKET", "Whose instance it is; dockerd's or podman's socket when absent."},
    OBJECT_PLAIN,
    {0, "json", NULL, "Print the report as JSON."},
    {0, NULL, NULL, NULL},
};

/* What else is asked for than the report. */
struct request {
	struct audit_opts opts;
	struct audit_evidence evidence;
	struct sign_report signatures;
};

static void request_release(struct request *q)
{
	sign_report_release(&q->signatures);
}

/* Which of the keys given have signed the image; none is no error here. */
static int look_at_signatures(const struct args *a, const struct image *i, struct request *q,
			      struct err *e)
{
	struct keys keys SCOPED(keys_release) = {0};
	struct sign_wanted want = {.keys = keys.v};

	if (!args_has(a, "key"))
		return 0;
	if (input_keys(a, &keys, e) != 0)
		return -1;
	want.keys_n = keys.n;
	q->evidence.signatures = &q->signatures;
	return sign_image_verify(i->layout, &i->manifest, &want, &q->signatures, e);
}

static int of_image(const struct args *a, struct request *q, struct audit *ret, struct err *e)
{
	struct visit v SCOPED(visit_end) = {0};
	struct image i SCOPED(image_release) = {0};
	struct store *s SCOPED(store_freep) = NULL;

	if (object_image(a, a->rest.v[0], &v, &i, e) != 0 || look_at_signatures(a, &i, q, e) != 0 ||
	    sandbox_enter(e) != 0 || input_store(a, &s, e) != 0)
		return -1;
	q->opts.store = s;
	q->opts.keys = q->evidence.signatures != NULL;
	q->opts.signatures = (int)q->signatures.n;
	return audit_image(i.layout, &i.manifest, a->rest.v[0], &q->opts, ret, e);
}

/* A directory, or the archive of one. */
static int of_tree(const struct args *a, const char *path, bool tar, struct request *q,
		   struct audit *ret, struct err *e)
{
	const char *object = a->rest.v[0];
	struct store *s SCOPED(store_freep) = NULL;

	if ((q->opts.gates || tar) && input_store(a, &s, e) != 0)
		return -1;
	q->opts.store = s;
	return tar ? audit_tar(path, object, &q->opts, ret, e)
		   : audit_tree(path, object, &q->opts, ret, e);
}

/* The first process of a container. */
static int pid_of(const struct args *a, const char *name, uint64_t *ret, struct err *e)
{
	const char *socket = args_get(a, "engine");
	struct engine *en SCOPED(engine_freep) = NULL;
	struct engine_state s SCOPED(engine_state_release) = {0};

	if (engine_open(socket != NULL ? socket : engine_socket(), &en, e) != 0 ||
	    engine_state(en, name, &s, e) != 0)
		return -1;
	if (!s.running || s.pid <= 0)
		return err_set(e, ERR_BUSY, "%s does not run", name);
	*ret = (uint64_t)s.pid;
	return 0;
}

static int of_instance(const struct args *a, const char *text, const struct request *q,
		       struct audit *ret, struct err *e)
{
	const char *object = a->rest.v[0];
	uint64_t pid;

	if (num_u64(text, INT32_MAX, &pid) != 0 && pid_of(a, text, &pid, e) != 0)
		return -1;
	if (pid == 0)
		return err_set(e, ERR_USAGE, "%s: wants the id of a process in it", object);
	if (q->opts.gates)
		return err_set(e, ERR_USAGE, "--gates is for what does not run yet");
	return audit_instance(pid, object, &q->opts, ret, e);
}

static int of_object(const struct args *a, struct request *q, struct audit *ret, struct err *e)
{
	static const char running[] = "instance:", tar[] = "tar:";
	const char *object = a->rest.v[0];
	struct ref r SCOPED(ref_release) = {0};

	if (strncmp(object, running, strlen(running)) == 0)
		return of_instance(a, object + strlen(running), q, ret, e);
	if (strncmp(object, tar, strlen(tar)) == 0)
		return of_tree(a, object + strlen(tar), true, q, ret, e);
	if (ref_parse(object, &r, e) != 0)
		return -1;
	return r.kind == REF_DIR ? of_tree(a, r.path, false, q, ret, e) : of_image(a, q, ret, e);
}

static void print(const struct args *a, const struct audit *found)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(16 << 20);

	if (args_has(a, "json")) {
		struct jval *v SCOPED(jval_freep) = audit_json(found);

		screen_json(v);
		return;
	}
	audit_text(found, args_has(a, "all"), &b);
	screen_plain(b.data);
	(void)fputs(b.data, stdout);
}

/* Controls that fail, and those that are waived, until when and by whom. */
static void put_exceptions(const struct harden_report *r, struct jval *v)
{
	struct jval *failed = jval_array(), *waived = jval_array();

	for (size_t i = 0; i < r->n; i++) {
		const struct harden_result *c = &r->v[i];
		struct jval *o;

		if (c->status == HARDEN_FAIL)
			jval_push(failed, jval_text(c->id));
		if (c->status != HARDEN_WAIVED || c->waiver == NULL)
			continue;
		o = jval_object();
		jval_put_text(o, "control", c->id);
		jval_put_text(o, "until", c->waiver->until);
		jval_put_text(o, "by", c->waiver->by);
		jval_put_text(o, "reason", c->waiver->reason);
		jval_push(waived, o);
	}
	jval_put(v, "failed", failed);
	jval_put(v, "waivers", waived);
}

static int note(const struct args *a, const struct audit *found, struct err *e)
{
	struct jval *v = jval_object(), *json SCOPED(jval_freep) = audit_json(found);
	struct buf text SCOPED(buf_release) = BUF_INIT(16 << 20);
	struct digest evidence;

	jval_write(json, &text);
	evidence = digest_of(text.data, text.len);
	jval_put_text(v, "object", found->object);
	jval_put_text(v, "profile", harden_profile_id(found->profile));
	jval_put_text(v, "profile-version", harden_profile_version(found->profile));
	jval_put_text(v, "evidence", digest_text(&evidence).s);
	if (found->is_image) {
		jval_put_text(v, "name", found->name);
		jval_put_text(v, "version", found->version);
	}
	for (int i = 0; i < HARDEN_STATUSES; i++)
		jval_put_int(v, harden_status_name((enum harden_status)i),
			     (int64_t)found->report.count[i]);
	put_exceptions(&found->report, v);
	return noted_of(a, "audit", found->is_image ? &found->image : NULL, v, e);
}

static int read_date(const struct args *a, int64_t *ret, struct err *e)
{
	const char *day = args_get(a, "date");
	char *text SCOPED(mem_freep) = NULL;

	if (day == NULL)
		return 0;
	text = mem_format("%sT00:00:00Z", day);
	if (strlen(day) == strlen("YYYY-MM-DD") && clock_parse(text, ret) == 0)
		return 0;
	(void)err_set(e, ERR_USAGE, "--date: \"%s\" is no day", day);
	return err_hint(e, "Write it as YYYY-MM-DD.");
}

/* What the options ask for together. */
static int read_request(const struct args *a, struct request *q, struct err *e)
{
	static const char *const only[] = {"format"};
	const char *profile = args_get(a, "profile"), *formats = args_get(a, "format");
	bool put = args_has(a, "evidence"), check = args_has(a, "verify-evidence");

	q->opts.profile = profile != NULL ? profile : "recipes/profiles/pa-dss-3.2.yaml";
	q->opts.target = args_get(a, "target");
	q->opts.today = clock_epoch_s();
	if (q->opts.target != NULL && strcmp(q->opts.target, "container") != 0 &&
	    strcmp(q->opts.target, "machine") != 0)
		return err_set(e, ERR_USAGE, "--target: container or machine, not %s",
			       q->opts.target);
	q->opts.gates = args_has(a, "gates");
	q->evidence.formats = (1u << EVIDENCE_FORMATS) - 1;
	if (put && check)
		return err_set(e, ERR_USAGE, "--evidence and --verify-evidence exclude each other");
	for (size_t i = 0; !put && !check && i < sizeof(only) / sizeof(only[0]); i++)
		if (args_has(a, only[i]))
			return err_set(e, ERR_USAGE, "--%s is for --evidence and --verify-evidence",
				       only[i]);
	if (read_date(a, &q->opts.today, e) != 0 ||
	    (formats != NULL && evidence_formats(formats, &q->evidence.formats, e) != 0))
		return -1;
	q->evidence.today = q->opts.today;
	return 0;
}

static int run(const struct args *a, struct err *e)
{
	const char *fail_on = args_get(a, "fail-on"), *put = args_get(a, "evidence");
	const char *check = args_get(a, "verify-evidence");
	struct recipe *r SCOPED(recipe_freep) = NULL;
	struct audit found SCOPED(audit_release) = {0};
	struct request q SCOPED(request_release) = {0};

	if (read_request(a, &q, e) != 0)
		return -1;
	if (args_has(a, "recipe") && recipe_load(args_get(a, "recipe"), &r, e) != 0)
		return -1;
	q.opts.recipe = r;
	if (of_object(a, &q, &found, e) != 0)
		return -1;
	if (put != NULL && audit_evidence_put(&found, &q.evidence, put, e) != 0)
		return -1;
	if (check != NULL && audit_evidence_check(&found, &q.evidence, check, e) != 0)
		return -1;
	print(a, &found);
	if (note(a, &found, e) != 0)
		return -1;
	/* that the evidence is true is all that was asked, not that it is good */
	if (check != NULL)
		return 0;
	return harden_gate(&found.report, fail_on != NULL ? fail_on : "high", e);
}

const struct verb verb_audit = {
    .name = "audit",
    .args = "IMAGE | dir:PATH | tar:FILE | instance:NAME",
    .help = "Check every control of a profile on an image (oci:, docker:), a tree or what runs.",
    .min = 1,
    .max = 1,
    .opts = opts,
    .run = run,
};
