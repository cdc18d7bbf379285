#include "cli/noted.h"
#include "cli/object.h"
#include "cli/screen.h"
#include "cli/verb.h"

#include "keep/holds.h"
#include <stdio.h>
#include <stdlib.h>

static const struct opt opts[] = {
    {0, "keep", "N", "So many of the newest tags stay (required)."},
    {0, "match", "PATTERN", "Look only at tags like this."},
    {0, "hold", "FILE", "Digests that stay, and why, a line each (may be repeated)."},
    {0, "events", "DIR", "Another ledger that says what runs (may be repeated)."},
    {0, "remove", NULL, "Remove them; without it is only said what would go."},
    OBJECT_PLAIN,
    {0, "json", NULL, "Print what goes, and what is held, as JSON."},
    {0, NULL, NULL, NULL},
};

/* What is held, and what of it was there. */
struct look {
	struct holds holds;
	struct map met; /* digest as text -> why, borrowed */
};

static void look_release(struct look *l)
{
	holds_release(&l->holds);
	map_release(&l->met, NULL);
}

static bool held(void *ctx, const struct digest *d)
{
	struct look *l = ctx;
	const char *why = holds_why(&l->holds, d);

	if (why != NULL)
		(void)map_put(&l->met, digest_text(d).s, (char *)(uintptr_t)why);
	return why != NULL;
}

static int read_holds(const struct args *a, struct holds *h, struct err *e)
{
	char *own SCOPED(mem_freep) = noted_dir(a), *sites SCOPED(mem_freep) = noted_site_dir(a);
	const char *one;

	for (size_t i = 0; (one = args_nth(a, "hold", i)) != NULL; i++)
		if (holds_file(h, one, e) != 0)
			return -1;
	for (size_t i = 0; (one = args_nth(a, "events", i)) != NULL; i++)
		if (holds_ledger(h, one, e) != 0)
			return -1;
	return holds_ledger(h, own, e) == 0 ? holds_ledger(h, sites, e) : -1;
}

static void print_json(const struct look *l, const struct strv *gone, bool dry)
{
	struct jval *v SCOPED(jval_freep) = jval_object(), *tags = jval_array();
	struct jval *stays = jval_object();
	const char **keys SCOPED(mem_freep) = map_keys(&l->met);

	for (size_t i = 0; i < gone->n; i++)
		jval_push(tags, jval_text(gone->v[i]));
	for (size_t i = 0; i < l->met.n; i++)
		jval_put_text(stays, keys[i], map_get(&l->met, keys[i]));
	jval_put(v, dry ? "would-go" : "deleted", tags);
	jval_put(v, "held", stays);
	screen_json(v);
}

static void print_text(const struct look *l, const struct strv *gone, bool dry)
{
	const char **keys SCOPED(mem_freep) = map_keys(&l->met);

	for (size_t i = 0; i < gone->n; i++)
		printf("%s %s\n", dry ? "would go" : "gone", gone->v[i]);
	for (size_t i = 0; i < l->met.n; i++) {
		char *why SCOPED(mem_freep) = mem_strdup(map_get(&l->met, keys[i]));

		screen_plain_line(why);
		printf("held     %s %s\n", keys[i], why);
	}
	printf("%zu tags %s\n", gone->n, dry ? "would go; --remove removes them" : "are gone");
}

/* Who removed what is told by the ledger, too. */
static int note(const struct args *a, const struct strv *gone, struct err *e)
{
	struct jval *v, *tags;

	if (gone->n == 0)
		return 0;
	v = jval_object();
	tags = jval_array();
	for (size_t i = 0; i < gone->n; i++)
		jval_push(tags, jval_text(gone->v[i]));
	jval_put_text(v, "repository", a->rest.v[0]);
	jval_put(v, "tags", tags);
	return noted_of(a, "retain", NULL, v, e);
}

static int run(const struct args *a, struct err *e)
{
	const struct remote_opts o = object_remote(a);
	struct ref at SCOPED(ref_release) = {0};
	struct look l SCOPED(look_release) = {0};
	struct strv gone SCOPED(strv_release) = {0};
	bool dry = !args_has(a, "remove");
	struct remote_keep keep = {
	    .match = args_get(a, "match"), .dry_run = dry, .held = held, .ctx = &l};

	if (ref_parse(a->rest.v[0], &at, e) != 0)
		return -1;
	if ((at.kind != REF_DOCKER && at.kind != REF_S3) || at.tag[0] != '\0' || at.has_digest)
		return err_set(e, ERR_USAGE,
			       "%s: wants a repository of a registry or a bucket, without a tag",
			       a->rest.v[0]);
	if (args_num(a, "keep", 1000000, &keep.newest, e) != 0)
		return -1;
	if (keep.newest == 0)
		return err_set(e, ERR_USAGE, "--keep wants at least 1");
	if (read_holds(a, &l.holds, e) != 0 || remote_retain(&at, &o, &keep, &gone, e) != 0)
		return -1;
	if (args_has(a, "json"))
		print_json(&l, &gone, dry);
	else
		print_text(&l, &gone, dry);
	return dry ? 0 : note(a, &gone, e);
}

const struct verb verb_retain = {
    .name = "retain",
    .args = "docker://HOST/REPO | s3://BUCKET/REPO",
    .help = "Say what may go of a repository: old, and neither running nor held nor promoted.",
    .min = 1,
    .max = 1,
    .opts = opts,
    .run = run,
};
