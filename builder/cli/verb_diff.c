#include "cli/object.h"
#include "cli/screen.h"
#include "cli/verb.h"

#include "diff/diff.h"
#include "sandbox/sandbox.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static const struct opt opts[] = {
    {0, "files", NULL, "List every file, also those of packages that changed."},
    {0, "profile", "FILE", "Controls by this profile (default: recipes/profiles/pa-dss-3.2.yaml)."},
    {0, "no-controls", NULL, "Leave the controls out."},
    {0, "markdown", NULL, "Print a section for release notes."},
    {0, "json", NULL, "Print the differences as JSON, every file included."},
    OBJECT_PLAIN,
    {0, "exit-code", NULL, "Exit with 1 when there are differences."},
    {0, NULL, NULL, NULL},
};

/* One of the two arguments, and what it takes to look at it. */
struct operand {
	struct ref ref;
	struct image image; /* unless it is a tree */
	struct inventory list;
};

static void operand_release(struct operand *o)
{
	ref_release(&o->ref);
	image_release(&o->image);
	inventory_release(&o->list);
}

static int read_list(const char *text, const char *path, struct operand *o, struct diff_input *ret,
		     struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(INVENTORY_MAX);

	if (fs_get_file(AT_FDCWD, path, &b, e) != 0 ||
	    inventory_parse(path, b.data, b.len, INVENTORY_DEB, &o->list, e) != 0)
		return -1;
	*ret = (struct diff_input){.object = text, .list = &o->list};
	return 0;
}

static int side(const struct args *a, const char *text, struct visit *v, struct operand *o,
		struct diff_input *ret, struct err *e)
{
	static const char list[] = "manifest:";

	if (strncmp(text, list, sizeof(list) - 1) == 0)
		return read_list(text, text + sizeof(list) - 1, o, ret, e);
	if (ref_parse(text, &o->ref, e) != 0)
		return -1;
	*ret = (struct diff_input){.object = text, .dir = o->ref.path};
	if (o->ref.kind == REF_DIR)
		return 0;
	if (object_image(a, text, v, &o->image, e) != 0)
		return -1;
	ret->layout = o->image.layout;
	ret->manifest = &o->image.manifest;
	return 0;
}

static int compare(const struct args *a, struct diff *ret, struct err *e)
{
	struct visit v SCOPED(visit_end) = {0};
	struct operand x SCOPED(operand_release) = {0}, y SCOPED(operand_release) = {0};
	struct store *s SCOPED(store_freep) = NULL;
	struct diff_input was = {0}, is = {0};
	const char *profile = args_get(a, "profile");
	struct diff_opts o = {.today = clock_epoch_s()};

	if (side(a, a->rest.v[0], &v, &x, &was, e) != 0 ||
	    side(a, a->rest.v[1], &v, &y, &is, e) != 0)
		return -1;
	if (was.list != NULL && is.list != NULL)
		return err_set(e, ERR_USAGE, "two manifests: one of the two is an image or a tree");
	if ((was.layout != NULL || is.layout != NULL) &&
	    (sandbox_enter(e) != 0 || input_store(a, &s, e) != 0))
		return -1;
	o.store = s;
	if (!args_has(a, "no-controls"))
		o.profile = profile != NULL ? profile : "recipes/profiles/pa-dss-3.2.yaml";
	return diff_run(&was, &is, &o, ret, e);
}

static int print(const struct args *a, const struct diff *d, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(256 << 20);

	if (args_has(a, "json")) {
		struct jval *v SCOPED(jval_freep) = diff_json(d);

		screen_json(v);
		return 0;
	}
	diff_report(d, args_has(a, "markdown") ? DIFF_MARKDOWN : DIFF_TEXT, args_has(a, "files"),
		    &b);
	if (buf_over(&b))
		return err_set(e, ERR_FAIL, "the report is larger than %zu bytes", b.max);
	screen_plain(b.data);
	(void)fputs(b.data, stdout);
	return 0;
}

static int run(const struct args *a, struct err *e)
{
	struct diff d SCOPED(diff_release) = {0};

	if (args_has(a, "json") && args_has(a, "markdown"))
		return err_set(e, ERR_USAGE, "--json or --markdown, not both");
	if (args_has(a, "profile") && args_has(a, "no-controls"))
		return err_set(e, ERR_USAGE, "--profile or --no-controls, not both");
	if (compare(a, &d, e) != 0 || print(a, &d, e) != 0)
		return -1;
	if (args_has(a, "exit-code") && diff_any(&d))
		return err_set(e, ERR_FAIL, "%s and %s differ", a->rest.v[0], a->rest.v[1]);
	return 0;
}

const struct verb verb_diff = {
    .name = "diff",
    .args = "A B: oci:DIR[:TAG], docker://HOST/REPO:TAG, dir:PATH, manifest:LIST",
    .help = "Show what changed between images or root trees, or what a server has else.",
    .min = 2,
    .max = 2,
    .opts = opts,
    .run = run,
};
