#include "cli/screen.h"
#include "cli/verb.h"

#include "import/import.h"
#include "recipe/recipe.h"
#include "sys/fs.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { REPORT_MAX = 64 << 20 };

static const struct opt opts[] = {
    {'o', "output", "DIR", "Write NAME.yaml and NAME.d there (default: recipes)."},
    {0, "name", "NAME", "What the image is called (default: from the file's name)."},
    {0, "base", "RECIPE", "Extend this, relative to the recipe, instead of naming a base."},
    {0, "release", "N", "kickstart: the EL release to go to, 7, 8 or 9 (the default)."},
    {0, "repository-names", "FILE", "A lock, or lines with the names that the repositories have."},
    {0, "context", "DIR", "dockerfile: what COPY and ADD read (default: the file's directory)."},
    {0, "arg", "NAME=VALUE", "dockerfile: the value of an ARG (may be repeated)."},
    {0, "fail-on", "SEVERITY", "Refuse at info, warning, error or never (the default)."},
    {0, "force", NULL, "Replace what an import has written before."},
    {0, "dry-run", NULL, "Say what would be found, and write nothing."},
    {0, "json", NULL, "Print findings and account as JSON."},
    {0, NULL, NULL, NULL},
};

/* What the recipe calls its own directory: the way from the project's root, which is the parent of
 * the nearest directory named "recipes"; "" when there is none. The caller owns it. */
static char *way_from_root(const char *dir)
{
	char *real SCOPED(mem_freep) = realpath(dir, NULL);
	char *cwd SCOPED(mem_freep) = getcwd(NULL, 0);
	char *joined SCOPED(mem_freep) = fs_join(cwd != NULL ? cwd : "", dir);
	char *whole SCOPED(mem_freep) = mem_format("%s/", real != NULL ? real : joined);
	const char *last = NULL;

	for (const char *p = strstr(whole, "/recipes/"); p != NULL; p = strstr(p + 1, "/recipes/"))
		last = p;
	return mem_strdup(last != NULL ? last + 1 : "");
}

/* Whether the recipe may be built as it is; "" or what is missing. */
static void check_recipe(const char *path, char *why, size_t n)
{
	struct recipe *r SCOPED(recipe_freep) = NULL;
	struct err e = ERR_INIT;

	why[0] = '\0';
	if (recipe_load(path, &r, &e) != 0)
		(void)snprintf(why, n, "%s", e.msg);
}

static void print_json(const struct import *im, const char *path, const char *why)
{
	struct jval *v SCOPED(jval_freep) = import_json(im);

	if (path != NULL) {
		jval_put_text(v, "recipe", path);
		jval_put(v, "loads", jval_bool(why[0] == '\0'));
		if (why[0] != '\0')
			jval_put_text(v, "wants", why);
	}
	screen_json(v);
}

static int print(const struct args *a, const struct import *im, const char *path, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(REPORT_MAX);
	char why[1024] = "";

	if (path != NULL)
		check_recipe(path, why, sizeof(why));
	if (args_has(a, "json")) {
		print_json(im, path, why);
		return 0;
	}
	import_report(im, &b);
	if (buf_over(&b))
		return err_set(e, ERR_FAIL, "the report is larger than 64 MiB");
	screen_plain(b.data);
	(void)fputs(b.data, stdout);
	if (path != NULL)
		printf("recipe: %s%s%s\n", path, why[0] != '\0' ? "; it still wants: " : "", why);
	return 0;
}

static int read_options(const struct args *a, struct import_opts *o, struct strv *values,
			enum import_severity *fail_on, struct err *e)
{
	const char *word = args_get(a, "fail-on");

	*fail_on = IMPORT_NEVER;
	if (word != NULL && import_severity_parse(word, fail_on) != 0)
		return err_set(e, ERR_USAGE, "--fail-on: info, warning, error or never, not %s",
			       word);
	for (size_t i = 0; args_nth(a, "arg", i) != NULL; i++) {
		strv_add(values, args_nth(a, "arg", i));
		if (strchr(values->v[i], '=') == NULL)
			return err_set(e, ERR_USAGE, "--arg wants NAME=VALUE, not %s",
				       values->v[i]);
	}
	*o = (struct import_opts){.name = args_get(a, "name"),
				  .base = args_get(a, "base"),
				  .release = args_get(a, "release"),
				  .names = args_get(a, "repository-names"),
				  .context = args_get(a, "context"),
				  .args = values,
				  .below = ""};
	return 0;
}

static int read_file(const struct args *a, const struct import_opts *o, struct import **ret,
		     struct err *e)
{
	const char *kind = a->rest.v[0];

	if (strcmp(kind, "kickstart") == 0)
		return import_kickstart(a->rest.v[1], o, ret, e);
	if (strcmp(kind, "dockerfile") == 0)
		return import_dockerfile(a->rest.v[1], o, ret, e);
	(void)err_set(e, ERR_USAGE, "no such thing to import: %s", kind);
	return err_hint(e, "kickstart FILE or dockerfile FILE");
}

static int import_file(const struct args *a, struct strv *values, struct err *e)
{
	struct import *im SCOPED(import_freep) = NULL;
	const char *dir = args_get(a, "output") != NULL ? args_get(a, "output") : "recipes";
	char *below SCOPED(mem_freep) = way_from_root(dir);
	char *path SCOPED(mem_freep) = NULL;
	enum import_severity fail_on;
	struct import_opts o;

	if (read_options(a, &o, values, &fail_on, e) != 0)
		return -1;
	o.below = below;
	o.dir = dir;
	if (read_file(a, &o, &im, e) != 0)
		return -1;
	if (!args_has(a, "dry-run")) {
		if (import_write(im, dir, args_has(a, "force"), e) != 0)
			return -1;
		path = mem_format("%s/%s.yaml", dir, import_name(im));
	}
	if (print(a, im, path, e) != 0)
		return -1;
	if (import_has(im, fail_on))
		return err_set(e, ERR_VERIFY, "there are findings of severity %s or more",
			       import_severity_name(fail_on));
	return 0;
}

static int run(const struct args *a, struct err *e)
{
	struct strv values = {0};
	int rc = import_file(a, &values, e);

	strv_release(&values);
	return rc;
}

const struct verb verb_import = {
    .name = "import",
    .args = "kickstart FILE | dockerfile FILE",
    .help = "Turn an existing kickstart or Dockerfile into a recipe, with findings.",
    .min = 2,
    .max = 2,
    .opts = opts,
    .run = run,
};
