#include "build/judge.h"
#include "build/verdict.h"

#include "base/log.h"
#include "sys/fs.h"
#include "sys/intr.h"
#include "sys/lock.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* How long what a killed build left running may take to die, on a machine with much to do. */
enum { DYING_MS = 30000 };

/* Only one build at a time may write to a layout. The lock lies in the store, under a name made
 * from the layout's place, so that nothing of ours stands beside the user's files. */
static int lock_layout(struct job *j, int *ret_fd, struct err *e)
{
	char *dir SCOPED(mem_freep) = fs_dirname(j->o->layout);
	char *base SCOPED(mem_freep) = fs_basename(j->o->layout);
	char *real SCOPED(mem_freep) = NULL;
	char *full SCOPED(mem_freep) = NULL;
	char *name SCOPED(mem_freep) = NULL;
	struct digest d;

	if (fs_mkdirs(AT_FDCWD, dir, 0755, e) != 0 ||
	    fs_mkdirs(store_fd(j->s), "locks", 0755, e) != 0)
		return -1;
	real = realpath(dir, NULL);
	if (real == NULL)
		return err_sys(e, "find %s", dir);
	full = fs_join(real, base);
	d = digest_of(full, strlen(full));
	name = mem_format("locks/%s", digest_hex(&d).s);
	if (lock_inherit(store_fd(j->s), name, DYING_MS, ret_fd, e) != 0)
		return err_in(e, "another build writes to %s", j->o->layout);
	return 0;
}

/* Before hours of work: whether the steps that will run have their secrets. */
static int want_secrets(struct job *j, struct err *e)
{
	for (size_t i = 0; i < j->plan->n; i++) {
		const struct plan_stage *st = &j->plan->v[i];

		if (st->kind == PLAN_STEP && job_will_run(j, st) &&
		    vault_check(&j->secrets, &j->r->steps[st->step], e) != 0)
			return -1;
	}
	return 0;
}

/* What a delta is made from stands in no plan: no plan may find it again, or take it for another.
 */
static bool in_plan(const struct job *j)
{
	return j->o->delta_from == NULL;
}

static int run_stage(struct job *j, size_t i, struct build_result *ret, struct err *e)
{
	log_progress("build", i, j->plan->n);
	if (j->plan->v[i].kind == PLAN_INPUTS)
		job_records(j);
	if (job_stage(j, i, ret, e) != 0 ||
	    (j->plan->v[i].kind == PLAN_CONFIG && judge_begin(j, i, e) != 0))
		return -1;
	return intr_pending() ? intr_err(e) : 0;
}

/* Whatever can be missing is found missing before anything is made. */
static int prepare(struct job *j, struct build_result *ret, struct err *e)
{
	if (verdict_load(j, e) != 0 || job_stages_shared(j, ret, e) != 0 ||
	    want_secrets(j, e) != 0 || job_fetch(j, e) != 0)
		return -1;
	return job_below(j, e);
}

static int run_stages(struct job *j, struct build_result *ret, struct err *e)
{
	char *root SCOPED(mem_freep) = mem_format("%s/image", j->scratch);
	const struct plan_stage *last = &j->plan->v[j->plan->n - 1];
	struct jval *image SCOPED(jval_freep) = NULL;
	int rc;

	if (prepare(j, ret, e) != 0)
		return -1;
	for (size_t i = 0; i + 1 < j->plan->n; i++)
		if (run_stage(j, i, ret, e) != 0)
			return judge_first(j, e), -1;
	if (in_plan(j) && !j->o->no_cache && last->cached) {
		if (judge_seal(j, e) != 0 || judge_end(j, e) != 0)
			return -1;
		log_info("what changed makes no difference: the image is there");
		ret->manifest = j->plan->manifest;
		ret->manifest_size = j->plan->manifest_size;
		plan_use_image(j->s, last);
		return 0;
	}
	if (mkdir(root, 0755) != 0)
		return err_sys(e, "make directory %s", root);
	if (job_mount(j, NULL, NULL, root, e) != 0)
		return -1;
	rc = job_image(j, root, ret, e);
	if (rc != 0)
		judge_first(j, e);
	else
		rc = sandbox_unmount(root, e);
	if (rc != 0)
		return -1;
	if (!in_plan(j))
		return 0;
	image = job_image_blobs(j, ret);
	if (plan_remember(j->s, j->r, last, e) != 0)
		return -1;
	return plan_remember_image(j->s, last, image, e);
}

/* Detaches what a failed stage left mounted, so that the scratch can go. */
static void drop_scratch(struct job *j)
{
	struct strv names SCOPED(strv_release) = {0};
	struct err quiet = ERR_INIT;

	if (fs_list(AT_FDCWD, j->scratch, &names, &quiet) == 0)
		for (size_t i = 0; i < names.n; i++) {
			bool inside = strncmp(names.v[i], "stage.", 6) == 0 ||
				      strncmp(names.v[i], "gate.", 5) == 0;
			char *root SCOPED(mem_freep) =
			    mem_format("%s/%s%s", j->scratch, names.v[i], inside ? "/root" : "");

			if (sandbox_unmount(root, &quiet) != 0)
				quiet = (struct err)ERR_INIT; /* most are no mounts */
		}
	if (store_scratch_drop(j->s, j->scratch, &quiet) != 0)
		log_warn("leaves %s behind: %s", j->scratch, quiet.msg);
}

/* Its trees have programs that are set-uid root: nobody else on this machine is to reach them. */
static int private_cache(struct job *j, struct err *e)
{
	if (fs_mkdirs(store_fd(j->s), "cache", 0700, e) != 0)
		return -1;
	return fchmodat(store_fd(j->s), "cache", 0700, 0) == 0 ? 0 : err_sys(e, "close the cache");
}

/* Those of other machines. */
static int open_shared(struct job *j, struct err *e)
{
	char *dir SCOPED(mem_freep) = mem_format("%s/shared", j->scratch);

	return j->o->cache == NULL || j->o->no_cache ? 0
						     : stash_open(j->o->cache, dir, &j->stash, e);
}

static int run(struct job *j, struct build_result *ret, struct err *e)
{
	int rc;

	if (private_cache(j, e) != 0 || sandbox_enter(e) != 0 || store_sweep(j->s, e) != 0 ||
	    store_scratch(j->s, "build", &j->scratch, e) != 0)
		return -1;
	rc = open_shared(j, e) == 0 ? run_stages(j, ret, e) : -1;
	judge_drop(j);
	stash_free(STEAL(j->stash));
	drop_scratch(j);
	strv_release(&j->trees);
	free(j->scratch);
	j->scratch = NULL;
	return rc;
}

static void forget_contents(struct job *j)
{
	for (size_t i = 0; j->contents != NULL && i < j->plan->n; i++)
		contents_release(&j->contents[i]);
	free(j->contents);
	j->contents = NULL;
	job_forget_owned(j);
}

static int make(struct job *j, struct build_result *ret, struct err *e)
{
	int rc;

	build_result_release(ret);
	j->damaged = false;
	j->contents = mem_zalloc(j->plan->n * sizeof(*j->contents));
	rc = run(j, ret, e);
	forget_contents(j);
	verdict_release(j);
	return rc == 0 ? job_export(j, ret, e) : -1;
}

/* A file of a cached tree is not what its stage wrote: everything runs again. */
static int make_anew(struct job *j, struct build_result *ret, struct err *e)
{
	log_warn("%s; all stages run again", e->msg);
	if (job_distrust(j, e) != 0)
		return -1;
	plan_release(j->plan);
	if (plan_make(j->r, j->l, j->s, j->plan, e) != 0)
		return -1;
	return make(j, ret, e);
}

/* The image that is remembered goes to the layout, if it is not there yet. */
static int reuse(struct job *j, const struct plan_stage *image, struct build_result *ret,
		 struct err *e)
{
	ret->manifest = j->plan->manifest;
	ret->manifest_size = j->plan->manifest_size;
	ret->stages_cached = j->plan->n;
	ret->up_to_date = job_exported(j, ret);
	plan_use_image(j->s, image);
	if (ret->up_to_date)
		return job_describe(j, ret, e);
	job_logs_reuse(j);
	return job_export(j, ret, e);
}

/* What the store has of an image may be damaged, which shows on the way to the layout: then that
 * is put aside and the image made again. */
static int with_plan(struct job *j, struct build_result *ret, struct err *e)
{
	const struct plan_stage *image = &j->plan->v[j->plan->n - 1];
	int lock SCOPED(fd_closep) = -1;
	bool moved = false;
	int rc;

	if (lock_layout(j, &lock, e) != 0)
		return -1;
	rc = in_plan(j) && !j->o->no_cache && j->o->recapture.n == 0 && image->cached &&
		     !judge_is_due(j)
		 ? reuse(j, image, ret, e)
		 : make(j, ret, e);
	if (rc == 0 || e->kind != ERR_VERIFY)
		return rc;
	if (j->damaged)
		return make_anew(j, ret, e);
	if (!in_plan(j) || job_recheck_image(j, image, &moved) != 0 || !moved)
		return -1;
	log_warn("the store's copy of this image was damaged; the image is made again");
	j->plan->v[j->plan->n - 1].cached = false;
	return make(j, ret, e);
}

/* Only a step that is captured can be captured anew. */
static int check_options(struct job *j, struct err *e)
{
	for (size_t i = 0; i < j->o->recapture.n; i++) {
		const char *name = j->o->recapture.v[i];
		bool known = false;

		for (size_t k = 0; k < j->r->steps_n; k++)
			known = known ||
				(j->r->steps[k].capture && strcmp(j->r->steps[k].name, name) == 0);
		if (!known)
			return err_set(e, ERR_USAGE,
				       "--recapture %s: %s has no such step with capture: true",
				       name, j->r->file);
	}
	return vault_load(&j->o->secrets, j->r, &j->secrets, e);
}

static int with_store(struct job *j, struct build_result *ret, struct err *e)
{
	int hold SCOPED(fd_closep) = -1; /* what the plan saw in the store stays there */

	if (check_options(j, e) != 0)
		return -1;
	if (store_share(j->s, &hold, e) != 0 || plan_make(j->r, j->l, j->s, j->plan, e) != 0)
		return -1;
	return with_plan(j, ret, e);
}

int build(const struct recipe *r, const struct lock *l, struct store *s, const struct build_opts *o,
	  struct build_result *ret, struct err *e)
{
	struct plan plan SCOPED(plan_release) = {0};
	struct build_opts opts = *o;
	struct lock known = *l;
	struct job j = {.r = r, .l = &known, .locked = &known, .s = s, .o = &opts, .plan = &plan};
	struct build_result res = {0};
	int rc;

	lock_know(&known);
	opts.no_cache = o->no_cache || o->record != NULL;
	if (o->record != NULL && job_forget(&j, o->record, e) != 0)
		return -1;
	job_output_init(&j);
	rc = with_store(&j, &res, e);
	if (rc == 0 && res.stages_run > 0)
		job_prune(&j);
	job_output_release(&j);
	vault_release(&j.secrets);
	layering_release(&j.layering);
	free(j.origins);
	map_release(&j.media, free);
	job_below_release(&j);
	if (rc == 0) {
		job_records(&j);
		res.recorded = lock_recorded_json(j.merged, j.merged_n);
		res.unlocked = job_has_new_records(&j);
		*ret = res;
	} else {
		build_result_release(&res);
	}
	job_records_release(&j);
	return rc;
}

void build_result_release(struct build_result *r)
{
	jval_free(r->table);
	*r = (struct build_result){0};
}
