#include "cli/object.h"
#include "cli/screen.h"
#include "cli/verb.h"

#include "sandbox/sandbox.h"
#include "sbom/sbom.h"
#include "scan/scan.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include <fcntl.h>
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

enum { DOCUMENT_MAX = 256 << 20 };

/* What is written where, about which image. */
struct output {
	int dir;
	const struct sbom *b;
};

/* Takes the value over. */
static int put(const struct output *o, const char *file, struct jval *v, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(DOCUMENT_MAX);

	jval_write_pretty(v, &b);
	jval_free(v);
	if (buf_over(&b))
		return err_set(e, ERR_FAIL, "%s: too large", file);
	return fs_put(o->dir, file, b.data, b.len, 0644, e);
}

/* A document and the statement that carries it. */
static int put_both(const struct output *o, const char *name, const char *type, struct jval *doc,
		    struct err *e)
{
	char *plain SCOPED(mem_freep) = mem_format("%s.json", name);
	char *said SCOPED(mem_freep) = mem_format("%s.statement.json", name);
	struct jval *statement = sbom_statement(&o->b->image, o->b->name, type, jval_ref(doc));
	int rc = put(o, plain, doc, e);

	if (rc == 0)
		return put(o, said, statement, e);
	jval_free(statement);
	return -1;
}

static int write_all(const struct args *a, const struct output *o, struct jval *scan, struct err *e)
{
	const char *who = args_get(a, "builder");
	struct jval *provenance =
	    sbom_provenance(o->b, who != NULL ? who : "urn:posmedia:builder:local");
	struct jval *said =
	    sbom_statement(&o->b->image, o->b->name, "https://slsa.dev/provenance/v1", provenance);

	if (put(o, "provenance.statement.json", said, e) != 0 ||
	    put_both(o, "spdx", "https://spdx.dev/Document", sbom_spdx(o->b), e) != 0 ||
	    put_both(o, "cyclonedx", "https://cyclonedx.org/bom", sbom_cyclonedx(o->b), e) != 0)
		return -1;
	return scan == NULL ? 0 : put_both(o, "scan", "urn:posmedia:scan:v1", jval_ref(scan), e);
}

/* What was found, and whether it may stay so. */
static int look(const struct args *a, const struct image *i, struct jval **ret, struct err *e)
{
	const struct scan_opts so = {.allow = args_get(a, "allow"), .today = clock_epoch_s()};
	struct err quiet = ERR_INIT;

	if (args_has(a, "no-scan"))
		return 0;
	if (scan_image(i->layout, &i->manifest, digest_text(&i->manifest.digest).s, &so, ret, e) !=
	    0)
		return -1;
	jval_put_text(*ret, "result", scan_gate(*ret, "high", &quiet) == 0 ? "PASSED" : "FAILED");
	return 0;
}

static void report(const struct args *a, const struct sbom *b)
{
	struct jval *v SCOPED(jval_freep) = jval_object();

	jval_put_text(v, "digest", digest_text(&b->image).s);
	jval_put_int(v, "packages", (int64_t)b->packages_n);
	jval_put_int(v, "files-owned", (int64_t)b->owned);
	jval_put_int(v, "files-unowned", (int64_t)b->files_n);
	if (args_has(a, "json"))
		screen_json(v);
	else
		printf("%s: %zu packages, %zu files of theirs, %zu of nobody's\n",
		       digest_text(&b->image).s, b->packages_n, b->owned, b->files_n);
}

static int run(const struct args *a, struct err *e)
{
	struct visit v SCOPED(visit_end) = {0};
	struct image i SCOPED(image_release) = {0};
	struct store *s SCOPED(store_freep) = NULL;
	struct sbom b SCOPED(sbom_release) = {0};
	struct jval *scan SCOPED(jval_freep) = NULL;
	struct output o = {-1, &b};
	int dir SCOPED(fd_closep) = -1;
	const char *to = args_get(a, "output");

	if (to == NULL)
		return err_set(e, ERR_USAGE, "sbom wants --output DIR");
	if (object_image(a, a->rest.v[0], &v, &i, e) != 0 || sandbox_enter(e) != 0 ||
	    input_store(a, &s, e) != 0 || sbom_read(i.layout, &i.manifest, s, &b, e) != 0 ||
	    look(a, &i, &scan, e) != 0 || fs_mkdirs(AT_FDCWD, to, 0755, e) != 0 ||
	    fs_open_dir(AT_FDCWD, to, &dir, e) != 0)
		return -1;
	o.dir = dir;
	if (write_all(a, &o, scan, e) != 0)
		return -1;
	report(a, &b);
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
