#include "cli/input.h"
#include "cli/screen.h"
#include "cli/verb.h"

#include "base/num.h"
#include "keep/keep.h"
#include "sandbox/sandbox.h"
#include "store/check.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BUILDS = 3, REMEMBERED = 5, MOST = 1000 };

static const struct opt opts[] = {
    {0, "repair", NULL, "verify: move wrong blobs to damaged/; a build then gets new ones."},
    {0, "lock", "FILE", "gc, list: keep what it names (default: recipes/*.lock; repeatable)."},
    {0, "layout", "DIR", "gc, list: also keep what this layout's tags name (repeatable)."},
    {0, "keep", "N", "gc, list: keep images and stages of the last N builds (default: 3)."},
    {0, "remember", "N", "gc, list: keep packages of the last N locks of a recipe (default: 5)."},
    {0, "dry-run", NULL, "gc: say what would be removed, and remove nothing."},
    {0, "json", NULL, "Print the outcome as JSON."},
    {0, NULL, NULL, NULL},
};

static void report_json(const struct store_report *r, bool repaired)
{
	struct jval *v SCOPED(jval_freep) = jval_object();
	struct jval *wrong = jval_array(), *left = jval_array();

	for (size_t i = 0; i < r->wrong_n; i++) {
		struct jval *o = jval_object();

		jval_put_text(o, "name", r->wrong[i].name);
		jval_put_text(o, "why", r->wrong[i].why);
		jval_push(wrong, o);
	}
	for (size_t i = 0; i < r->leftovers.n; i++)
		jval_push(left, jval_text(r->leftovers.v[i]));
	jval_put_int(v, "blobs", (int64_t)r->blobs);
	jval_put_int(v, "bytes", (int64_t)r->bytes);
	jval_put(v, "wrong", wrong);
	jval_put(v, "repaired", jval_bool(repaired && r->wrong_n > 0));
	jval_put_int(v, "downloads", (int64_t)r->partial_n);
	jval_put(v, "leftovers", left);
	screen_json(v);
}

static void report_text(const struct store_report *r, bool repaired)
{
	char *size SCOPED(mem_freep) = num_human(r->bytes);

	for (size_t i = 0; i < r->wrong_n; i++)
		printf("%s %s%s\n", r->wrong[i].name, r->wrong[i].why,
		       repaired ? "; now in damaged/" : "");
	printf("%zu blobs, %s: right; %zu wrong\n", r->blobs, size, r->wrong_n);
	if (r->partial_n > 0)
		printf("%zu downloads to be resumed\n", r->partial_n);
	for (size_t i = 0; i < r->leftovers.n; i++)
		printf("tmp/%s: left by a process that is no more\n", r->leftovers.v[i]);
}

static int verify(const struct args *a, struct store *s, struct err *e)
{
	struct store_report r SCOPED(store_report_release) = {0};
	bool repair = args_has(a, "repair");
	int hold SCOPED(fd_closep) = -1;

	if ((repair ? store_alone(s, &hold, e) : store_share(s, &hold, e)) != 0 ||
	    store_check(s, repair, &r, e) != 0)
		return -1;
	if (args_has(a, "json"))
		report_json(&r, repair);
	else
		report_text(&r, repair);
	if (r.wrong_n == 0 || repair)
		return 0;
	(void)err_set(e, ERR_VERIFY, "store %s: %zu of its blobs wrong", store_path(s), r.wrong_n);
	return err_hint(e, "run posmedia store verify --repair; builds then get them anew");
}

/* --lock, else every lock of recipes/. */
static int find_locks(const struct args *a, struct strv *ret, struct err *e)
{
	struct strv names SCOPED(strv_release) = {0};
	const char *given;

	for (size_t i = 0; (given = args_nth(a, "lock", i)) != NULL; i++)
		strv_add(ret, given);
	if (ret->n > 0 || access("recipes", F_OK) != 0)
		return 0;
	if (fs_list(AT_FDCWD, "recipes", &names, e) != 0)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		const char *dot = strrchr(names.v[i], '.');

		if (dot != NULL && strcmp(dot, ".lock") == 0)
			strv_addf(ret, "recipes/%s", names.v[i]);
	}
	return 0;
}

static int scan(const struct args *a, struct store *s, struct keep_list *ret, struct err *e)
{
	struct strv locks SCOPED(strv_release) = {0}, layouts SCOPED(strv_release) = {0};
	struct keep_opts o = {.locks = &locks, .layouts = &layouts};
	uint64_t builds = BUILDS, remembered = REMEMBERED;
	const char *dir;

	if (args_num(a, "keep", MOST, &builds, e) != 0 ||
	    args_num(a, "remember", MOST, &remembered, e) != 0 || find_locks(a, &locks, e) != 0)
		return -1;
	if (locks.n == 0 && strcmp(a->rest.v[0], "gc") == 0) {
		(void)err_set(e, ERR_USAGE, "store gc: no lock here says which packages to keep");
		return err_hint(e, "run it where recipes/ is, or name each lock with --lock");
	}
	for (size_t i = 0; (dir = args_nth(a, "layout", i)) != NULL; i++)
		strv_add(&layouts, dir);
	o.builds = (size_t)builds;
	o.remembered = (size_t)remembered;
	return keep_scan(s, &o, ret, e);
}

/* Every kind that there is something of, and the sum: "needed" and "free" count separately. */
static void print_text(const struct keep_list *l, const char *free_word)
{
	struct keep_sum all = {0};
	char *sum SCOPED(mem_freep) = NULL;

	printf("%-12s %8s %10s   %8s\n", "", "needed", "", free_word);
	for (enum keep_kind k = 0; k < KEEP_KINDS; k++) {
		struct keep_sum in = keep_sum(l, k, true), out = keep_sum(l, k, false);
		char *x SCOPED(mem_freep) = num_human(in.bytes);
		char *y SCOPED(mem_freep) = num_human(out.bytes);

		if (in.n + out.n > 0)
			printf("%-12s %8zu %10s   %8zu %10s\n", keep_kind_name(k), in.n, x, out.n,
			       y);
		all.n += out.n;
		all.bytes += out.bytes;
	}
	sum = num_human(all.bytes);
	printf("%s: %zu, %s\n", free_word, all.n, sum);
}

static void print_json(const struct keep_list *l, const char *free_word)
{
	struct jval *v SCOPED(jval_freep) = jval_object();

	for (enum keep_kind k = 0; k < KEEP_KINDS; k++) {
		struct jval *kind = jval_object();

		for (int needed = 0; needed < 2; needed++) {
			struct keep_sum sum = keep_sum(l, k, needed);
			struct jval *o = jval_object();

			jval_put_int(o, "count", (int64_t)sum.n);
			jval_put_int(o, "bytes", (int64_t)sum.bytes);
			jval_put(kind, needed ? "needed" : free_word, o);
		}
		jval_put(v, keep_kind_name(k), kind);
	}
	screen_json(v);
}

static void print(const struct args *a, const struct keep_list *l, const char *free_word)
{
	if (args_has(a, "json"))
		print_json(l, free_word);
	else
		print_text(l, free_word);
}

/* Files of subordinate ids can be seen and removed only with those ids. */
static int enter(struct err *e)
{
	return geteuid() != 0 ? sandbox_enter(e) : 0;
}

static int list(const struct args *a, struct store *s, struct err *e)
{
	struct keep_list l SCOPED(keep_release) = {0};
	int hold SCOPED(fd_closep) = -1;

	if (enter(e) != 0 || store_share(s, &hold, e) != 0 || scan(a, s, &l, e) != 0)
		return -1;
	print(a, &l, "free");
	return 0;
}

static int gc(const struct args *a, struct store *s, struct err *e)
{
	struct keep_list l SCOPED(keep_release) = {0};
	int hold SCOPED(fd_closep) = -1;

	if (args_has(a, "dry-run"))
		return list(a, s, e);
	if (enter(e) != 0 || store_alone(s, &hold, e) != 0 || scan(a, s, &l, e) != 0 ||
	    keep_remove(s, &l, e) != 0)
		return -1;
	print(a, &l, "freed");
	return 0;
}

static const struct action {
	const char *name;
	const char *options; /* of its own, each between blanks */
	int (*run)(const struct args *a, struct store *s, struct err *e);
} actions[] = {
    {"gc", " lock layout keep remember dry-run json ", gc},
    {"list", " lock layout keep remember json ", list},
    {"verify", " repair json ", verify},
};

static int check_options(const struct args *a, const struct action *act, struct err *e)
{
	for (const struct opt *o = opts; o->name != NULL; o++) {
		char *word SCOPED(mem_freep) = mem_format(" %s ", o->name);

		if (args_has(a, o->name) && strstr(act->options, word) == NULL)
			return err_set(e, ERR_USAGE, "store %s: --%s is of no use here", act->name,
				       o->name);
	}
	return 0;
}

static int run(const struct args *a, struct err *e)
{
	struct store *s SCOPED(store_freep) = NULL;

	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		if (strcmp(actions[i].name, a->rest.v[0]) != 0)
			continue;
		if (check_options(a, &actions[i], e) != 0 || input_store(a, &s, e) != 0)
			return -1;
		return actions[i].run(a, s, e);
	}
	(void)err_set(e, ERR_USAGE, "store %s: no such action", a->rest.v[0]);
	return err_hint(e, "store list, store verify or store gc");
}

const struct verb verb_store = {
    .name = "store",
    .args = "list | verify | gc",
    .help = "Show what lies in the store, check it, or remove what nobody needs.",
    .min = 1,
    .max = 1,
    .opts = opts,
    .run = run,
};
