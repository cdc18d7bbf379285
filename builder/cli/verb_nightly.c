#include "cli/input.h"
#include "cli/noted.h"
#include "cli/screen.h"
#include "cli/verb.h"

#include "nightly/nightly.h"
#include "sys/fs.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct opt opts[] = {
    {0, "only", "RECIPE", "Only this one, by its file's name without .yaml (may be repeated)."},
    {0, "worker", NULL, "Do the one recipe of --only in this process: no report, no mail."},
    {0, "submit", "ENGINE", "Give a job for each recipe to slurm or kubernetes instead."},
    {0, "night", "ID", "Of the jobs that were submitted together: what --submit names."},
    {0, "collect", NULL, "Report what the jobs have left, as a night does at its end."},
    {0, "junit", "FILE", "Write the summary as JUnit XML, too."},
    {0, "dry-run", NULL, "List the recipes, or print the jobs, and do nothing."},
    {0, "json", NULL, "Print the summary as JSON."},
    {0, NULL, NULL, NULL},
};

enum { NIGHT_MAX = 64 };

/* What was asked for, for the processes that do it. */
struct asked {
	struct nightly *n;
	struct strv only, options;
	char *store, *ledger, *file; /* absolute; file: NULL = as it is given */
	struct nightly_how how;
};

static void asked_release(struct asked *q)
{
	nightly_free(q->n);
	strv_release(&q->only);
	strv_release(&q->options);
	free(q->store);
	free(q->ledger);
	free(q->file);
}

static int absolute(const char *path, char **ret, struct err *e)
{
	char here[PATH_MAX];

	if (getcwd(here, sizeof(here)) == NULL)
		return err_sys(e, "find the working directory");
	*ret = fs_join(here, path);
	return 0;
}

static bool night_ok(const char *s)
{
	static const char may[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-";
	size_t n = strspn(s, may);

	return n > 0 && n <= NIGHT_MAX && s[n] == '\0';
}

static int read_asked(const struct args *a, struct asked *q, struct err *e)
{
	char *ledger SCOPED(mem_freep) = noted_dir(a);
	const char *format = args_get(a, "log"), *one;

	if (args_has(a, "night") && !night_ok(args_get(a, "night")))
		return err_set(e, ERR_USAGE, "--night: no name of a night");
	for (size_t i = 0; (one = args_nth(a, "only", i)) != NULL; i++)
		strv_add(&q->only, one);
	if (args_has(a, "worker") && q->only.n != 1)
		return err_set(e, ERR_USAGE, "--worker wants one --only RECIPE");
	if (args_has(a, "verbose"))
		strv_add(&q->options, "--verbose");
	if (format != NULL)
		strv_addf(&q->options, "--log=%s", format);
	if (absolute(input_store_path(a), &q->store, e) != 0 ||
	    absolute(ledger, &q->ledger, e) != 0)
		return -1;
	q->how = (struct nightly_how){.program = "/proc/self/exe",
				      .store = q->store,
				      .ledger = q->ledger,
				      .night = args_get(a, "night"),
				      .only = &q->only,
				      .options = &q->options};
	/* jobs on other machines begin in another directory */
	if (args_has(a, "submit") && absolute(a->rest.v[0], &q->file, e) != 0)
		return -1;
	return nightly_load(q->file != NULL ? q->file : a->rest.v[0], &q->n, e);
}

static int put_junit(const struct args *a, const struct nightly *n, const struct nightly_result *r,
		     struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(16 << 20);
	const char *path = args_get(a, "junit");

	if (path == NULL)
		return 0;
	nightly_junit(n, r, &b);
	return fs_put_path(path, b.data, b.len, 0644, e);
}

static void print(const struct args *a, const struct nightly *n, const struct nightly_result *r)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(16 << 20);

	if (args_has(a, "json")) {
		struct jval *v SCOPED(jval_freep) = nightly_json(n, r);

		screen_json(v);
		return;
	}
	nightly_text(n, r, &b);
	screen_plain(b.data);
	(void)fputs(b.data, stdout);
}

static int list(const struct asked *q)
{
	for (size_t i = 0; i < q->n->recipes_n; i++)
		printf("%s %s\n", q->n->recipes[i].key, q->n->recipes[i].path);
	return 0;
}

/* This process is the recipe's: whoever reads the answer takes the status from it, too. */
static int work(const struct args *a, const struct asked *q, struct err *e)
{
	const struct nightly_recipe *r = nightly_find(q->n, q->only.v[0]);
	struct nightly_result res SCOPED(nightly_result_release) = {0};

	if (r == NULL)
		return err_set(e, ERR_USAGE, "--only %s: no such recipe", q->only.v[0]);
	res.v = mem_zalloc(sizeof(*res.v));
	res.n = 1;
	nightly_one(q->n, r, &q->how, &res.v[0]);
	print(a, q->n, &res);
	return nightly_gate(&res, e);
}

/* What became of recipes whose own process could not tell, since it was killed. */
static int note(const struct args *a, const struct nightly *n, const struct nightly_result *r,
		struct err *e)
{
	for (size_t i = 0; i < r->n; i++) {
		struct jval *v = NULL;

		if (r->v[i].status == NIGHTLY_UNCHANGED || r->v[i].told)
			continue;
		v = jval_object();
		jval_put_text(v, "nightly", n->name);
		jval_put_text(v, "recipe", r->v[i].key);
		jval_put_text(v, "tag", r->v[i].tag);
		jval_put_text(v, "outcome", r->v[i].status == NIGHTLY_FAILED ? "failed" : "built");
		jval_put_text(v, "step", r->v[i].step);
		if (noted_of(a, "nightly", NULL, v, e) != 0)
			return -1;
	}
	return noted_mirror(a, e);
}

static int submit(const struct args *a, const struct asked *q, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(64 << 20);
	const struct nightly_submit s = {
	    .engine = args_get(a, "submit"), .dry = args_has(a, "dry-run"), .named = q->only.n > 0};

	if (nightly_submit(q->n, &q->how, &s, &b, e) != 0)
		return -1;
	screen_plain(b.data);
	(void)fputs(b.data, stdout);
	return 0;
}

static int run(const struct args *a, struct err *e)
{
	struct asked q SCOPED(asked_release) = {0};
	struct nightly_result res SCOPED(nightly_result_release) = {0};

	if (read_asked(a, &q, e) != 0)
		return -1;
	if (args_has(a, "submit"))
		return submit(a, &q, e);
	if (args_has(a, "dry-run"))
		return list(&q);
	if (args_has(a, "worker"))
		return work(a, &q, e);
	if ((args_has(a, "collect") ? nightly_collect(q.n, &q.how, &res, e)
				    : nightly_run(q.n, &q.how, &res, e)) != 0 ||
	    put_junit(a, q.n, &res, e) != 0)
		return -1;
	print(a, q.n, &res);
	return note(a, q.n, &res, e) == 0 ? nightly_gate(&res, e) : -1;
}

const struct verb verb_nightly = {
    .name = "nightly",
    .args = "FILE.yaml",
    .help = "Bring many recipes up to date: lock, build, judge, sign, push, compare, report.",
    .min = 1,
    .max = 1,
    .opts = opts,
    .run = run,
};
