#include "cli/noted.h"
#include "cli/object.h"
#include "cli/screen.h"
#include "cli/verb.h"

#include "base/num.h"
#include "media/carried.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include <stdio.h>
#include <unistd.h>

#define CARRY_OPTS                                                                                 \
	{0, "plain-http", NULL, "Speak http without TLS (always so on loopback)."},                \
	    {0, "parallel", "N", "Move N blobs at once."},                                         \
	    {0, "dry-run", NULL, "Check the names, and move nothing."},                            \
	    {0, "json", NULL, "Print the outcome as JSON."}, {0, NULL, NULL, NULL},

#define LOCK_OPT                                                                                   \
	{0, "lock", "DAYS", "In a bucket: keep it from change and removal for so long."},          \
	{                                                                                          \
		0, "part-size", "SIZE", "In a bucket: send large blobs in parts of this size."     \
	}

static const struct opt push_opts[] = {
    LOCK_OPT,
    {0, "lookaside", "DIR", "Also write OpenPGP signatures to DIR/REPO@sha256=HEX/signature-N."},
    CARRY_OPTS};

static const struct opt pull_opts[] = {
    {0, "lookaside", "DIR", "Also read OpenPGP signatures from this directory or URL."},
    {0, "platform", "OS/ARCH", "Of an index take the image for this platform, or \"all\"."},
    CARRY_OPTS};

static const struct opt copy_opts[] = {
    LOCK_OPT,
    {0, "lookaside-from", "DIR", "Also read OpenPGP signatures from this directory or URL."},
    {0, "lookaside", "DIR", "Also write OpenPGP signatures to DIR/REPO@sha256=HEX/signature-N."},
    {0, "platform", "OS/ARCH", "Into a layout: as for pull."},
    CARRY_OPTS};

static int options(const struct args *a, struct remote_opts *ret, struct err *e)
{
	uint64_t parallel = 0, lock_days = 0, part_size = 0;

	if (args_num(a, "parallel", 64, &parallel, e) != 0 ||
	    args_num(a, "lock", 36500, &lock_days, e) != 0)
		return -1;
	if (args_has(a, "part-size") &&
	    (num_bytes(args_get(a, "part-size"), &part_size) != 0 || part_size < 5 << 20))
		return err_set(e, ERR_USAGE, "--part-size wants a size of at least 5M");
	*ret = (struct remote_opts){.plain_http = args_has(a, "plain-http"),
				    .lookaside = args_get(a, "lookaside"),
				    .lookaside_from = args_get(a, "lookaside-from"),
				    .platform = args_get(a, "platform"),
				    .lock_s = lock_days * 24 * 3600,
				    .part_size = part_size,
				    .parallel = (unsigned)parallel};
	return 0;
}

static bool is_remote(const struct ref *r)
{
	return r->kind == REF_DOCKER || r->kind == REF_S3;
}

static int wants(const struct ref *r, bool remote, struct err *e)
{
	char *text SCOPED(mem_freep) = ref_text(r);

	if (remote ? is_remote(r) : r->kind == REF_OCI)
		return 0;
	return err_set(e, ERR_USAGE, "%s: wants %s", text,
		       remote ? "docker://HOST/REPOSITORY:TAG or s3://BUCKET/REPOSITORY:TAG"
			      : "oci:DIR:TAG");
}

/* What has been done, to whom, and how long it took. */
struct outcome {
	const char *done;
	const struct ref *at;
	const struct digest *digest;
	const struct remote_stats *st;
	uint64_t begun_ms;
};

static void report_json(const struct outcome *o, const char *text, uint64_t ms)
{
	struct jval *v SCOPED(jval_freep) = jval_object();

	jval_put_text(v, "image", text);
	jval_put_text(v, "digest", digest_text(o->digest).s);
	jval_put_int(v, "blobs", (int64_t)o->st->blobs);
	jval_put_int(v, "skipped", (int64_t)o->st->blobs_skipped);
	jval_put_int(v, "mounted", (int64_t)o->st->mounted);
	jval_put_int(v, "bytes", (int64_t)o->st->bytes);
	jval_put_int(v, "bytes_skipped", (int64_t)o->st->bytes_skipped);
	jval_put_int(v, "bytes_resumed", (int64_t)o->st->resumed);
	jval_put_int(v, "milliseconds", (int64_t)ms);
	screen_json(v);
}

static void report(const struct args *a, const struct outcome *o)
{
	uint64_t ms = clock_mono_ms() - o->begun_ms;
	char *text SCOPED(mem_freep) = ref_text(o->at);
	char *size SCOPED(mem_freep) = num_human(o->st->bytes);
	char *there SCOPED(mem_freep) = num_human(o->st->bytes_skipped);
	char *rate SCOPED(mem_freep) = num_human(ms > 0 ? o->st->bytes * 1000 / ms : 0);

	if (args_has(a, "json")) {
		report_json(o, text, ms);
		return;
	}
	printf("%s %s@%s: %zu blobs, %s", o->done, text, digest_text(o->digest).s, o->st->blobs,
	       size);
	if (o->st->bytes > 0 && ms > 0)
		printf(" at %s/s", rate);
	printf("; %zu were there, %s\n", o->st->blobs_skipped, there);
}

/* What went to a registry or a bucket. */
static int note(const struct args *a, const struct outcome *o, struct err *e)
{
	char *text SCOPED(mem_freep) = ref_text(o->at);
	struct jval *v = jval_object();

	jval_put_text(v, "image", text);
	jval_put_text(v, "from", a->rest.v[0]);
	jval_put_int(v, "bytes", (int64_t)o->st->bytes);
	jval_put_int(v, "ms", (int64_t)(clock_mono_ms() - o->begun_ms));
	return noted_of(a, "push", o->digest, v, e);
}

/* A medium that was made, as an artifact of a layout. */
static int pack_medium(const char *file, struct oci_layout *l, struct oci_desc *ret, struct err *e)
{
	char *manifest SCOPED(mem_freep) = mem_format("%s" MEDIUM_SUFFIX, file);
	struct medium m SCOPED(medium_release) = {0};

	if (access(manifest, F_OK) != 0) {
		(void)err_set(e, ERR_USAGE, "%s: no image, and there is no %s", file, manifest);
		return err_hint(e, "Images are named oci:DIR:TAG; of files, media are carried that "
				   "posmedia media has made.");
	}
	return medium_load(manifest, NULL, &m, e) != 0 ? -1 : carried_make(file, &m, l, ret, e);
}

/* What is pushed: an image, or a medium, which is in a scratch then. */
static int open_pushed(const struct args *a, struct visit *v, struct image *i, struct err *e)
{
	const char *name = a->rest.v[0];
	char *at SCOPED(mem_freep) = NULL;

	if (object_is_image(name))
		return input_image(name, i, e);
	if (object_scratch(a, v, e) != 0)
		return -1;
	at = fs_join(v->dir, "layout");
	return oci_layout_scratch(at, &i->layout, e) != 0
		   ? -1
		   : pack_medium(name, i->layout, &i->manifest, e);
}

static int push(const struct args *a, struct err *e)
{
	struct visit v SCOPED(visit_end) = {0};
	struct image i SCOPED(image_release) = {0};
	struct ref to SCOPED(ref_release) = {0};
	struct remote_stats st = {0};
	uint64_t begun_ms = clock_mono_ms();
	struct remote_opts o;
	char *sessions SCOPED(mem_freep) = mem_format("%s/uploads", input_store_path(a));

	if (options(a, &o, e) != 0 || ref_parse(a->rest.v[1], &to, e) != 0 ||
	    wants(&to, true, e) != 0 || open_pushed(a, &v, &i, e) != 0)
		return -1;
	o.sessions = sessions;
	if (!args_has(a, "dry-run") && remote_push(i.layout, &i.manifest, &to, &o, &st, e) != 0)
		return -1;
	const struct outcome done = {"pushed", &to, &i.manifest.digest, &st, begun_ms};

	report(a, &done);
	return args_has(a, "dry-run") ? 0 : note(a, &done, e);
}

const struct verb verb_push = {
    .name = "push",
    .args = "oci:DIR[:TAG] | FILE docker://HOST/REPO:TAG",
    .help = "Copy an image, or a medium, with its signatures to a registry or a bucket.",
    .min = 2,
    .max = 2,
    .opts = push_opts,
    .run = push,
};

static int pull_into(const struct args *a, const struct ref *from, const struct ref *to,
		     struct err *e)
{
	struct oci_layout *l SCOPED(oci_layout_freep) = NULL;
	struct remote_pulled got = {0};
	uint64_t begun_ms = clock_mono_ms();
	struct remote_opts o;

	if (options(a, &o, e) != 0)
		return -1;
	if (args_has(a, "dry-run"))
		return 0;
	if (args_has(a, "lookaside-from")) /* copy calls the source's so */
		o.lookaside = o.lookaside_from;
	if (oci_layout_open(to->path, true, &l, e) != 0 ||
	    remote_pull(from, l, to->tag[0] != '\0' ? to->tag : from->tag, &o, &got, e) != 0)
		return -1;
	report(a, &(struct outcome){"pulled", from, &got.manifest.digest, &got.stats, begun_ms});
	oci_desc_release(&got.manifest);
	return 0;
}

static int pull(const struct args *a, struct err *e)
{
	struct ref from SCOPED(ref_release) = {0}, to SCOPED(ref_release) = {0};

	if (ref_parse(a->rest.v[0], &from, e) != 0 || ref_parse(a->rest.v[1], &to, e) != 0 ||
	    wants(&from, true, e) != 0 || wants(&to, false, e) != 0)
		return -1;
	return pull_into(a, &from, &to, e);
}

const struct verb verb_pull = {
    .name = "pull",
    .args = "docker://HOST/REPO:TAG oci:DIR[:TAG]",
    .help = "Copy an image with its signatures from a registry or a bucket.",
    .min = 2,
    .max = 2,
    .opts = pull_opts,
    .run = pull,
};

/* From one registry or bucket to another, by a scratch of the store. */
static int copy_remote(const struct args *a, const struct ref *from, const struct ref *to,
		       struct err *e)
{
	struct visit v SCOPED(visit_end) = {0};
	struct oci_layout *l SCOPED(oci_layout_freep) = NULL;
	struct remote_pulled got = {0};
	char *at SCOPED(mem_freep) = NULL;
	uint64_t begun_ms = clock_mono_ms();
	struct remote_opts o;

	if (options(a, &o, e) != 0 || object_scratch(a, &v, e) != 0)
		return -1;
	at = fs_join(v.dir, "layout");
	if (oci_layout_scratch(at, &l, e) != 0 || remote_copy(from, to, l, &o, &got, e) != 0)
		return -1;
	const struct outcome done = {"copied", to, &got.manifest.digest, &got.stats, begun_ms};
	int rc;

	report(a, &done);
	rc = note(a, &done, e);
	oci_desc_release(&got.manifest);
	return rc;
}

static int copy_local(const struct args *a, const struct ref *to, struct err *e)
{
	struct image i SCOPED(image_release) = {0};
	struct oci_layout *l SCOPED(oci_layout_freep) = NULL;
	const struct remote_stats none = {0};
	uint64_t begun_ms = clock_mono_ms();
	const char *tag = to->tag;

	if (input_image(a->rest.v[0], &i, e) != 0)
		return -1;
	if (tag[0] == '\0')
		tag = i.ref.tag;
	if (oci_layout_open(to->path, true, &l, e) != 0 ||
	    remote_copy_layout(i.layout, &i.manifest, l, tag, e) != 0)
		return -1;
	report(a, &(struct outcome){"copied", to, &i.manifest.digest, &none, begun_ms});
	return 0;
}

/* A medium into a layout: for a stick, say. */
static int copy_medium(const struct args *a, const struct ref *to, struct err *e)
{
	struct oci_layout *l SCOPED(oci_layout_freep) = NULL;
	struct oci_desc d SCOPED(oci_desc_release) = {0};
	const struct remote_stats none = {0};
	uint64_t begun_ms = clock_mono_ms();

	if (args_has(a, "dry-run"))
		return 0;
	if (oci_layout_open(to->path, true, &l, e) != 0 ||
	    pack_medium(a->rest.v[0], l, &d, e) != 0 || oci_layout_tag(l, to->tag, &d, e) != 0)
		return -1;
	report(a, &(struct outcome){"copied", to, &d.digest, &none, begun_ms});
	return 0;
}

static int copy_file(const struct args *a, struct err *e)
{
	struct ref to SCOPED(ref_release) = {0};

	if (ref_parse(a->rest.v[1], &to, e) != 0 || wants(&to, is_remote(&to), e) != 0)
		return -1;
	return is_remote(&to) ? push(a, e) : copy_medium(a, &to, e);
}

static int copy(const struct args *a, struct err *e)
{
	struct ref from SCOPED(ref_release) = {0}, to SCOPED(ref_release) = {0};

	if (!object_is_image(a->rest.v[0]))
		return copy_file(a, e);
	if (ref_parse(a->rest.v[0], &from, e) != 0 || ref_parse(a->rest.v[1], &to, e) != 0 ||
	    wants(&from, is_remote(&from), e) != 0 || wants(&to, is_remote(&to), e) != 0)
		return -1;
	if (!is_remote(&from) && is_remote(&to))
		return push(a, e);
	if (is_remote(&from) && !is_remote(&to))
		return pull_into(a, &from, &to, e);
	if (args_has(a, "dry-run"))
		return 0;
	return is_remote(&from) ? copy_remote(a, &from, &to, e) : copy_local(a, &to, e);
}

const struct verb verb_copy = {
    .name = "copy",
    .args = "FROM TO",
    .help = "Copy an image with all that is attached to it between any two places.",
    .min = 2,
    .max = 2,
    .opts = copy_opts,
    .run = copy,
};
