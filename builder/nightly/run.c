/* run.c - all recipes, each in a process of its own, and the reports. */
#include "nightly/parts.h"

#include "base/log.h"
#include "recipe/lock.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include "sys/intr.h"
#include "sys/lock.h"
#include "sys/par.h"
#include "sys/proc.h"
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

struct all {
	const struct nightly *n;
	const struct nightly_how *how;
	const struct nightly_recipe **recipes;
	size_t *order; /* in which they begin */
	struct nightly_outcome *v;
	size_t count;
	int log; /* what workers themselves say, which is little */
	pthread_mutex_t talk;
};

/* The store and the ledger come by the environment, as for every step. */
static void argv_of(const struct all *a, const struct nightly_recipe *r, struct strv *argv)
{
	strv_add(argv, "nightly");
	strv_add(argv, a->n->file);
	strv_addf(argv, "--only=%s", r->key);
	strv_add(argv, "--worker");
	strv_add(argv, "--json");
}

/* What the worker says of itself, or what became of it. */
static void conclude(const struct all *a, const struct stepped *did, const char *key,
		     struct nightly_outcome *o)
{
	const struct jval *said = jval_at(jval_get(did->out, "recipes"), 0);

	if (said == NULL || outcome_parse(said, o) != 0)
		outcome_lost(a->n, a->how, key, did, o);
}

static void say(struct all *a, const struct nightly_outcome *o)
{
	(void)pthread_mutex_lock(&a->talk);
	if (o->status == NIGHTLY_FAILED)
		log_warn("%s: failed: %s: %s", o->key, o->step, o->why);
	else
		log_info("%s: %s", o->key, o->status == NIGHTLY_BUILT ? "built" : "unchanged");
	(void)pthread_mutex_unlock(&a->talk);
}

static void one(void *ctx, size_t turn)
{
	struct all *a = ctx;
	size_t i = a->order[turn];
	const struct nightly_recipe *r = a->recipes[i];
	struct strv argv SCOPED(strv_release) = {0};
	struct stepped did SCOPED(stepped_release) = {0};
	const struct step_spec s = {.how = a->how, .argv = &argv, .log_fd = a->log};
	struct err why = ERR_INIT;

	argv_of(a, r, &argv);
	if (intr_pending() || step_run(&s, &did, &why) != 0) {
		outcome_blank(&a->v[i], r->key);
		outcome_fail(&a->v[i], ERR_FAIL, "worker", "interrupted");
		return;
	}
	conclude(a, &did, r->key, &a->v[i]);
	say(a, &a->v[i]);
}

/* Those that are asked for. */
static int choose(const struct nightly *n, const struct nightly_how *how, struct all *a,
		  struct err *e)
{
	a->recipes = mem_zalloc((n->recipes_n + 1) * sizeof(*a->recipes));
	for (size_t i = 0; i < how->only->n; i++)
		if (nightly_find(n, how->only->v[i]) == NULL) {
			(void)err_set(e, ERR_USAGE, "--only %s: no such recipe in %s",
				      how->only->v[i], n->file);
			return err_hint(e, "It is the name of the recipe's file without .yaml.");
		}
	for (size_t i = 0; i < n->recipes_n; i++)
		if (how->only->n == 0 || strv_has(how->only, n->recipes[i].key))
			a->recipes[a->count++] = &n->recipes[i];
	a->v = mem_zalloc((a->count + 1) * sizeof(*a->v));
	return 0;
}

/* What was looked at in another night does not count in this one. */
static int forget_heads(int state, struct err *e)
{
	return fs_rmtree(state, "heads", e);
}

static int put_report(int dir, const char *name, const struct buf *b, struct err *e)
{
	if (buf_over(b))
		return err_set(e, ERR_FAIL, "%s: larger than %zu bytes", name, b->max);
	return fs_put(dir, name, b->data, b->len, 0644, e);
}

/* The summary of this night, as report.txt, report.json and report.xml. */
static int put_reports(const struct nightly *n, const struct nightly_result *r, int state,
		       struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(16 << 20);
	struct buf json SCOPED(buf_release) = BUF_INIT(16 << 20);
	struct buf xml SCOPED(buf_release) = BUF_INIT(16 << 20);
	struct jval *v SCOPED(jval_freep) = nightly_json(n, r);

	nightly_text(n, r, &text);
	jval_write_pretty(v, &json);
	nightly_junit(n, r, &xml);
	if (put_report(state, "report.txt", &text, e) != 0 ||
	    put_report(state, "report.json", &json, e) != 0)
		return -1;
	return put_report(state, "report.xml", &xml, e);
}

enum { BUILDS_MAX = 1000, BUILDS_EACH = 2 };

/* Adds an option for what is there. */
static void name_if_there(struct strv *argv, const char *option, char *path)
{
	if (access(path, F_OK) == 0)
		strv_addf(argv, "--%s=%s", option, path);
	free(path);
}

/* What no recipe of this night needs goes from the store; that it is at work is no trouble. */
static void prune(const struct all *a)
{
	struct strv argv SCOPED(strv_release) = {0};
	struct stepped did SCOPED(stepped_release) = {0};
	const struct step_spec s = {.how = a->how, .argv = &argv, .log_fd = a->log};
	struct err why = ERR_INIT;
	size_t builds = BUILDS_EACH * a->n->recipes_n, built = 0;

	for (size_t i = 0; i < a->count; i++)
		built += a->v[i].status == NIGHTLY_BUILT;
	if (!a->n->prune || built == 0)
		return;
	strv_add(&argv, "store");
	strv_add(&argv, "gc");
	strv_addf(&argv, "--keep=%zu", builds < BUILDS_MAX ? builds : BUILDS_MAX);
	for (size_t i = 0; i < a->n->recipes_n; i++) {
		const struct nightly_recipe *r = &a->n->recipes[i];

		name_if_there(&argv, "lock", lock_path(r->path));
		name_if_there(&argv, "layout", mem_format("%s/images/%s", a->n->state, r->key));
	}
	if (step_run(&s, &did, &why) != 0 || did.status != 0)
		log_warn("the store was not pruned: %s", did.why != NULL ? did.why : why.msg);
}

static int work(struct all *a, int state, struct err *e)
{
	if (choose(a->n, a->how, a, e) != 0 || forget_heads(state, e) != 0 ||
	    outcomes_forget(state, e) != 0)
		return -1;
	a->log =
	    openat(state, "workers.log", O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
	if (a->log < 0)
		return err_sys(e, "open %s/workers.log", a->n->state);
	a->order = mem_zalloc((a->count + 1) * sizeof(*a->order));
	past_order(a->n, a->recipes, a->count, a->order);
	par_each(a->count, (unsigned)a->n->parallel, one, a);
	free(a->order);
	prune(a);
	fd_closep(&a->log);
	return 0;
}

int nightly_run(const struct nightly *n, const struct nightly_how *how, struct nightly_result *ret,
		struct err *e)
{
	struct all a = {.n = n, .how = how, .log = -1, .talk = PTHREAD_MUTEX_INITIALIZER};
	struct nightly_result res SCOPED(nightly_result_release) = {.begun_s = clock_epoch_s()};
	int state SCOPED(fd_closep) = -1, lock SCOPED(fd_closep) = -1;
	int rc;

	if (fs_mkdirs(AT_FDCWD, n->state, 0755, e) != 0 ||
	    fs_open_dir(AT_FDCWD, n->state, &state, e) != 0)
		return -1;
	if (lock_take(state, "nightly.flock", &lock, e) != 0) {
		(void)err_in(e, "another nightly is at work in %s", n->state);
		return err_hint(e, "Let it end; what it does need not be done twice.");
	}
	rc = work(&a, state, e);
	res.v = a.v;
	res.n = rc == 0 ? a.count : 0;
	free(a.recipes);
	if (rc != 0)
		return -1;
	/* who wants to know is told, and first of all when there is no report */
	rc = put_reports(n, &res, state, e);
	nightly_tell(n, &res);
	if (rc != 0)
		return err_in(e, "the night is over, and its reports are not written");
	*ret = res;
	res = (struct nightly_result){0};
	return 0;
}

static int collect_one(const struct all *a, struct share *s, size_t i, struct err *e)
{
	const char *key = a->recipes[i]->key, *night = a->how->night;
	int rc;

	if (share_collect(s, a->n, night, a->recipes[i], e) != 0)
		return -1;
	if (outcome_load(a->n, night, key, &a->v[i]) == 0)
		return 0;
	rc = outcome_lost_shared(s, a->n, a->how, key, &a->v[i], e);
	if (rc <= 0 || share_collect(s, a->n, night, a->recipes[i], e) != 0)
		return rc <= 0 ? rc : -1;
	nightly_outcome_release(&a->v[i]);
	return outcome_load(a->n, night, key, &a->v[i]) == 0
		   ? 0
		   : err_set(e, ERR_FAIL, "what was put for it is gone again");
}

/* One that cannot be brought is not all of the night. */
static void collect_any(const struct all *a, struct share *s, size_t i)
{
	struct err why = ERR_INIT;

	if (collect_one(a, s, i, &why) == 0)
		return;
	nightly_outcome_release(&a->v[i]);
	outcome_blank(&a->v[i], a->recipes[i]->key);
	outcome_error(&a->v[i], "state", &why);
	/* nobody knows what became of it, so that is not noted either */
	a->v[i].told = true;
}

static int collect(struct all *a, struct err *e)
{
	struct share *s SCOPED(share_freep) = NULL;

	if (choose(a->n, a->how, a, e) != 0 || share_open(a->n, &s, e) != 0)
		return -1;
	for (size_t i = 0; i < a->count; i++) {
		collect_any(a, s, i);
		if (intr_pending())
			return intr_err(e);
	}
	return 0;
}

int nightly_collect(const struct nightly *n, const struct nightly_how *how,
		    struct nightly_result *ret, struct err *e)
{
	struct all a = {.n = n, .how = how, .log = -1};
	struct nightly_result res SCOPED(nightly_result_release) = {.begun_s = clock_epoch_s()};
	int state SCOPED(fd_closep) = -1;
	int rc = collect(&a, e);

	res.v = a.v;
	res.n = a.v != NULL ? a.count : 0;
	free(a.recipes);
	if (rc != 0 || fs_mkdirs(AT_FDCWD, n->state, 0755, e) != 0 ||
	    fs_open_dir(AT_FDCWD, n->state, &state, e) != 0 || put_reports(n, &res, state, e) != 0)
		return -1;
	nightly_tell(n, &res);
	*ret = res;
	res = (struct nightly_result){0};
	return 0;
}

/* Each submission has a place of its own for what its workers leave: "20261126T220512Z-3f9a01c2".
 */
static char *name_night(void)
{
	char *now SCOPED(mem_freep) = clock_rfc3339(clock_wall_s());
	uint32_t random = 0;

	(void)!getrandom(&random, sizeof(random), 0);
	return mem_format("%.4s%.2s%.2sT%.2s%.2s%.2sZ-%08x", now, now + 5, now + 8, now + 11,
			  now + 14, now + 17, random);
}

static int hand_out(const struct nightly *n, const struct nightly_how *how,
		    const struct nightly_submit *s, struct buf *out, struct err *e)
{
	if (strcmp(s->engine, "slurm") == 0)
		return submit_slurm(n, how, s, out, e);
	if (strcmp(s->engine, "kubernetes") == 0)
		return submit_kubernetes(n, how, s, out, e);
	return err_set(e, ERR_USAGE, "--submit: slurm or kubernetes, not %s", s->engine);
}

int nightly_submit(const struct nightly *n, const struct nightly_how *how,
		   const struct nightly_submit *s, struct buf *out, struct err *e)
{
	struct all a = {.n = n, .how = how, .log = -1};
	struct nightly_how named = *how;
	char *night SCOPED(mem_freep) = name_night();
	int state SCOPED(fd_closep) = -1, lock SCOPED(fd_closep) = -1;
	int rc = choose(n, how, &a, e);

	free(a.recipes);
	free(a.v);
	if (rc != 0)
		return -1;
	/* a CronJob is of every night */
	if (n->kubernetes.schedule == NULL || strcmp(s->engine, "kubernetes") != 0)
		named.night = night;
	if (s->dry)
		return hand_out(n, &named, s, out, e);
	if (fs_mkdirs(AT_FDCWD, n->state, 0755, e) != 0 ||
	    fs_open_dir(AT_FDCWD, n->state, &state, e) != 0 ||
	    lock_take(state, "nightly.flock", &lock, e) != 0 || forget_heads(state, e) != 0 ||
	    hand_out(n, &named, s, out, e) != 0)
		return -1;
	if (named.night != NULL)
		log_info("night %s", night);
	return outcomes_prune(state, e);
}
