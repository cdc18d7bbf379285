#include "build/job.h"

#include "base/fault.h"
#include "base/log.h"
#include "build/embed.h"
#include "build/shared.h"
#include "oci/unpack.h"
#include "package/package.h"
#include "sys/fs.h"
#include "sys/self.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *unpacked_file(void *ctx, const struct lock_package *p)
{
	return unpacked_path(ctx, p);
}

static char *stored_file(void *ctx, const struct lock_package *p)
{
	const struct job *j = ctx;

	return store_blob_path(j->s, &p->digest);
}

/* An image of ours tells what it was made from; ours that stands on it tells of itself. */
static int forget_embedded(const char *root, struct err *e)
{
	char *dir SCOPED(mem_freep) = fs_dirname(EMBED_DIR);
	char *name SCOPED(mem_freep) = fs_basename(EMBED_DIR);
	int fd SCOPED(fd_closep) = -1, at SCOPED(fd_closep) = -1;
	struct err quiet = ERR_INIT;
	struct stat st;

	if (fs_open_dir(AT_FDCWD, root, &fd, e) != 0)
		return -1;
	if (fs_open_in_root(fd, dir, O_RDONLY | O_DIRECTORY, &at, &quiet) != 0)
		return 0;
	if (fstat(at, &st) != 0)
		return err_sys(e, "stat %s", dir);
	if (fs_rmtree(at, name, e) != 0)
		return -1;
	/* the directory that it was in keeps its time, too */
	const struct timespec times[2] = {st.st_mtim, st.st_mtim};

	return futimens(at, times) == 0 ? 0 : err_sys(e, "set time");
}

/* The archive of a root tree as it is, but for devices, which no image has; or nothing. */
static int plain_base(struct job *j, const char *root, struct err *e)
{
	const struct recipe_media *tar = recipe_base_tar(j->r);
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};
	const struct unpack_opts o = {.what = "base.tar", .layer = true, .keep_owner = true};
	int fd SCOPED(fd_closep) = -1;

	if (j->below != NULL && (oci_unpack(j->below, &j->below_image, root, &m, e) != 0 ||
				 oci_check_diff_ids(j->below, &m, e) != 0))
		return -1;
	if (j->below != NULL)
		return forget_embedded(root, e);
	if (tar == NULL)
		return 0;
	if (store_get(j->s, &tar->digest, &fd, e) == 0 && unpack(fd, root, &o, e) == 0)
		return 0;
	char *at SCOPED(mem_freep) = recipe_pos_text(&j->r->base_pos);

	return err_in(e, "%s", at);
}

/* Packages of dpkg's are had from the cache of decompressed ones, which others have not. */
static int install(struct job *j, struct package_install *in, struct err *e)
{
	struct unpacked *u = NULL;
	int rc;

	in->file_path = stored_file;
	in->ctx = j;
	if (j->r->plain != NULL)
		return plain_base(j, in->root, e);
	if (j->r->base != RECIPE_APT)
		return package_install(in, e);
	if (unpacked_start(j, &u, e) != 0)
		return -1;
	in->file_path = unpacked_file;
	in->ctx = u;
	rc = package_install(in, e);
	unpacked_stop(u);
	return rc;
}

int job_base(struct job *j, const char *root, struct err *e)
{
	char *scratch SCOPED(mem_freep) = mem_format("%s/base", j->scratch);
	struct package_install in = {
	    .recipe = j->r, .lock = j->l, .root = root, .scratch = scratch, .out = &j->output};

	if (mkdir(scratch, 0755) != 0 && errno != EEXIST)
		return err_sys(e, "make directory %s", scratch);
	if (install(j, &in, e) != 0)
		return -1;
	/* another's image stays as it is: its layers are part of ours */
	return j->below != NULL ? 0 : package_clean(root, NULL, e);
}

int job_mount(struct job *j, const char *upper, const char *work, const char *at, struct err *e)
{
	const char **lower SCOPED(mem_freep) = mem_zalloc((j->trees.n + 1) * sizeof(*lower));

	for (size_t i = 0; i < j->trees.n; i++)
		lower[i] = j->trees.v[j->trees.n - 1 - i];
	return sandbox_overlay(lower, j->trees.n, upper, work, at, e);
}

static int fill(struct job *j, const struct plan_stage *st, const char *root, const char *upper,
		struct err *e)
{
	switch (st->kind) {
	case PLAN_BASE:
		return job_base(j, root, e);
	case PLAN_USERS:
		return job_users(j, root, e);
	case PLAN_STEP:
		return job_step(j, &j->r->steps[st->step], root, upper, e);
	case PLAN_OVERLAYS:
		return job_overlays(j, root, e);
	case PLAN_SERVICES:
		return job_services(j, root, e);
	case PLAN_CONFIG:
		return job_config(j, root, upper, e);
	case PLAN_INPUTS:
	case PLAN_IMAGE:
		break;
	}
	return job_embed(j, root, e);
}

/* What a step left behind: nothing undeclared, and no secret. */
static int check_step(struct job *j, const struct plan_stage *st, const char *tree, struct err *e)
{
	const struct recipe_step *step = &j->r->steps[st->step];

	if (job_writes(step, tree, &j->trees, e) != 0)
		return -1;
	if (vault_scan(&j->secrets, tree, e) != 0) {
		char *at SCOPED(mem_freep) = recipe_pos_text(&step->pos);

		return err_in(e, "%s: step %s", at, step->name);
	}
	return 0;
}

/* Runs a stage with its changes going to dir/tree. */
static int run_in(struct job *j, const struct plan_stage *st, const char *dir, struct err *e)
{
	char *tree SCOPED(mem_freep) = fs_join(dir, "tree");
	char *work SCOPED(mem_freep) = fs_join(dir, "work");
	char *root SCOPED(mem_freep) = fs_join(dir, "root");
	int rc;

	if (st->kind == PLAN_BASE)
		return fill(j, st, tree, tree, e);
	if (job_mount(j, tree, work, root, e) != 0)
		return -1;
	rc = fill(j, st, root, tree, e);
	if (rc == 0)
		rc = sandbox_unmount(root, e);
	if (rc == 0 && st->kind == PLAN_STEP)
		rc = expects_take_out(tree, &j->laid, e);
	laid_release(&j->laid);
	if (rc == 0 && st->kind == PLAN_STEP)
		rc = check_step(j, st, tree, e);
	if (rc == 0 && st->kind == PLAN_STEP)
		rc = job_record_keep(j, &j->r->steps[st->step], dir, e);
	return rc;
}

int job_stage_dirs(const char *dir, struct err *e)
{
	static const char *const names[] = {"", "tree", "work", "root"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char *path SCOPED(mem_freep) = fs_join(dir, names[i]);

		if (mkdir(path, 0755) != 0)
			return err_sys(e, "make directory %s", path);
	}
	return 0;
}

enum { NAMES = 1000 };

static char *log_name(const struct job *j, const struct plan_stage *st)
{
	return st->kind == PLAN_STEP ? mem_format("step-%s", j->r->steps[st->step].name)
				     : mem_strdup(st->name);
}

/* Fills dir/tree, what is said on the way going to dir/log. */
static int run_logged(struct job *j, const struct plan_stage *st, const char *dir, struct err *e)
{
	char *file SCOPED(mem_freep) = fs_join(dir, "log");
	char *name SCOPED(mem_freep) = log_name(j, st);
	int rc;

	log_info("%s: %s", st->name, st->why != NULL ? st->why : "asked to run again");
	if (job_log_begin(j, name, file, e) != 0)
		return -1;
	rc = run_in(j, st, dir, e);
	job_log_end(j);
	return rc;
}

/* Moves what is under the stage's name out of the way. Others may be reading it: it gets a name of
 * its own, under which job_prune and gc find it of no use. */
static int put_aside(struct job *j, const struct plan_stage *st, struct err *e)
{
	char *from SCOPED(mem_freep) = plan_stage_path(j->s, &st->key);

	for (unsigned n = 0; n < NAMES; n++) {
		char *to SCOPED(mem_freep) = mem_format("%s.old.%ld.%u", from, (long)getpid(), n);

		if (rename(from, to) == 0 || errno == ENOENT)
			return 0;
		if (errno != ENOTEMPTY && errno != EEXIST)
			return err_sys(e, "put aside %s", from);
	}
	return err_set(e, ERR_FAIL, "%s: too many that were put aside", from);
}

/* What a step made before its new capture is not what belongs to the key any more. */
static int forget_made(struct job *j, const struct plan_stage *st, struct err *e)
{
	char *output SCOPED(mem_freep) = plan_output_path(&st->key);

	if (unlinkat(store_fd(j->s), output, 0) != 0 && errno != ENOENT)
		return err_sys(e, "forget %s", output);
	return put_aside(j, st, e);
}

/* Takes the finished stage into the cache: one rename, so it is there whole or not at all. */
static int keep(struct job *j, const struct plan_stage *st, const char *dir, struct err *e)
{
	char *to SCOPED(mem_freep) = plan_stage_path(j->s, &st->key);
	char *boot SCOPED(mem_freep) = self_boot_id();
	char *file SCOPED(mem_freep) = fs_join(dir, "boot");
	char *output SCOPED(mem_freep) = fs_join(dir, "output");
	char *contents SCOPED(mem_freep) = fs_join(dir, "contents");
	int fd SCOPED(fd_closep) = -1;

	if (fs_open_dir(AT_FDCWD, dir, &fd, e) != 0 || fs_rmtree(fd, "work", e) != 0 ||
	    fs_rmtree(fd, "root", e) != 0 ||
	    fs_put_unsynced(file, boot, strlen(boot), 0644, e) != 0 ||
	    fs_put_unsynced(output, digest_text(&st->output).s, DIGEST_TEXT, 0644, e) != 0 ||
	    contents_save(&j->contents[j->trees.n], contents, e) != 0 ||
	    fs_mkdirs(store_fd(j->s), "cache/stages", 0755, e) != 0)
		return err_in(e, "keep stage %s", st->name);
	fault_point("stage finished");
	if (!plan_stage_usable(j->s, &st->key, NULL) && put_aside(j, st, e) != 0)
		return err_in(e, "keep stage %s", st->name);
	if (rename(dir, to) != 0) {
		if (errno != ENOTEMPTY && errno != EEXIST)
			return err_sys(e, "keep stage %s", st->name);
		/* it is there, or another build was faster: that may be something else */
		strv_addf(&j->trees, "%s/tree", dir);
		return 0;
	}
	fault_point("stage kept");
	strv_addf(&j->trees, "%s/tree", to);
	return 0;
}

/* Takes the stage's tree as it is in the cache. */
static void take(struct job *j, const struct plan_stage *st)
{
	char *path SCOPED(mem_freep) = plan_stage_path(j->s, &st->key);
	char *boot SCOPED(mem_freep) = fs_join(path, "boot");
	char *file SCOPED(mem_freep) = fs_join(path, "log");
	char *name SCOPED(mem_freep) = log_name(j, st);

	(void)utimensat(AT_FDCWD, boot, NULL, 0); /* for job_prune: it was of use */
	job_log_reuse(j, name, file);
	strv_addf(&j->trees, "%s/tree", path);
}

void job_logs_reuse(struct job *j)
{
	for (size_t i = 0; i + 1 < j->plan->n; i++) {
		const struct plan_stage *st = &j->plan->v[i];
		char *path SCOPED(mem_freep) = plan_stage_path(j->s, &st->key);
		char *file SCOPED(mem_freep) = fs_join(path, "log");
		char *name SCOPED(mem_freep) = log_name(j, st);

		if (st->cached)
			job_log_reuse(j, name, file);
	}
}

static int use_record(struct job *j, const struct plan_stage *st, struct err *e)
{
	char *path SCOPED(mem_freep) = plan_stage_path(j->s, &st->key);

	if (st->kind != PLAN_STEP)
		return 0;
	return job_record_use(j, &j->r->steps[st->step], path, e) == 0 ? 0
								       : err_in(e, "%s", st->name);
}

int job_contents(struct job *j, size_t i, struct err *e)
{
	char *dir SCOPED(mem_freep) = fs_dirname(j->trees.v[i]);
	char *path SCOPED(mem_freep) = fs_join(dir, "contents");
	const struct plan_stage *st = &j->plan->v[i];

	if (j->contents[i].loaded)
		return 0;
	if (contents_load(path, &j->contents[i], e) == 0 &&
	    digest_equal(&j->contents[i].output, &st->output))
		return 0;
	j->damaged = true;
	return err_set(e, ERR_VERIFY, "the record of stage %s is damaged", st->name);
}

int job_distrust(struct job *j, struct err *e)
{
	for (size_t i = 0; i + 1 < j->plan->n; i++) {
		char *path SCOPED(mem_freep) = plan_stage_path(j->s, &j->plan->v[i].key);
		char *boot SCOPED(mem_freep) = fs_join(path, "boot");

		if (unlink(boot) != 0 && errno != ENOENT && errno != ENOTDIR)
			return err_sys(e, "put aside stage %s", j->plan->v[i].name);
	}
	return 0;
}

static bool captures(const struct job *j, const struct plan_stage *st)
{
	return st->kind == PLAN_STEP && j->r->steps[st->step].capture;
}

/* Finds out what the stage in dir made, and says so when it is not what the same inputs made
 * before. */
static int find_output(struct job *j, size_t i, const char *dir, struct err *e)
{
	const struct plan_stage *st = &j->plan->v[i];
	const struct contents_times times = {.kept = st->kind == PLAN_BASE, .epoch = j->l->epoch};
	char *tree SCOPED(mem_freep) = fs_join(dir, "tree");

	if (contents_scan(tree, &times, &j->contents[i], e) != 0)
		return err_in(e, "stage %s", st->name);
	if (st->known && !captures(j, st) && !digest_equal(&st->output, &j->contents[i].output))
		log_warn("%s made something else than the last time from the same inputs: it is "
			 "not reproducible",
			 st->name);
	plan_made(j->plan, i, &j->contents[i].output, j->r, j->s);
	return 0;
}

bool job_recaptures(const struct job *j, const struct plan_stage *st)
{
	const char *name = st->kind == PLAN_STEP ? j->r->steps[st->step].name : NULL;

	return name != NULL && (strv_has(&j->o->recapture, name) ||
				(j->o->record != NULL && strcmp(j->o->record, name) == 0));
}

bool job_will_run(const struct job *j, const struct plan_stage *st)
{
	if (job_recaptures(j, st))
		return true;
	return !st->captured && (j->o->no_cache || !st->cached);
}

/* Of a step that captures, what another machine made is its capture here too. */
static int take_shared(struct job *j, size_t i, const char *dir, struct err *e)
{
	const struct plan_stage *st = &j->plan->v[i];
	char *tree SCOPED(mem_freep) = fs_join(dir, "tree");

	if (st->kind == PLAN_STEP && job_record_keep(j, &j->r->steps[st->step], dir, e) != 0)
		return -1;
	return captures(j, st) ? job_capture(j, st, tree, e) : 0;
}

static int unpack_captured(struct job *j, size_t i, const char *dir, bool *ret_done, struct err *e)
{
	const struct plan_stage *st = &j->plan->v[i];
	char *tree SCOPED(mem_freep) = fs_join(dir, "tree");

	if (!st->captured || job_recaptures(j, st))
		return 0;
	if (job_stage_dirs(dir, e) != 0 || job_release_capture(j, st, tree, ret_done, e) != 0)
		return -1;
	if (!*ret_done)
		return fs_rmtree(AT_FDCWD, dir, e);
	log_info("%s: captured output reused", st->name);
	if (job_record_keep(j, &j->r->steps[st->step], dir, e) != 0)
		return -1;
	return find_output(j, i, dir, e);
}

/* Brings a stage about in dir: unpacks what was captured of it, or what another machine has made,
 * or runs it: *ret_ran. */
static int make(struct job *j, size_t i, const char *dir, struct build_result *ret, bool *ret_ran,
		struct err *e)
{
	const struct plan_stage *st = &j->plan->v[i];
	char *tree SCOPED(mem_freep) = fs_join(dir, "tree");
	bool done = false;

	if (unpack_captured(j, i, dir, &done, e) != 0)
		return -1;
	if (done) {
		ret->stages_cached++;
		return 0;
	}
	if (shared_begin(j, i, dir, &done, e) != 0)
		return -1;
	if (done) {
		ret->stages_cached++;
		ret->stages_shared++;
		return take_shared(j, i, dir, e);
	}
	if (job_stage_dirs(dir, e) != 0 || run_logged(j, st, dir, e) != 0)
		return -1;
	ret->stages_run++;
	*ret_ran = true;
	if (captures(j, st) && (forget_made(j, st, e) != 0 || job_capture(j, st, tree, e) != 0))
		return -1;
	return find_output(j, i, dir, e);
}

/* Another machine took over, while this one stood still or was cut off, and was faster: all have
 * what was published first. */
static int adopt(struct job *j, size_t i, const char *dir, struct err *e)
{
	const struct plan_stage *st = &j->plan->v[i];
	char *other SCOPED(mem_freep) = mem_format("%s.other", dir);
	char *from SCOPED(mem_freep) = fs_join(dir, "log");
	char *log SCOPED(mem_freep) = fs_join(other, "log");
	bool done = false;

	if (!shared_is_other(j, i))
		return 0;
	if (shared_get(j, i, other, &done, e) != 0)
		return -1;
	if (!done)
		return 0;
	log_warn("%s is not reproducible: another machine has made and shared something else from "
		 "the same inputs, which is used here too",
		 st->name);
	if (rename(from, log) != 0 && errno != ENOENT)
		return err_sys(e, "rename %s", from);
	if (fs_rmtree(AT_FDCWD, dir, e) != 0)
		return -1;
	if (rename(other, dir) != 0)
		return err_sys(e, "rename %s", other);
	if (captures(j, st) && forget_made(j, st, e) != 0)
		return -1;
	return take_shared(j, i, dir, e);
}

/* Before others build on it here: a put that came too late has changed nothing. */
static int share(struct job *j, size_t i, const char *dir, bool ran, struct err *e)
{
	char *tree SCOPED(mem_freep) = fs_join(dir, "tree");

	if (ran && adopt(j, i, dir, e) != 0)
		return -1;
	if (shared_put(j, i, tree, e) != 0)
		return -1;
	return ran ? adopt(j, i, dir, e) : 0;
}

static int make_and_keep(struct job *j, size_t i, struct build_result *ret, struct err *e)
{
	char *dir SCOPED(mem_freep) = mem_format("%s/stage.%zu", j->scratch, i);
	const struct plan_stage *st = &j->plan->v[i];
	bool ran = false;

	if (make(j, i, dir, ret, &ran, e) != 0 || plan_unchanged(st, j->r, j->l, e) != 0 ||
	    share(j, i, dir, ran, e) != 0 || keep(j, st, dir, e) != 0)
		return -1;
	return plan_remember(j->s, j->r, st, e);
}

int job_stage(struct job *j, size_t i, struct build_result *ret, struct err *e)
{
	const struct plan_stage *st = &j->plan->v[i];
	int rc;

	if (!j->o->no_cache && !job_recaptures(j, st) && st->cached) {
		take(j, st);
		ret->stages_cached++;
		return use_record(j, st, e);
	}
	rc = make_and_keep(j, i, ret, e);
	shared_end(j);
	return rc;
}

/* One that is not here, into the cache. *ret_done: it is there now. */
static int bring(struct job *j, size_t i, bool *ret_done, struct err *e)
{
	char *tree SCOPED(mem_freep) = NULL;
	char *dir SCOPED(mem_freep) = mem_format("%s/shared.%zu", j->scratch, i);
	struct plan_stage *st = &j->plan->v[i];
	struct digest output;

	*ret_done = false;
	if (!shared_reads(j, i) || st->captured)
		return 0;
	if (shared_get(j, i, dir, ret_done, e) != 0)
		return -1;
	if (!*ret_done)
		return 0;
	tree = fs_join(dir, "tree");
	if (captures(j, st) && job_capture(j, st, tree, e) != 0)
		return -1;
	if (keep(j, st, dir, e) != 0 || plan_remember(j->s, j->r, st, e) != 0)
		return -1;
	st->cached =
	    plan_stage_usable(j->s, &st->key, &output) && digest_equal(&output, &st->output);
	*ret_done = st->cached;
	return 0;
}

int job_stages_shared(struct job *j, struct build_result *ret, struct err *e)
{
	bool done = j->stash != NULL;
	int rc = 0;

	/* the lock that the inputs carry is known when the steps are there */
	for (size_t i = 0; rc == 0 && done && j->plan->v[i].kind != PLAN_INPUTS; i++) {
		const struct plan_stage *st = &j->plan->v[i];

		if (st->cached) {
			take(j, st);
			continue;
		}
		rc = bring(j, i, &done, e);
		ret->stages_shared += rc == 0 && done;
	}
	strv_release(&j->trees);
	return rc;
}
