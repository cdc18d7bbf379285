#include "cli/input.h"
#include "cli/screen.h"
#include "cli/verb.h"

#include "base/log.h"
#include "plan/relock.h"
#include <stdio.h>
#include <unistd.h>

static const struct opt opts[] = {
    {0, "lock", "FILE", "Write this file (default: the recipe's name with .lock)."},
    {'u', "update", NULL, "Take the newest versions; else those of a lock that still fit stay."},
    {0, "replan", NULL, "Plan the layers of the packages anew, whatever they were."},
    {0, "dry-run", NULL, "Say what would change, and write nothing."},
    {0, "json", NULL, "Print the outcome as JSON."},
    {0, NULL, NULL, NULL},
};

static void report(const struct args *a, const char *path, const struct lock *l,
		   const struct strv *changes, bool fresh)
{
	struct jval *v SCOPED(jval_freep) = jval_object();
	struct jval *list = jval_array();

	for (size_t i = 0; i < changes->n; i++)
		jval_push(list, jval_text(changes->v[i]));
	jval_put_text(v, "lock", path);
	jval_put_int(v, "packages", (int64_t)l->packages_n);
	jval_put(v, "changes", list);
	jval_put(v, "up-to-date", jval_bool(fresh));
	if (args_has(a, "json")) {
		screen_json(v);
		return;
	}
	for (size_t i = 0; i < changes->n; i++)
		puts(changes->v[i]);
	printf("%s: %zu packages, %zu media%s\n", path, l->packages_n, l->media_n,
	       fresh ? ", up to date" : "");
}

static bool same_lock(const struct lock *a, const struct lock *b)
{
	struct digest x = lock_digest(a), y = lock_digest(b);

	return digest_equal(&x, &y);
}

static int resolve(const struct args *a, const struct recipe *r, const struct lock *before,
		   const char *path, struct err *e)
{
	struct store *s SCOPED(store_freep) = NULL;
	struct relocked got SCOPED(relocked_release) = {0};
	struct relock_opts o = {.before = before,
				.path = path,
				.update = args_has(a, "update"),
				.replan = args_has(a, "replan")};
	bool fresh;

	log_info("resolving the packages of %s", a->rest.v[0]);
	if (input_store(a, &s, e) != 0 || relock(r, &o, s, &got, e) != 0)
		return -1;
	fresh = before != NULL && same_lock(before, got.lock);
	if (!fresh && !args_has(a, "dry-run") && lock_save(got.lock, path, e) != 0)
		return -1;
	for (size_t i = 0; i < got.unrecorded.n; i++)
		log_info("step %s: nothing recorded yet: build, then lock again",
			 got.unrecorded.v[i]);
	report(a, path, got.lock, &got.changes, fresh);
	return 0;
}

/* Whether a build may have recorded what the lock does not have. */
static bool records(const struct recipe *r)
{
	for (size_t i = 0; i < r->steps_n; i++)
		if (r->steps[i].network)
			return true;
	return false;
}

static int run(const struct args *a, struct err *e)
{
	struct recipe *r SCOPED(recipe_freep) = NULL;
	struct lock *before SCOPED(lock_freep) = NULL;
	struct strv none = {0};
	struct err stale = ERR_INIT;
	char *path SCOPED(mem_freep) = input_lock_path(a);

	if (recipe_load(a->rest.v[0], &r, e) != 0)
		return -1;
	if (access(path, F_OK) == 0 && lock_load(path, &before, &stale) != 0)
		log_warn("%s; it is made anew", stale.msg);
	if (before != NULL && !args_has(a, "update") && !args_has(a, "replan") && !records(r) &&
	    lock_check(before, r, path, &stale) == 0) {
		report(a, path, before, &none, true);
		return 0;
	}
	return resolve(a, r, before, path, e);
}

const struct verb verb_lock = {
    .name = "lock",
    .args = "RECIPE",
    .help = "Resolve a recipe to exact packages and media in its lock file.",
    .min = 1,
    .max = 1,
    .opts = opts,
    .run = run,
};
