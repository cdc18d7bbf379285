#include "cli/input.h"
#include "cli/screen.h"
#include "cli/verb.h"

#include "base/num.h"
#include "remote/remote.h"
#include <stdio.h>

#define CARRY_OPTS                                                                                 \
	{0, "plain-http", NULL, "Speak http without TLS (always so on loopback)."},                \
	    {0, "parallel", "N", "Move N blobs at once."},                                         \
	    {0, "dry-run", NULL, "Check the names, and move nothing."},                            \
	    {0, "json", NULL, "Print the outcome as JSON."}, {0, NULL, NULL, NULL},

static const struct opt push_opts[] = {
    {0, "lookaside", "DIR", "Also write OpenPGP signatures to DIR/REPO@sha256=HEX/signature-N."},
    CARRY_OPTS};

static const struct opt pull_opts[] = {
    {0, "lookaside", "DIR", "Also read OpenPGP signatures from this directory or URL."},
    CARRY_OPTS};

static int options(const struct args *a, struct remote_opts *ret, struct err *e)
{
	uint64_t parallel = 0;

	if (args_num(a, "parallel", 64, &parallel, e) != 0)
		return -1;
	*ret = (struct remote_opts){.plain_http = args_has(a, "plain-http"),
				    .lookaside = args_get(a, "lookaside"),
				    .parallel = (unsigned)parallel};
	return 0;
}

static int wants(const struct ref *r, enum ref_kind kind, const char *what, struct err *e)
{
	char *text SCOPED(mem_freep) = ref_text(r);

	return r->kind == kind ? 0 : err_set(e, ERR_USAGE, "%s: wants %s", text, what);
}

static void report(const struct args *a, const char *done, const struct ref *at,
		   const struct digest *d, const struct remote_stats *st)
{
	struct jval *v SCOPED(jval_freep) = jval_object();
	char *text SCOPED(mem_freep) = ref_text(at);
	char *size SCOPED(mem_freep) = num_human(st->bytes);

	jval_put_text(v, "image", text);
	jval_put_text(v, "digest", digest_text(d).s);
	jval_put_int(v, "blobs", (int64_t)st->blobs);
	jval_put_int(v, "skipped", (int64_t)st->blobs_skipped);
	jval_put_int(v, "bytes", (int64_t)st->bytes);
	if (args_has(a, "json"))
		screen_json(v);
	else
		printf("%s %s@%s: %zu blobs, %s; %zu were there\n", done, text, digest_text(d).s,
		       st->blobs, size, st->blobs_skipped);
}

static int push(const struct args *a, struct err *e)
{
	struct image i SCOPED(image_release) = {0};
	struct ref to SCOPED(ref_release) = {0};
	struct remote_stats st = {0};
	struct remote_opts o;

	if (options(a, &o, e) != 0 || input_image(a->rest.v[0], &i, e) != 0 ||
	    ref_parse(a->rest.v[1], &to, e) != 0 ||
	    wants(&to, REF_DOCKER, "docker://HOST/REPOSITORY:TAG", e) != 0)
		return -1;
	if (!args_has(a, "dry-run") && remote_push(i.layout, &i.manifest, &to, &o, &st, e) != 0)
		return -1;
	report(a, "pushed", &to, &i.manifest.digest, &st);
	return 0;
}

const struct verb verb_push = {
    .name = "push",
    .args = "oci:DIR[:TAG] docker://HOST/REPO:TAG",
    .help = "Copy an image with its signatures to a registry.",
    .min = 2,
    .max = 2,
    .opts = push_opts,
    .run = push,
};

static int pull(const struct args *a, struct err *e)
{
	struct oci_layout *l SCOPED(oci_layout_freep) = NULL;
	struct ref from SCOPED(ref_release) = {0}, to SCOPED(ref_release) = {0};
	struct remote_pulled got = {0};
	struct remote_opts o;

	if (options(a, &o, e) != 0 || ref_parse(a->rest.v[0], &from, e) != 0 ||
	    ref_parse(a->rest.v[1], &to, e) != 0 ||
	    wants(&from, REF_DOCKER, "docker://HOST/REPOSITORY:TAG", e) != 0 ||
	    wants(&to, REF_OCI, "oci:DIR:TAG", e) != 0)
		return -1;
	if (args_has(a, "dry-run"))
		return 0;
	if (oci_layout_open(to.path, true, &l, e) != 0 ||
	    remote_pull(&from, l, to.tag[0] != '\0' ? to.tag : from.tag, &o, &got, e) != 0)
		return -1;
	report(a, "pulled", &from, &got.manifest.digest, &got.stats);
	oci_desc_release(&got.manifest);
	return 0;
}

const struct verb verb_pull = {
    .name = "pull",
    .args = "docker://HOST/REPO:TAG oci:DIR[:TAG]",
    .help = "Copy an image with its signatures from a registry.",
    .min = 2,
    .max = 2,
    .opts = pull_opts,
    .run = pull,
};
