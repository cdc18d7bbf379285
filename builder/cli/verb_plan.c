#include "cli/input.h"
#include "cli/screen.h"
#include "cli/verb.h"

#include "base/num.h"
#include "plan/layering.h"
#include "plan/plan.h"
#include <stdio.h>
#include <string.h>

static const struct opt opts[] = {
    {0, "lock", "FILE", "Use this lock (default: the recipe's name with .lock)."},
    {0, "json", NULL, "Print the plan as JSON."},
    {0, NULL, NULL, NULL},
};

static void print_stage(const struct plan_stage *st)
{
	if (st->cached)
		printf("%-24s cached\n", st->name);
	else if (!st->needed)
		printf("%-24s not needed, the image is there\n", st->name);
	else if (st->captured)
		printf("%-24s will unpack its captured output: %s\n", st->name, st->why);
	else if (st->maybe)
		printf("%-24s may run: %s (not if that comes out as before)\n", st->name, st->why);
	else
		printf("%-24s will run: %s\n", st->name, st->why);
}

void plan_print(const struct plan *p)
{
	char *size SCOPED(mem_freep) = num_human(p->fetch_bytes);

	if (p->fetch_n > 0)
		printf("%-24s %zu files, %s\n", "fetch", p->fetch_n, size);
	else
		printf("%-24s nothing, all is in the store\n", "fetch");
	for (size_t i = 0; i < p->n; i++)
		print_stage(&p->v[i]);
}

static int run(const struct args *a, struct err *e)
{
	struct recipe *r SCOPED(recipe_freep) = NULL;
	struct lock *l SCOPED(lock_freep) = NULL;
	struct store *s SCOPED(store_freep) = NULL;
	struct plan p SCOPED(plan_release) = {0};

	if (input_locked(a, &r, &l, e) != 0 || input_store(a, &s, e) != 0 ||
	    plan_check_profiles(r, e) != 0 || plan_make(r, l, s, &p, e) != 0)
		return -1;
	if (args_has(a, "json")) {
		struct jval *v SCOPED(jval_freep) = plan_json(&p);

		if (strcmp(r->layer_plan, "history") == 0)
			jval_put(v, "layers", layering_json(l, r->layer_budget));
		screen_json(v);
	} else {
		plan_print(&p);
	}
	return 0;
}

const struct verb verb_plan = {
    .name = "plan",
    .args = "RECIPE",
    .help = "Show what a build would run, what is cached, and why not.",
    .min = 1,
    .max = 1,
    .opts = opts,
    .run = run,
};
