#include "cli/host.h"
#include "cli/noted.h"
#include "cli/screen.h"
#include "cli/verb.h"

#include "cutover/drive.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct opt opts[] = {
    {0, "rehearse", NULL, "Try all of it but the fence, and keep what each phase takes."},
    {0, "resume", NULL, "Go on with what was interrupted, or undo it."},
    {0, "rollback", NULL, "Undo what is not committed."},
    {0, "status", NULL, "Say how the last one stands."},
    {0, "reverse", NULL, "From the new instance back to the old server, with what was sold since."},
    {0, "over-budget", "go", "Let a phase take longer than its budget."},
    HOST_OPTS,
    {0, "dry-run", NULL, "Only print the plan, with the estimates of the last rehearsal."},
    {0, "json", NULL, "Print the report or the plan as JSON."},
    {0, NULL, NULL, NULL},
};

typedef int form_fn(const struct cutover_opts *o, struct jval **ret, struct err *e);

static const struct form {
	const char *word;
	form_fn *fn;
} forms[] = {{"rehearse", cutover_rehearse},
	     {"resume", cutover_resume},
	     {"rollback", cutover_rollback},
	     {"status", cutover_status}};

enum { FORMS = sizeof(forms) / sizeof(forms[0]) };

static void print_seconds(const char *what, const struct jval *v, const char *key)
{
	long long ms = (long long)jval_num(v, key);

	if (jval_get(v, key) != NULL)
		printf("%s: %lld.%03lld s\n", what, ms / 1000, ms % 1000);
}

static void print_estimates(const struct jval *v)
{
	static const char *const words[] = {"last-pass", "verify", "start", "smoke"};

	if (v == NULL) {
		printf("never rehearsed: there are no estimates\n");
		return;
	}
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		char *what SCOPED(mem_freep) = mem_format("estimated %s", words[i]);

		print_seconds(what, v, words[i]);
	}
}

static void print_plan(const struct jval *v)
{
	const struct jval *steps = jval_get(v, "steps");

	for (size_t i = 0; i < jval_len(steps); i++) {
		printf("%-10s ", jval_get_str(jval_at(steps, i), "phase"));
		screen_say(jval_get_str(jval_at(steps, i), "does"));
		(void)fputc('\n', stdout);
	}
	print_seconds("lease", v, "lease-ms");
	print_seconds("outage at most", v, "outage-budget-ms");
	print_estimates(jval_get(v, "estimates"));
}

static void print_row(const struct jval *row)
{
	const char *error = jval_get_str(row, "error");

	printf("%-10s %s %6lld ms  ", jval_get_str(row, "phase"), jval_get_str(row, "time"),
	       (long long)jval_num(row, "ms"));
	screen_say(error != NULL ? error : jval_get_bool(row, "ok") ? "ok" : "");
	(void)fputc('\n', stdout);
}

static void print_report(const struct jval *v)
{
	const struct jval *rows = jval_get(v, "phases");

	for (size_t i = 0; i < jval_len(rows); i++)
		print_row(jval_at(rows, i));
	if (jval_get(v, "bytes") != NULL)
		printf("%lld files, %lld bytes, %lld written in the last pass\n",
		       (long long)jval_num(v, "files"), (long long)jval_num(v, "bytes"),
		       (long long)jval_num(v, "written-bytes"));
	printf("checks: %lld passed, %lld failed\n", (long long)jval_num(v, "checks-passed"),
	       (long long)jval_num(v, "checks-failed"));
	print_seconds("outage until the first good test", v, "smoke-ms");
	print_seconds("outage until open", v, "outage-ms");
	if (jval_get_bool(v, "rehearsal"))
		print_estimates(jval_get(v, "estimates"));
	printf("state: %s\n", jval_get_str(v, "state"));
	if (jval_num(v, "epoch") > 0)
		printf("right: the %s\n", strcmp(jval_get_str(v, "right"), "new") == 0
					      ? "new instance"
					      : "old server");
}

static const struct form *form_of(const char *word)
{
	for (size_t i = 0; i < FORMS; i++)
		if (strcmp(forms[i].word, word) == 0)
			return &forms[i];
	return NULL;
}

/* "cutover resume SITE" and "cutover SITE --resume" are the same; *ret is NULL of a run. */
static int read_form(const struct args *a, const struct form **ret, const char **site,
		     struct err *e)
{
	const struct form *f = a->rest.n == 2 ? form_of(a->rest.v[0]) : NULL;
	const char *go = args_get(a, "over-budget");

	if (a->rest.n == 2 && f == NULL)
		return err_set(e, ERR_USAGE,
			       "cutover wants rehearse, resume, rollback or status, not %s",
			       a->rest.v[0]);
	for (size_t i = 0; i < FORMS; i++) {
		if (!args_has(a, forms[i].word))
			continue;
		if (f != NULL)
			return err_set(e, ERR_USAGE, "%s and --%s do not go together", f->word,
				       forms[i].word);
		f = &forms[i];
	}
	if (go != NULL && strcmp(go, "go") != 0)
		return err_set(e, ERR_USAGE, "--over-budget wants go, not %s", go);
	if (args_has(a, "reverse") && f != NULL && f->fn != cutover_rehearse)
		return err_set(e, ERR_USAGE, "--reverse is of a run or a rehearsal, not of %s",
			       f->word);
	if (args_has(a, "dry-run") && f != NULL)
		return err_set(e, ERR_USAGE, "--dry-run is of a run, not of %s", f->word);
	*ret = f;
	*site = a->rest.v[a->rest.n - 1];
	return 0;
}

/* Of one that failed too: how it ended is in it. A look is no event. */
static int note(const struct args *a, const struct site *s, const struct form *f,
		const struct jval *report, struct err *e)
{
	static const char *const keys[] = {"epoch",         "run",          "rehearsal", "old",
					   "state",         "outage-ms",    "files",     "bytes",
					   "checks-passed", "checks-failed"};
	struct jval *v;

	if (f != NULL && f->fn == cutover_status)
		return 0;
	v = jval_object();
	jval_put_text(v, "form", f != NULL ? f->word : "run");
	noted_copy(v, report, keys, sizeof(keys) / sizeof(keys[0]));
	return noted_site(a, s, "cutover", v, e);
}

static int run(const struct args *a, struct err *e)
{
	struct site *s SCOPED(site_freep) = NULL;
	struct jval *v SCOPED(jval_freep) = NULL;
	char *seccomp SCOPED(mem_freep) = NULL;
	const struct form *f = NULL;
	struct cutover_opts o = {.over_budget = args_has(a, "over-budget"),
				 .reverse = args_has(a, "reverse")};
	struct stage_opts so;
	const char *file = NULL;
	bool plan = args_has(a, "dry-run");
	struct err why = ERR_INIT;
	int rc;

	if (read_form(a, &f, &file, e) != 0 || host_options(a, &so, e) != 0 ||
	    site_load(file, &s, e) != 0)
		return -1;
	seccomp = mem_format("%s/recipes/hosts/seccomp.yaml", s->root);
	so.seccomp = seccomp;
	o.s = s;
	o.so = &so;
	rc = plan ? cutover_plan(&o, &v, e) : (f != NULL ? f->fn : cutover_run)(&o, &v, e);
	if (v == NULL)
		return rc;
	if (args_has(a, "json"))
		screen_json(v);
	else
		(plan ? print_plan : print_report)(v);
	if (plan)
		return rc;
	if (note(a, s, f, v, rc == 0 ? e : &why) != 0 && rc == 0)
		return -1;
	return rc;
}

const struct verb verb_cutover = {
    .name = "cutover",
    .args = "[rehearse | resume | rollback | status] SITE",
    .help = "Take a shop from its old server to the new instance, or back.",
    .min = 1,
    .max = 2,
    .opts = opts,
    .run = run,
};
