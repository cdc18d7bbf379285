#include "cli/object.h"
#include "cli/screen.h"
#include "cli/verb.h"

#include "audit/audit.h"
#include "sandbox/sandbox.h"
#include "sys/clock.h"
#include <stdio.h>

static const struct opt opts[] = {
    {0, "profile", "FILE", "Check this profile (default: recipes/profiles/pa-dss-3.2.yaml)."},
    {0, "recipe", "FILE", "The recipe it was made from: its ports, users and waivers count."},
    {0, "fail-on", "SEVERITY", "Refuse at low, medium, high (the default) or never."},
    {0, "all", NULL, "Also list what passes or does not apply."},
    OBJECT_PLAIN,
    {0, "json", NULL, "Print the report as JSON."},
    {0, NULL, NULL, NULL},
};

static int of_image(const struct args *a, struct audit_opts *o, struct audit *ret, struct err *e)
{
	struct visit v SCOPED(visit_end) = {0};
	struct image i SCOPED(image_release) = {0};
	struct store *s SCOPED(store_freep) = NULL;

	if (object_image(a, a->rest.v[0], &v, &i, e) != 0 || sandbox_enter(e) != 0 ||
	    input_store(a, &s, e) != 0)
		return -1;
	o->store = s;
	return audit_image(i.layout, &i.manifest, a->rest.v[0], o, ret, e);
}

static int of_object(const struct args *a, struct audit_opts *o, struct audit *ret, struct err *e)
{
	struct ref r SCOPED(ref_release) = {0};

	if (ref_parse(a->rest.v[0], &r, e) != 0)
		return -1;
	if (r.kind == REF_DIR)
		return audit_tree(r.path, a->rest.v[0], o, ret, e);
	return of_image(a, o, ret, e);
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
	(void)fwrite(b.data, 1, b.len, stdout);
}

static int run(const struct args *a, struct err *e)
{
	const char *profile = args_get(a, "profile"), *fail_on = args_get(a, "fail-on");
	struct recipe *r SCOPED(recipe_freep) = NULL;
	struct audit found SCOPED(audit_release) = {0};
	struct audit_opts o = {.today = clock_epoch_s()};

	if (args_has(a, "recipe") && recipe_load(args_get(a, "recipe"), &r, e) != 0)
		return -1;
	o.profile = profile != NULL ? profile : "recipes/profiles/pa-dss-3.2.yaml";
	o.recipe = r;
	if (of_object(a, &o, &found, e) != 0)
		return -1;
	print(a, &found);
	return harden_gate(&found.report, fail_on != NULL ? fail_on : "high", e);
}

const struct verb verb_audit = {
    .name = "audit",
    .args = "oci:DIR[:TAG] | docker://HOST/REPO:TAG | dir:PATH",
    .help = "Check every control of a profile on an image or a root tree.",
    .min = 1,
    .max = 1,
    .opts = opts,
    .run = run,
};
