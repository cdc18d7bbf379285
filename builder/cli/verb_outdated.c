#include "cli/object.h"
#include "cli/screen.h"
#include "cli/verb.h"

#include "outdated/outdated.h"
#include "sandbox/sandbox.h"
#include <stdio.h>
#include <string.h>

static const struct opt opts[] = {
    {0, "fail-on", "UPDATES", "Refuse at any update (the default), security ones only or never."},
    OBJECT_PLAIN,
    {0, "json", NULL, "Print what is behind as JSON."},
    {0, NULL, NULL, NULL},
};

static int look(const struct args *a, struct outdated *ret, struct err *e)
{
	struct visit v SCOPED(visit_end) = {0};
	struct image i SCOPED(image_release) = {0};
	struct store *s SCOPED(store_freep) = NULL;

	if (object_image(a, a->rest.v[0], &v, &i, e) != 0 || sandbox_enter(e) != 0 ||
	    input_store(a, &s, e) != 0)
		return -1;
	return outdated_image(s, i.layout, &i.manifest, a->rest.v[0], ret, e);
}

static void print(const struct args *a, const struct outdated *o)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(64 << 20);

	if (args_has(a, "json")) {
		struct jval *v SCOPED(jval_freep) = outdated_json(o);

		screen_json(v);
		return;
	}
	outdated_text(o, &b);
	screen_plain(b.data);
	(void)fputs(b.data, stdout);
}

static int run(const struct args *a, struct err *e)
{
	const char *fail_on = args_has(a, "fail-on") ? args_get(a, "fail-on") : "any";
	struct outdated o SCOPED(outdated_release) = {.object = mem_strdup(a->rest.v[0])};

	/* whether the word is one, before minutes of work */
	if (outdated_gate(&o, fail_on, e) != 0)
		return -1;
	outdated_release(&o);
	if (look(a, &o, e) != 0)
		return -1;
	print(a, &o);
	return outdated_gate(&o, fail_on, e);
}

const struct verb verb_outdated = {
    .name = "outdated",
    .args = "oci:DIR[:TAG] | docker://HOST/REPO:TAG | s3://BUCKET/REPO:TAG",
    .help = "List what of an image is behind its repositories, security updates marked.",
    .min = 1,
    .max = 1,
    .opts = opts,
    .run = run,
};
