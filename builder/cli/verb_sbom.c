#include "cli/object.h"
#include "cli/screen.h"
#include "cli/verb.h"

#include "sandbox/sandbox.h"
#include "statement/statement.h"
#include "sys/clock.h"
#include <stdio.h>

static const struct opt opts[] = {
    {'o', "output", "DIR", "Write the documents and statements into DIR (required)."},
    {0, "builder", "URI", "Who built it (default: urn:posmedia:builder:local)."},
    {0, "allow", "FILE", "Exceptions of the scan, as posmedia scan takes them."},
    {0, "no-scan", NULL, "Make no statement about a scan."},
    OBJECT_PLAIN,
    {0, "json", NULL, "Print what was counted as JSON."},
    {0, NULL, NULL, NULL},
};

static void report(const struct args *a, const struct image *i, const struct statements *s)
{
	struct jval *v SCOPED(jval_freep) = jval_object();
	struct digest_text digest = digest_text(&i->manifest.digest);

	jval_put_text(v, "digest", digest.s);
	jval_put_int(v, "packages", (int64_t)s->packages);
	jval_put_int(v, "files-owned", (int64_t)s->files_owned);
	jval_put_int(v, "files-unowned", (int64_t)s->files_unowned);
	if (args_has(a, "json"))
		screen_json(v);
	else
		printf("%s: %zu packages, %zu files of theirs, %zu of nobody's\n", digest.s,
		       s->packages, s->files_owned, s->files_unowned);
}

static int run(const struct args *a, struct err *e)
{
	struct visit v SCOPED(visit_end) = {0};
	struct image i SCOPED(image_release) = {0};
	struct store *s SCOPED(store_freep) = NULL;
	struct statements said SCOPED(statements_release) = {0};
	struct statement_opts o = {.builder = args_get(a, "builder"),
				   .allow = args_get(a, "allow"),
				   .no_scan = args_has(a, "no-scan"),
				   .today = clock_epoch_s()};
	const char *to = args_get(a, "output");

	if (to == NULL)
		return err_set(e, ERR_USAGE, "sbom wants --output DIR");
	if (object_image(a, a->rest.v[0], &v, &i, e) != 0 || sandbox_enter(e) != 0 ||
	    input_store(a, &s, e) != 0)
		return -1;
	o.store = s;
	if (statements_make(i.layout, &i.manifest, &o, &said, e) != 0 ||
	    statements_put(&said, to, e) != 0)
		return -1;
	report(a, &i, &said);
	return 0;
}

const struct verb verb_sbom = {
    .name = "sbom",
    .args = "oci:DIR[:TAG] | docker://HOST/REPO:TAG",
    .help = "Say what an image is made of: SPDX, CycloneDX, provenance, scan.",
    .min = 1,
    .max = 1,
    .opts = opts,
    .run = run,
};
