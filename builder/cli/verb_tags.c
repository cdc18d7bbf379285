#include "cli/object.h"
#include "cli/screen.h"
#include "cli/verb.h"

#include <stdio.h>
#include <string.h>

static const struct opt tags_opts[] = {
    OBJECT_PLAIN,
    {0, "signatures", NULL, "Show the tags of signatures too."},
    {0, "json", NULL, "Print the tags as JSON."},
    {0, NULL, NULL, NULL},
};

static const struct opt delete_opts[] = {
    {0, "keep", "N", "Remove all but the N newest tags of the repository."},
    {0, "match", "PATTERN", "With --keep: look only at tags like this."},
    OBJECT_PLAIN,
    {0, "dry-run", NULL, "With --keep: only say what would go."},
    {0, "json", NULL, "Print what is gone as JSON."},
    {0, NULL, NULL, NULL},
};

static int place(const char *text, struct ref *ret, struct err *e)
{
	struct ref r SCOPED(ref_release) = {0};

	if (ref_parse(text, &r, e) != 0)
		return -1;
	if (r.kind != REF_DOCKER && r.kind != REF_S3)
		return err_set(e, ERR_USAGE, "%s: wants a repository of a registry or a bucket",
			       text);
	*ret = r;
	r = (struct ref){0};
	return 0;
}

static void show(const struct args *a, const char *key, const struct strv *list)
{
	struct jval *v SCOPED(jval_freep) = jval_object();
	struct jval *out = jval_array();

	for (size_t i = 0; i < list->n; i++)
		jval_push(out, jval_text(list->v[i]));
	jval_put(v, key, out);
	if (args_has(a, "json"))
		screen_json(v);
	for (size_t i = 0; i < list->n && !args_has(a, "json"); i++)
		puts(list->v[i]);
}

/* Signatures' tags begin with the digest of what they sign. */
static bool of_image(const char *tag)
{
	return strncmp(tag, "sha256-", 7) != 0;
}

static int tags(const struct args *a, struct err *e)
{
	const struct remote_opts o = object_remote(a);
	struct ref at SCOPED(ref_release) = {0};
	struct strv all SCOPED(strv_release) = {0}, shown SCOPED(strv_release) = {0};

	if (place(a->rest.v[0], &at, e) != 0 || remote_tags(&at, &o, &all, e) != 0)
		return -1;
	for (size_t i = 0; i < all.n; i++)
		if (args_has(a, "signatures") || of_image(all.v[i]))
			strv_add(&shown, all.v[i]);
	show(a, "tags", &shown);
	return 0;
}

const struct verb verb_tags = {
    .name = "tags",
    .args = "docker://HOST/REPO",
    .help = "List the tags of a repository.",
    .min = 1,
    .max = 1,
    .opts = tags_opts,
    .run = tags,
};

static int retain(const struct args *a, const struct ref *at, struct err *e)
{
	const struct remote_opts o = object_remote(a);
	struct remote_keep keep = {.match = args_get(a, "match"),
				   .dry_run = args_has(a, "dry-run")};
	struct strv gone SCOPED(strv_release) = {0};

	if (at->tag[0] != '\0' || at->has_digest)
		return err_set(e, ERR_USAGE, "--keep wants a repository without a tag");
	if (args_num(a, "keep", 1000000, &keep.newest, e) != 0)
		return -1;
	if (keep.newest == 0)
		return err_set(e, ERR_USAGE, "--keep wants at least 1");
	if (remote_retain(at, &o, &keep, &gone, e) != 0)
		return -1;
	show(a, "deleted", &gone);
	return 0;
}

static int delete_run(const struct args *a, struct err *e)
{
	const struct remote_opts o = object_remote(a);
	struct ref at SCOPED(ref_release) = {0};
	struct strv gone SCOPED(strv_release) = {0};

	if (place(a->rest.v[0], &at, e) != 0)
		return -1;
	if (args_has(a, "keep"))
		return retain(a, &at, e);
	if (args_has(a, "match") || args_has(a, "dry-run"))
		return err_set(e, ERR_USAGE, "--match and --dry-run go with --keep");
	if (remote_delete(&at, &o, &gone, e) != 0)
		return -1;
	show(a, "deleted", &gone);
	return 0;
}

const struct verb verb_delete = {
    .name = "delete",
    .args = "docker://HOST/REPO[:TAG|@DIGEST]",
    .help = "Remove an image and what is attached to it, or all but the newest.",
    .min = 1,
    .max = 1,
    .opts = delete_opts,
    .run = delete_run,
};
