#include "build/shared.h"

#include "base/log.h"
#include "stash/stash.h"
#include "sys/fs.h"
#include "sys/intr.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { POLL_US = 500000, ENTRY_SLACK = 1 << 20 };

/* What a step fetches while it runs goes into the lock and the store, not into its tree alone: it
 * is of use to others when it is locked. */
static bool is_shared(const struct job *j, size_t i)
{
	const struct plan_stage *st = &j->plan->v[i];
	const struct recipe_step *step = st->kind == PLAN_STEP ? &j->r->steps[st->step] : NULL;
	size_t n = 0;

	return j->stash != NULL && st->keyed &&
	       (step == NULL || !step->network || lock_recorded_of(j->l, step->name, &n) != NULL);
}

bool shared_reads(const struct job *j, size_t i)
{
	return is_shared(j, i) && stash_reads(j->stash) && !job_recaptures(j, &j->plan->v[i]);
}

/* What came is what its record says it is, as this build counts it. */
static int check(struct job *j, size_t i, const char *tree, const struct stash_record *r,
		 struct err *e)
{
	const struct plan_stage *st = &j->plan->v[i];
	const struct contents_times times = {.kept = st->kind == PLAN_BASE, .epoch = j->l->epoch};
	struct contents c = {.loaded = false};

	if (contents_scan(tree, &times, &c, e) != 0)
		return -1;
	if (!digest_equal(&c.output, &r->output)) {
		contents_release(&c);
		return err_set(e, ERR_VERIFY, "its tree is not what its record says");
	}
	contents_release(&j->contents[i]);
	j->contents[i] = c;
	return 0;
}

static int unpack_entry(struct job *j, size_t i, const char *dir, int blob,
			const struct stash_record *r, struct err *e)
{
	struct unpack_opts o = {.what = "a shared stage",
				.tar = true,
				.keep_owner = true,
				.bytes_max = r->raw + ENTRY_SLACK};
	char *tree SCOPED(mem_freep) = fs_join(dir, "tree");

	if (job_stage_dirs(dir, e) != 0 || job_tree_unpack(blob, r->marks, tree, &o, e) != 0)
		return -1;
	return check(j, i, tree, r, e);
}

static int forget(const char *dir, struct err *e)
{
	return fs_rmtree(AT_FDCWD, dir, e);
}

int shared_get(struct job *j, size_t i, const char *dir, bool *ret_done, struct err *e)
{
	const struct plan_stage *st = &j->plan->v[i];
	struct stash_record r SCOPED(stash_record_release) = {.marks = NULL};
	struct err why = ERR_INIT;
	int blob SCOPED(fd_closep) = -1;
	int rc;

	*ret_done = false;
	if (!shared_reads(j, i))
		return 0;
	rc = stash_get(j->stash, &st->key, st->name, &r, &blob, e);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (unpack_entry(j, i, dir, blob, &r, &why) == 0) {
		log_info("%s: made by another machine", st->name);
		plan_made(j->plan, i, &r.output, j->r, j->s);
		*ret_done = true;
		return 0;
	}
	if (intr_pending())
		return intr_err(e);
	log_warn("%s: what is shared of it is not used: %s", st->name, why.msg);
	stash_reject(j->stash);
	return forget(dir, e);
}

/* What takes long enough to wait for each other. */
static bool is_long(const struct plan_stage *st)
{
	return st->kind == PLAN_BASE || st->kind == PLAN_STEP;
}

int shared_begin(struct job *j, size_t i, const char *dir, bool *ret_done, struct err *e)
{
	const struct plan_stage *st = &j->plan->v[i];
	struct stash_claim other = {.lease_s = 0};
	bool said = false;

	if (shared_get(j, i, dir, ret_done, e) != 0)
		return -1;
	if (*ret_done || !is_shared(j, i) || !is_long(st))
		return 0;
	while (stash_claimed(j->stash, &st->key, &other)) {
		if (!said)
			log_info("%s: %s is at work on it; waits", st->name, other.owner);
		said = true;
		(void)usleep(POLL_US);
		if (intr_pending())
			return intr_err(e);
		if (shared_get(j, i, dir, ret_done, e) != 0)
			return -1;
		if (*ret_done)
			return 0;
	}
	/* who had it may have ended between the two questions */
	if (shared_get(j, i, dir, ret_done, e) != 0)
		return -1;
	if (*ret_done)
		shared_end(j);
	return 0;
}

void shared_end(struct job *j)
{
	if (j->stash != NULL)
		stash_unclaim(j->stash);
}

bool shared_is_other(struct job *j, size_t i)
{
	const struct plan_stage *st = &j->plan->v[i];
	struct digest output;

	return shared_reads(j, i) && stash_output(j->stash, &st->key, &output) &&
	       !digest_equal(&output, &st->output);
}

static int to_file(void *ctx, const void *p, size_t n, struct err *e)
{
	return fs_write_all(*(int *)ctx, p, n, e);
}

static int pack(struct job *j, const char *tree, int *fd, struct packed_tree *ret, struct err *e)
{
	const struct sink to = {to_file, fd};
	char *path SCOPED(mem_freep) = fs_join(stash_dir(j->stash), "stage.tar");

	*fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (*fd < 0)
		return err_sys(e, "create %s", path);
	return job_tree_pack(j, tree, &to, ret, e);
}

int shared_put(struct job *j, size_t i, const char *tree, struct err *e)
{
	const struct plan_stage *st = &j->plan->v[i];
	struct packed_tree p SCOPED(packed_tree_release) = {.marks = NULL};
	int fd SCOPED(fd_closep) = -1;
	struct stash_record r = {.key = st->key, .output = st->output};
	struct err why = ERR_INIT;

	if (is_shared(j, i) && job_recaptures(j, st))
		stash_supersede(j->stash, &st->key);
	if (!is_shared(j, i) || !stash_wants(j->stash, &st->key))
		return intr_pending() ? intr_err(e) : 0;
	if (pack(j, tree, &fd, &p, &why) != 0) {
		if (!intr_pending())
			log_warn("%s: not shared: %s", st->name, why.msg);
		return intr_pending() ? intr_err(e) : 0;
	}
	r.blob = p.packed.digest;
	r.size = p.packed.size;
	r.raw = p.packed.raw_size;
	r.marks = p.marks;
	const struct stash_file f = {"stage.tar", fd};

	return stash_put(j->stash, &r, &f, st->name, e);
}
