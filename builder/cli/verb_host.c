#include "cli/screen.h"
#include "cli/verb.h"

#include "host/host.h"
#include "sys/clock.h"
#include <stdio.h>
#include <string.h>

static const struct opt opts[] = {
    {0, "check", NULL, "Only look, and change nothing."},
    {0, "root", "DIR", "The tree of a machine to be (default: this machine's own)."},
    {0, "project", "DIR", "Where recipes/ is (default: the current directory)."},
    {0, "profile", "FILE", "Judge this profile's controls (default: DIR's pa-dss-3.2)."},
    {0, "recipe", "FILE", "A recipe: its waivers and places of data count."},
    {0, "fail-on", "SEVERITY",
     "Refuse failed controls of low, medium, high (the default) or never."},
    {0, "engine", "SOCKET", "The engine's socket; dockerd's or podman's when absent."},
    {0, "state", "DIR", "Where instances keep their data; /srv/pos when absent."},
    {0, "all", NULL, "Also list controls that pass or do not apply."},
    {0, "json", NULL, "Print the report as JSON."},
    {0, NULL, NULL, NULL},
};

static void print_items(const struct host_report *r)
{
	for (size_t i = 0; i < r->n; i++) {
		const struct host_item *it = &r->v[i];
		char *head SCOPED(mem_freep) =
		    mem_format("%-8s %-18s ", host_status_name(it->status), it->id);

		screen_line(head, it->found);
		if (it->did != NULL)
			screen_line("         did: ", it->did);
		if (it->status == HOST_WANTED)
			screen_line("         wanted: ", it->wanted);
		if (it->hint != NULL && it->status != HOST_OK && it->status != HOST_CHANGED)
			screen_line("         hint: ", it->hint);
	}
}

static void print_control(const struct harden_result *c, bool all)
{
	const char *undecided = host_undecided(c);
	const char *word = undecided != NULL ? "undecided" : harden_status_name(c->status);
	char *head SCOPED(mem_freep) = NULL;

	if (!all && undecided == NULL &&
	    (c->status == HARDEN_PASS || c->status == HARDEN_NOT_APPLICABLE))
		return;
	head = mem_format("%-14s %-8s %-6s ", word, c->id, harden_severity_name(c->severity));
	screen_line(head, c->title);
	if (undecided != NULL || (c->detail != NULL && *c->detail != '\0'))
		screen_line("               ", undecided != NULL ? undecided : c->detail);
}

static void print_text(const struct args *a, const struct host_report *r)
{
	const size_t *n = r->controls.count;

	print_items(r);
	printf("\ncontrols of %s %s that the host holds:\n", harden_profile_id(r->profile),
	       harden_profile_version(r->profile));
	for (size_t i = 0; i < r->controls.n; i++)
		print_control(&r->controls.v[i], args_has(a, "all"));
	printf("\n%zu passed, %zu failed, %zu waived, %zu do not apply or are undecided\n",
	       n[HARDEN_PASS], n[HARDEN_FAIL], n[HARDEN_WAIVED],
	       n[HARDEN_NOT_APPLICABLE] + n[HARDEN_NOT_RUN]);
	if (r->count[HOST_CHANGED] == 0)
		puts("nothing changed");
}

static const char *or_else(const struct args *a, const char *name, const char *otherwise)
{
	const char *given = args_get(a, name);

	return given != NULL ? given : otherwise;
}

static int check_options(const struct host_opts *o, struct err *e)
{
	if (o->state[0] == '/' && o->state[1] != '\0' && (o->socket == NULL || o->socket[0] == '/'))
		return 0;
	return err_set(e, ERR_USAGE, "--state and --engine want absolute paths");
}

static int run(const struct args *a, struct err *e)
{
	const char *project = or_else(a, "project", ".");
	char *units SCOPED(mem_freep) = mem_format("%s/recipes/hosts/units", project);
	char *profile SCOPED(mem_freep) =
	    mem_format("%s/recipes/profiles/pa-dss-3.2.yaml", project);
	struct recipe *recipe SCOPED(recipe_freep) = NULL;
	struct host_report r SCOPED(host_report_release) = {0};
	struct host_opts o = {
	    .root = or_else(a, "root", "/"),
	    .socket = args_get(a, "engine"),
	    .state = or_else(a, "state", "/srv/pos"),
	    .units = units,
	    .profile = or_else(a, "profile", profile),
	    .today = clock_epoch_s(),
	    .check = args_has(a, "check"),
	};

	if (strcmp(a->rest.v[0], "prepare") != 0) {
		(void)err_set(e, ERR_USAGE, "host: no such word: %s", a->rest.v[0]);
		return err_hint(e, "posmedia host prepare");
	}
	if (check_options(&o, e) != 0 ||
	    (args_has(a, "recipe") && recipe_load(args_get(a, "recipe"), &recipe, e) != 0))
		return -1;
	o.recipe = recipe;
	if (host_prepare(&o, &r, e) != 0)
		return -1;
	if (args_has(a, "json")) {
		struct jval *v SCOPED(jval_freep) = host_json(&r);

		screen_json(v);
	} else {
		print_text(a, &r);
	}
	return host_gate(&r, or_else(a, "fail-on", "high"), e);
}

const struct verb verb_host = {
    .name = "host",
    .args = "prepare",
    .help = "Make this machine one that instances can run on, or check that it is.",
    .min = 1,
    .max = 1,
    .opts = opts,
    .run = run,
};
