#include "cli/input.h"
#include "cli/screen.h"
#include "cli/verb.h"

#include "rebuild/rebuild.h"
#include "sandbox/sandbox.h"
#include <stdio.h>

static const struct opt opts[] = {
    {0, "on", "DIR", "Build in a new folder below DIR (default: a tmpfs, if memory allows)."},
    {0, "as", "USER", "Build as this user (default, for root: one with subordinate ids)."},
    {0, "json", NULL, "Print what was varied, and every difference, as JSON."},
    {0, NULL, NULL, NULL},
};

/* How much the build says is what we were asked to say. */
static void pass_on(const struct args *a, struct strv *ret)
{
	const char *format = args_get(a, "log");

	if (args_has(a, "quiet"))
		strv_add(ret, "--quiet");
	if (args_has(a, "verbose"))
		strv_add(ret, "--verbose");
	if (format != NULL)
		strv_addf(ret, "--log=%s", format);
}

static int print(const struct args *a, const struct rebuild_result *r, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(16 << 20);

	if (args_has(a, "json")) {
		struct jval *v SCOPED(jval_freep) = rebuild_json(r);

		screen_json(v);
		return 0;
	}
	rebuild_report(r, &b);
	if (buf_over(&b))
		return err_set(e, ERR_FAIL, "the report is larger than %zu bytes", b.max);
	screen_plain(b.data);
	(void)fputs(b.data, stdout);
	return 0;
}

static int run(const struct args *a, struct err *e)
{
	struct image i SCOPED(image_release) = {0};
	struct store *s SCOPED(store_freep) = NULL;
	struct strv flags SCOPED(strv_release) = {0};
	struct rebuild_result r SCOPED(rebuild_release) = {0};
	struct rebuild_opts o = {.on = args_get(a, "on"),
				 .as = args_get(a, "as"),
				 .program = "/proc/self/exe",
				 .options = &flags};

	pass_on(a, &flags);
	if (input_image(a->rest.v[0], &i, e) != 0 || sandbox_enter(e) != 0 ||
	    input_store(a, &s, e) != 0)
		return -1;
	o.store = s;
	o.layout = i.layout;
	o.manifest = &i.manifest;
	if (rebuild(&o, &r, e) != 0 || print(a, &r, e) != 0)
		return -1;
	if (r.reproduced)
		return 0;
	return err_set(e, ERR_VERIFY, "%s: not reproduced", a->rest.v[0]);
}

const struct verb verb_rebuild = {
    .name = "rebuild",
    .args = "oci:DIR[:TAG|@sha256:HEX]",
    .help = "Build an image again from its own lock, and compare the bytes.",
    .min = 1,
    .max = 1,
    .opts = opts,
    .run = run,
};
