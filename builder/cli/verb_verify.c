#include "cli/medium.h"
#include "cli/object.h"
#include "cli/screen.h"
#include "cli/signatures.h"
#include "cli/verb.h"

#include "base/num.h"
#include "sign/attest.h"
#include "sign/file.h"
#include "sign/policy.h"
#include <stdio.h>

static const struct opt opts[] = {
    {'k', "key", "FILE.pub", "Accept signatures by this key (may be repeated)."},
    {'p', "policy", "FILE", "Decide by this policy (default: signing/policy.yaml)."},
    {0, "identity", "HOST/REPO:TAG", "What the signature must call the image."},
    {0, "attested", "FILE", "The keys must have attested this statement about the image."},
    {0, "lookaside", "DIR", "Also read OpenPGP signatures from this directory or URL."},
    {0, "manifest", "FILE", "A medium or a device: the manifest (default: FILE.medium.json)."},
    {0, "image", "NAME", "A medium: the image it was made of, for policies that look at it."},
    {0, "used", NULL, "A device: it was started from; leave out what a machine writes to."},
    OBJECT_PLAIN,
    {0, "json", NULL, "Print what was checked as JSON."},
    {0, NULL, NULL, NULL},
};

struct seen {
	size_t blobs;
	uint64_t bytes;
};

static void count(void *ctx, const struct oci_desc *d)
{
	struct seen *s = ctx;

	s->blobs++;
	s->bytes += d->size;
}

/* The statement is about this image, and one of the keys says so. */
static int attested(const struct args *a, const struct image *i, const struct keys *keys,
		    struct err *e)
{
	const struct attest_keys by = {keys->v, keys->n};
	struct buf statement SCOPED(buf_release) = BUF_INIT(ATTEST_MAX);

	if (input_statement(args_get(a, "attested"), &statement, e) != 0 ||
	    attest_check(&statement, args_get(a, "attested"), &i->manifest.digest, e) != 0)
		return -1;
	return attest_verify(i->layout, &i->manifest.digest, &statement, &by, e);
}

static int by_keys(const struct args *a, const struct image *i, const char *identity,
		   struct sign_report *ret, struct err *e)
{
	struct keys keys SCOPED(keys_release) = {0};
	struct sign_wanted want = {.identity = identity, .keys = keys.v, .forms = SIGN_ALL_FORMS};

	if (input_keys(a, &keys, e) != 0)
		return -1;
	want.keys_n = keys.n;
	if (sign_image_verify(i->layout, &i->manifest, &want, ret, e) != 0)
		return -1;
	return args_has(a, "attested") ? attested(a, i, &keys, e) : 0;
}

static int by_policy(const struct args *a, const struct image *i, const char *identity,
		     struct sign_report *ret, struct err *e)
{
	const char *path = args_get(a, "policy");
	struct sign_policy *p SCOPED(sign_policy_freep) = NULL;

	if (sign_policy_load(path != NULL ? path : "signing/policy.yaml", &p, e) != 0)
		return -1;
	return sign_policy_verify(p, i->layout, &i->manifest, identity, ret, e);
}

static void report(const struct args *a, const struct image *i, const struct seen *s,
		   const struct sign_report *r)
{
	struct jval *v SCOPED(jval_freep) = jval_object();
	char *size SCOPED(mem_freep) = num_human(s->bytes);

	if (!args_has(a, "json")) {
		printf("hashed %zu blobs, %s, from index.json down: all right\n", s->blobs, size);
		signatures_print(r);
	}
	jval_put(v, "signatures", signatures_json(r));
	jval_put(v, "checked", signatures_checked_json(r));
	jval_put_text(v, "digest", digest_text(&i->manifest.digest).s);
	jval_put_int(v, "blobs", (int64_t)s->blobs);
	jval_put_int(v, "bytes", (int64_t)s->bytes);
	jval_put_int(v, "ignored", (int64_t)r->ignored);
	if (args_has(a, "json"))
		screen_json(v);
	else if (args_has(a, "attested"))
		printf("attested, as %s says\nverified %s\n", args_get(a, "attested"),
		       digest_text(&i->manifest.digest).s);
	else
		printf("verified %s\n", digest_text(&i->manifest.digest).s);
}

static int verify_one_file(const struct args *a, struct err *e)
{
	struct keys keys SCOPED(keys_release) = {0};
	struct sign_wanted want = {.keys = keys.v, .forms = SIGN_ALL_FORMS};
	struct sign_report r SCOPED(sign_report_release) = {0};
	struct jval *v SCOPED(jval_freep) = jval_object();
	char *manifest SCOPED(mem_freep) = medium_manifest(a, a->rest.v[0]);
	struct digest d;

	if (args_has(a, "attested"))
		return err_set(e, ERR_USAGE, "--attested is for images");
	if (manifest != NULL)
		return medium_verify(a, a->rest.v[0], manifest, e);
	if (args_has(a, "used") || args_has(a, "image"))
		return err_set(e, ERR_USAGE, "--used and --image want the --manifest of a medium");
	if (!args_has(a, "key") || args_has(a, "policy")) {
		(void)err_set(e, ERR_USAGE, "a file is verified by --key, and by nothing else");
		return err_hint(e, "images are named oci:DIR:TAG or docker://HOST/REPO:TAG");
	}
	if (input_keys(a, &keys, e) != 0)
		return -1;
	want.keys_n = keys.n;
	if (sign_file_verify(a->rest.v[0], &want, &d, &r, e) != 0)
		return -1;
	jval_put_text(v, "digest", digest_text(&d).s);
	jval_put(v, "signatures", signatures_json(&r));
	if (args_has(a, "json")) {
		screen_json(v);
		return 0;
	}
	signatures_print(&r);
	printf("verified %s %s\n", digest_text(&d).s, a->rest.v[0]);
	return 0;
}

static int verify_one_image(const struct args *a, struct err *e)
{
	struct visit v SCOPED(visit_end) = {0};
	struct image i SCOPED(image_release) = {0};
	struct sign_report r SCOPED(sign_report_release) = {0};
	char *identity SCOPED(mem_freep) = NULL;
	struct seen s = {0};

	if (args_has(a, "manifest") || args_has(a, "used") || args_has(a, "image"))
		return err_set(e, ERR_USAGE, "--manifest, --used and --image are for media");
	if (args_has(a, "attested") && !args_has(a, "key"))
		return err_set(e, ERR_USAGE, "--attested wants the --key that attested it");
	if (object_image(a, a->rest.v[0], &v, &i, e) != 0 ||
	    input_identity(a, &i, &identity, e) != 0 ||
	    oci_layout_verify(i.layout, &i.manifest, count, &s, e) != 0)
		return -1;
	if ((args_has(a, "key") ? by_keys : by_policy)(a, &i, identity, &r, e) != 0)
		return -1;
	report(a, &i, &s, &r);
	return 0;
}

static int run(const struct args *a, struct err *e)
{
	return (object_is_image(a->rest.v[0]) ? verify_one_image : verify_one_file)(a, e);
}

const struct verb verb_verify = {
    .name = "verify",
    .args = "oci:DIR[:TAG] | docker://HOST/REPO:TAG | FILE | DEVICE",
    .help = "Hash every blob of an image, or a medium, and check the signatures.",
    .min = 1,
    .max = 1,
    .opts = opts,
    .run = run,
};
