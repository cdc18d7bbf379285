#include "cli/input.h"
#include "cli/screen.h"
#include "cli/verb.h"

#include "base/log.h"
#include "package/archive.h"
#include "package/snapshot.h"
#include "plan/relock.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct opt opts[] = {
    {0, "lock", "FILE", "Write this file (default: the recipe's name with .lock)."},
    {'u', "update", NULL, "Take the newest versions; else those of a lock that still fit stay."},
    {0, "match", "MANIFEST",
     "Take the packages of a server, in its versions, by its list of them."},
    {0, "nearest", NULL, "With --match: where a version is gone, take the nearest one."},
    {0, "snapshot", "TIME", "Take packages as they were then: YYYY-MM-DD[THH:MM:SSZ]."},
    {0, "replan", NULL, "Plan the layers of the packages anew, whatever they were."},
    {0, "dry-run", NULL, "Say what would change, and write nothing."},
    {0, "json", NULL, "Print the outcome as JSON."},
    {0, NULL, NULL, NULL},
};

/* What the verb is about; zeroed before. */
struct job {
	const struct args *a;
	struct recipe *r;
	struct lock *before;
	char *path;
	struct store *s;
	struct inventory list;
	struct match match;
	struct relock_opts o;
};

static void job_release(struct job *j)
{
	strv_release(&j->o.ask.times);
	match_release(&j->match);
	inventory_release(&j->list);
	store_free(j->s);
	lock_free(j->before);
	recipe_free(j->r);
	free(j->path);
}

/* What cannot be had, for people. */
static void report_missing(const struct job *j)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(64 << 20);

	if (j->o.ask.match == NULL)
		return;
	match_report(&j->match, &b);
	screen_plain(b.data);
	(void)fputs(b.data, stdout);
}

/* What the solver was asked about: id and digest. */
static struct jval *seen_json(const struct relocked *got)
{
	struct jval *v = jval_object();

	for (size_t i = 0; i < got->seen_n; i++)
		jval_put_text(v, got->seen[i].id, got->seen[i].release);
	return v;
}

static void report(const struct job *j, const struct lock *l, const struct relocked *got,
		   bool fresh)
{
	struct jval *v SCOPED(jval_freep) = jval_object();
	struct jval *list = jval_array();
	const struct strv *changes = &got->changes;

	for (size_t i = 0; i < changes->n; i++)
		jval_push(list, jval_text(changes->v[i]));
	jval_put(v, "repositories", seen_json(got));
	jval_put_text(v, "lock", j->path);
	jval_put_int(v, "packages", (int64_t)l->packages_n);
	jval_put(v, "changes", list);
	jval_put(v, "up-to-date", jval_bool(fresh));
	if (j->o.ask.match != NULL)
		jval_put(v, "match", match_json(&j->match));
	if (args_has(j->a, "json")) {
		screen_json(v);
		return;
	}
	for (size_t i = 0; i < changes->n; i++)
		puts(changes->v[i]);
	report_missing(j);
	printf("%s: %zu packages, %zu media%s\n", j->path, l->packages_n, l->media_n,
	       fresh ? ", up to date" : "");
}

/* What a failed match is about is a result too. */
static void report_failed(const struct job *j)
{
	struct jval *v SCOPED(jval_freep) = jval_object();

	if (j->o.ask.match == NULL || match_missing(&j->match) == 0)
		return;
	jval_put(v, "match", match_json(&j->match));
	if (args_has(j->a, "json"))
		screen_json(v);
	else
		report_missing(j);
}

static bool same_lock(const struct lock *a, const struct lock *b)
{
	struct digest x = lock_digest(a), y = lock_digest(b);

	return digest_equal(&x, &y);
}

static int save(const struct job *j, const struct lock *l, struct err *e)
{
	if (lock_save(l, j->path, e) != 0)
		return -1;
	return archive_keep(j->s, j->r, l, e);
}

static int resolve(struct job *j, struct err *e)
{
	struct relocked got SCOPED(relocked_release) = {0};
	bool fresh;

	log_info("resolving the packages of %s", j->a->rest.v[0]);
	if (input_store(j->a, &j->s, e) != 0)
		return -1;
	j->o.ask.store = j->s;
	if (relock(j->r, &j->o, j->s, &got, e) != 0) {
		report_failed(j);
		return -1;
	}
	fresh = j->before != NULL && same_lock(j->before, got.lock);
	if (!fresh && !args_has(j->a, "dry-run") && save(j, got.lock, e) != 0)
		return -1;
	for (size_t i = 0; i < got.unrecorded.n; i++)
		log_info("step %s: nothing recorded yet: build, then lock again",
			 got.unrecorded.v[i]);
	report(j, got.lock, &got, fresh);
	return 0;
}

static int read_manifest(struct job *j, struct err *e)
{
	const char *path = args_get(j->a, "match");
	struct buf text SCOPED(buf_release) = BUF_INIT(INVENTORY_MAX);
	enum inventory_kind kind = j->r->base == RECIPE_DNF ? INVENTORY_RPM : INVENTORY_DEB;

	if (path == NULL && args_has(j->a, "nearest"))
		return err_set(e, ERR_USAGE, "--nearest goes with --match");
	if (path == NULL)
		return 0;
	if (fs_get_file(AT_FDCWD, path, &text, e) != 0 ||
	    inventory_parse(path, text.data, text.len, kind, &j->list, e) != 0)
		return -1;
	match_begin(&j->match, path, &j->list, args_has(j->a, "nearest"));
	j->o.ask.match = &j->match;
	return 0;
}

static int read_times(struct job *j, struct err *e)
{
	for (size_t i = 0; args_nth(j->a, "snapshot", i) != NULL; i++) {
		char time[SNAPSHOT_TIME];

		if (i > 0 && j->o.ask.match == NULL)
			return err_set(e, ERR_USAGE, "several --snapshot go with --match");
		if (snapshot_time(args_nth(j->a, "snapshot", i), time, e) != 0)
			return -1;
		strv_add(&j->o.ask.times, time);
	}
	strv_sort(&j->o.ask.times);
	strv_uniq(&j->o.ask.times);
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

static bool asks_anew(const struct job *j)
{
	return j->o.update || j->o.replan || j->o.ask.match != NULL || j->o.ask.times.n > 0;
}

static int run(const struct args *a, struct err *e)
{
	struct job j SCOPED(job_release) = {.a = a, .path = input_lock_path(a)};
	static const struct relocked none;
	struct err stale = ERR_INIT;

	if (recipe_load(a->rest.v[0], &j.r, e) != 0 || read_manifest(&j, e) != 0 ||
	    read_times(&j, e) != 0)
		return -1;
	if (access(j.path, F_OK) == 0 && lock_load(j.path, &j.before, &stale) != 0)
		log_warn("%s; it is made anew", stale.msg);
	j.o.before = j.before;
	j.o.path = j.path;
	j.o.update = args_has(a, "update");
	j.o.replan = args_has(a, "replan");
	if (j.before != NULL && !asks_anew(&j) && !records(j.r) &&
	    lock_check(j.before, j.r, j.path, &stale) == 0) {
		report(&j, j.before, &none, true);
		return 0;
	}
	return resolve(&j, e);
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
