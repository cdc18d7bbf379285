#include "cli/caching.h"
#include "cli/input.h"
#include "cli/noted.h"
#include "cli/said.h"
#include "cli/screen.h"
#include "cli/signing.h"
#include "cli/verb.h"

#include "base/log.h"
#include "base/num.h"
#include "build/build.h"
#include "sys/clock.h"
#include <stdio.h>
#include <string.h>

static const struct opt opts[] = {
    {'o', "output", "oci:DIR:TAG", "Write the image there (default: oci:out/NAME:VERSION)."},
    {0, "lock", "FILE", "Use this lock (default: the recipe's name with .lock)."},
    {0, "delta-from", "IMAGE", "Add one layer with what is new to this image, oci:DIR[:TAG]."},
    {0, "no-cache", NULL, "Run every stage, whatever is cached."},
    {0, "record", "STEP", "Let the step fetch and record anew, whatever the lock has of it."},
    {0, "secret", "NAME=FILE", "What a step reads in /run/secrets/NAME (may be repeated)."},
    {0, "recapture", "STEP", "Run a captured step anew (may be repeated)."},
    {0, "threads", "N", "Compress with N threads; no effect on the result."},
    {0, "parallel", "N", "Fetch N files at once."},
    CACHING_OPTS,
    {'k', "key", "FILE", "Sign the image, and statements about it, with this private key."},
    SIGNING_WITH,
    {0, "identity", "HOST/REPO:TAG", "What the signature calls the image (may be repeated)."},
    {0, "statements", "DIR", "Write SBOM, provenance, scan and evidence into DIR, signed or not."},
    {0, "builder", "URI", "Who built it (default: urn:posmedia:builder:local)."},
    {0, "dry-run", NULL, "Print the plan and change nothing."},
    {0, "json", NULL, "Print the outcome as JSON."},
    {0, NULL, NULL, NULL},
};

static int destination(const struct args *a, const struct recipe *r, struct ref *ret, struct err *e)
{
	const char *given = args_get(a, "output");
	char *text SCOPED(mem_freep) =
	    given != NULL ? mem_strdup(given) : mem_format("oci:out/%s:%s", r->name, r->version);

	if (ref_parse(text, ret, e) != 0)
		return -1;
	if (ret->kind == REF_OCI && ret->tag[0] != '\0' && !ret->has_digest)
		return 0;
	ref_release(ret);
	return err_set(e, ERR_USAGE, "--output %s: wants oci:DIR:TAG", text);
}

static void print_json(const struct ref *to, const struct build_result *res, const char *name)
{
	struct jval *v SCOPED(jval_freep) = jval_object();

	jval_put_text(v, "image", name);
	jval_put_text(v, "layout", to->path);
	jval_put_text(v, "tag", to->tag);
	jval_put_text(v, "digest", digest_text(&res->manifest).s);
	jval_put(v, "layers", jval_ref(res->table));
	jval_put_int(v, "size", (int64_t)res->layers_size);
	jval_put_int(v, "stages-run", (int64_t)res->stages_run);
	jval_put_int(v, "stages-cached", (int64_t)res->stages_cached);
	jval_put_int(v, "stages-shared", (int64_t)res->stages_shared);
	jval_put(v, "up-to-date", jval_bool(res->up_to_date));
	jval_put(v, "recorded", jval_ref(res->recorded));
	screen_json(v);
}

static void report(const struct args *a, const struct ref *to, const struct build_result *res,
		   uint64_t ms)
{
	char *name SCOPED(mem_freep) = image_name(to->path, to->tag, &res->manifest);
	char *size SCOPED(mem_freep) = num_human(res->layers_size);

	log_info("%s: %zu layers, %s, in %llu.%llu s%s", to->path, res->layers, size,
		 (unsigned long long)(ms / 1000), (unsigned long long)(ms % 1000 / 100),
		 res->up_to_date ? "; it was up to date" : "");
	if (res->unlocked)
		log_info("%zu downloads recorded; run posmedia lock %s to keep them",
			 jval_len(res->recorded), a->rest.v[0]);
	if (args_has(a, "json"))
		print_json(to, res, name);
	else
		puts(name);
}

static int note(const struct args *a, const struct recipe *r, const struct ref *to,
		const struct build_result *res, uint64_t ms, struct err *e)
{
	struct jval *v = jval_object();

	jval_put_text(v, "recipe", r->name);
	jval_put_text(v, "version", r->version);
	jval_put_text(v, "file", a->rest.v[0]);
	jval_put_text(v, "layout", to->path);
	jval_put_text(v, "tag", to->tag);
	jval_put_int(v, "ms", (int64_t)ms);
	jval_put_int(v, "size", (int64_t)res->layers_size);
	jval_put_int(v, "stages-run", (int64_t)res->stages_run);
	jval_put_int(v, "stages-cached", (int64_t)res->stages_cached);
	jval_put(v, "up-to-date", jval_bool(res->up_to_date));
	jval_put(v, "signed", jval_bool(args_has(a, "key")));
	return noted_of(a, "build", &res->manifest, v, e);
}

static int dry(const struct recipe *r, const struct lock *l, struct store *s, struct err *e)
{
	struct plan p SCOPED(plan_release) = {0};

	if (plan_check_profiles(r, e) != 0 || plan_make(r, l, s, &p, e) != 0)
		return -1;
	plan_print(&p);
	return 0;
}

static void all_of(const struct args *a, const char *name, struct strv *ret)
{
	const char *value;

	for (size_t i = 0; (value = args_nth(a, name, i)) != NULL; i++)
		strv_add(ret, value);
}

static void opts_release(struct build_opts *o)
{
	strv_release(&o->secrets);
	strv_release(&o->recapture);
}

static int delta_from(const struct args *a, const struct recipe *r, struct image *below,
		      struct build_opts *o, struct err *e)
{
	if (strcmp(r->compression, "both") == 0) {
		(void)err_set(e, ERR_USAGE, "--delta-from: the recipe wants layers gzip and zstd");
		return err_hint(e, "a delta has the layers of one image: take gzip or zstd");
	}
	if (input_image(args_get(a, "delta-from"), below, e) != 0)
		return err_in(e, "--delta-from");
	o->delta_layout = below->layout;
	o->delta_from = &below->manifest;
	return 0;
}

static int run(const struct args *a, struct err *e)
{
	struct recipe *r SCOPED(recipe_freep) = NULL;
	struct lock *l SCOPED(lock_freep) = NULL;
	struct store *s SCOPED(store_freep) = NULL;
	struct ref to SCOPED(ref_release) = {0};
	struct image below SCOPED(image_release) = {0};
	struct build_opts o SCOPED(opts_release) = {.no_cache = args_has(a, "no-cache"),
						    .record = args_get(a, "record")};
	struct build_result res SCOPED(build_result_release) = {0};
	struct caching shared SCOPED(caching_release) = {.wanted = NULL};
	uint64_t threads = 0, parallel = 0, start = clock_mono_ms();

	if (args_num(a, "threads", 256, &threads, e) != 0 ||
	    args_num(a, "parallel", 64, &parallel, e) != 0 || input_locked(a, &r, &l, e) != 0 ||
	    destination(a, r, &to, e) != 0 || input_store(a, &s, e) != 0 ||
	    caching_read(a, &shared, e) != 0)
		return -1;
	if (args_has(a, "dry-run"))
		return dry(r, l, s, e);
	if (args_has(a, "delta-from") && delta_from(a, r, &below, &o, e) != 0)
		return -1;
	o.cache = shared.wanted;
	o.layout = to.path;
	o.tag = to.tag;
	o.threads = (unsigned)threads;
	o.parallel = (unsigned)parallel;
	all_of(a, "secret", &o.secrets);
	all_of(a, "recapture", &o.recapture);
	if (said_check(a, e) != 0 || build(r, l, s, &o, &res, e) != 0)
		return -1;
	if (said_make(a, r, s, &to, &res, e) != 0) {
		jval_free(res.recorded);
		return -1;
	}
	start = clock_mono_ms() - start;
	report(a, &to, &res, start);
	jval_free(res.recorded);
	return note(a, r, &to, &res, start, e);
}

const struct verb verb_build = {
    .name = "build",
    .args = "RECIPE",
    .help = "Make the image of a recipe and its lock in an OCI layout.",
    .min = 1,
    .max = 1,
    .opts = opts,
    .run = run,
};
