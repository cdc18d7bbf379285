#include "cli/noted.h"
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

enum { LIST_MAX = 200 };

/* The packages as far as a line of the ledger has room for them; security updates come first. */
static struct jval *list_of(const struct outdated *o)
{
	struct jval *list = jval_array();

	for (int security = 1; security >= 0; security--)
		for (size_t i = 0; i < o->all.n && jval_len(list) < LIST_MAX; i++) {
			const struct pending_package *p = o->all.v[i];
			struct jval *v, *advisories;

			if (p->candidate == NULL || p->security != (security == 1))
				continue;
			v = jval_object();
			advisories = jval_array();
			for (size_t k = 0; k < p->advisories.n && k < 4; k++)
				jval_push(advisories, jval_text(p->advisories.v[k]));
			jval_put_text(v, "package", p->name);
			jval_put_text(v, "version", p->version);
			jval_put_text(v, "candidate", p->candidate);
			jval_put(v, "security", jval_bool(p->security));
			jval_put(v, "advisories", advisories);
			jval_push(list, v);
		}
	return list;
}

static int note(const struct args *a, const struct outdated *o, struct err *e)
{
	struct jval *v = jval_object();

	jval_put_text(v, "object", o->object);
	jval_put_text(v, "recipe", o->recipe);
	jval_put_text(v, "version", o->version);
	jval_put_int(v, "packages", (int64_t)o->all.n);
	jval_put_int(v, "behind", (int64_t)o->behind);
	jval_put_int(v, "security", (int64_t)o->security);
	jval_put(v, "list", list_of(o));
	return noted_of(a, "outdated", &o->image, v, e);
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
	if (note(a, &o, e) != 0)
		return -1;
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
