#include "cli/host.h"
#include "cli/noted.h"
#include "cli/screen.h"
#include "cli/verb.h"

#include "base/num.h"
#include "stage/life.h"
#include <stdio.h>
#include <stdlib.h>

static const struct opt start_opts[] = {
    {0, "watch", NULL, "Stay until the instance ends, as a unit of systemd does."},
    HOST_OPTS,
    {0, "dry-run", NULL, "Only say what would be done."},
    {0, "json", NULL, "Print the outcome as JSON."},
    {0, NULL, NULL, NULL},
};

static int start(const struct args *a, struct err *e)
{
	struct site *s SCOPED(site_freep) = NULL;
	struct stage_outcome out SCOPED(stage_outcome_release) = {0};
	struct stage_opts o;

	if (args_has(a, "watch") && (args_has(a, "dry-run") || args_has(a, "json")))
		return err_set(e, ERR_USAGE, "--watch goes with neither --dry-run nor --json");
	if (host_options(a, &o, e) != 0 || site_load(a->rest.v[0], &s, e) != 0)
		return -1;
	if (args_has(a, "watch"))
		return stage_watch(s, &o, e);
	if (stage_start_site(s, &o, &out, e) != 0)
		return -1;
	host_print(a, &out, o.dry_run && out.changed ? "does not run" : "runs");
	return host_noted(a, &out, e);
}

const struct verb verb_start = {
    .name = "start",
    .args = "SITE",
    .help = "Start the instance that was staged at a site.",
    .min = 1,
    .max = 1,
    .opts = start_opts,
    .run = start,
};

static const struct opt stop_opts[] = {
    HOST_OPTS,
    {0, "dry-run", NULL, "Only say what would be done."},
    {0, "json", NULL, "Print the outcome as JSON."},
    {0, NULL, NULL, NULL},
};

static int stop(const struct args *a, struct err *e)
{
	struct site *s SCOPED(site_freep) = NULL;
	struct stage_outcome out SCOPED(stage_outcome_release) = {0};
	struct stage_opts o;

	if (host_options(a, &o, e) != 0 || site_load(a->rest.v[0], &s, e) != 0 ||
	    stage_stop_site(s, &o, &out, e) != 0)
		return -1;
	host_print(a, &out, o.dry_run && out.changed ? "is not stopped" : "is stopped");
	return host_noted(a, &out, e);
}

const struct verb verb_stop = {
    .name = "stop",
    .args = "SITE",
    .help = "Stop a site's instance until it is started by hand; nothing is removed.",
    .min = 1,
    .max = 1,
    .opts = stop_opts,
    .run = stop,
};

static const struct opt destroy_opts[] = {
    {0, "confirm", "SHOPCODE", "The code of the shop, once more."},
    {0, "really", NULL, "In production too."},
    {0, "archive", "FILE", "Where all of its files are kept; below the state when absent."},
    HOST_OPTS,
    {0, "dry-run", NULL, "Only say what would be done."},
    {0, "json", NULL, "Print the outcome as JSON."},
    {0, NULL, NULL, NULL},
};

static void print_ended(const struct args *a, const struct stage_ended *r)
{
	char *size SCOPED(mem_freep) = num_human(r->size);

	for (size_t i = 0; i < r->did.n; i++)
		printf("%s%s\n", args_has(a, "dry-run") ? "would: " : "", r->did.v[i]);
	if (r->did.n == 0)
		puts("nothing changed");
	if (r->archive != NULL && !args_has(a, "dry-run"))
		printf("%s: %zu entries, %s, %s\n", r->archive, r->entries, size,
		       digest_text(&r->digest).s);
}

static void print_ended_json(const struct stage_ended *r)
{
	struct jval *v SCOPED(jval_freep) = jval_object();
	struct jval *did = jval_array();

	for (size_t i = 0; i < r->did.n; i++)
		jval_push(did, jval_text(r->did.v[i]));
	if (r->archive != NULL) {
		jval_put_text(v, "archive", r->archive);
		jval_put_text(v, "digest", digest_text(&r->digest).s);
		jval_put_text(v, "tar", digest_text(&r->tar).s);
		jval_put_int(v, "size", (int64_t)r->size);
		jval_put_int(v, "entries", (int64_t)r->entries);
		jval_put_int(v, "left_out", (int64_t)r->left_out);
	}
	jval_put(v, "changed", jval_bool(r->did.n > 0));
	jval_put(v, "did", did);
	screen_json(v);
}

static int destroy(const struct args *a, struct err *e)
{
	struct site *s SCOPED(site_freep) = NULL;
	struct stage_ended out SCOPED(stage_ended_release) = {0};
	const struct stage_end end = {.confirm = args_get(a, "confirm"),
				      .really = args_has(a, "really"),
				      .archive = args_get(a, "archive")};
	struct stage_opts o;

	if (host_options(a, &o, e) != 0 || site_load(a->rest.v[0], &s, e) != 0 ||
	    stage_destroy(s, &o, &end, &out, e) != 0)
		return -1;
	if (args_has(a, "json"))
		print_ended_json(&out);
	else
		print_ended(a, &out);
	return noted_site_mirror(a, e);
}

const struct verb verb_destroy = {
    .name = "destroy",
    .args = "SITE",
    .help = "Keep a site's files in an archive, and remove its instance with all that it has.",
    .min = 1,
    .max = 1,
    .opts = destroy_opts,
    .run = destroy,
};
