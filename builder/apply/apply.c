#include "apply/job.h"

#include "base/fault.h"
#include "sys/par.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
	BIG = 1 << 20,      /* files from this size on come first, the biggest at the head */
	TICK_NS = 10000000, /* the coarsest clock of a file system */
};

/* Lists of entries for job_each. */
struct work {
	uint32_t *files;         /* and links and devices */
	uint32_t *links;         /* other names of files */
	uint32_t *linked;        /* those whose names they are */
	struct apply_inode *old; /* files that may be written in place */
	size_t files_n, links_n, linked_n, old_n;
};

static void work_release(struct work *w)
{
	free(w->files);
	free(w->links);
	free(w->linked);
	free(w->old);
}

static uint64_t size_of(const struct manifest_entry *en)
{
	return en->type == MANIFEST_FILE && en->size >= BIG ? en->size : 0;
}

static int by_size(const void *a, const void *b, void *ctx)
{
	const struct manifest_entry *v = ctx;
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	uint64_t p = size_of(&v[x]), q = size_of(&v[y]);

	if (p != q)
		return p > q ? -1 : 1;
	return x < y ? -1 : x > y;
}

static void list_work(const struct job *j, struct work *w)
{
	size_t n = j->want->n;

	w->files = mem_zalloc(n * sizeof(*w->files));
	w->links = mem_zalloc(n * sizeof(*w->links));
	w->linked = mem_zalloc(n * sizeof(*w->linked));
	w->old = mem_zalloc(n * sizeof(*w->old));
	for (uint32_t i = 1; i < n; i++) {
		const struct slot *s = &j->slots[i];

		if (j->want->v[i].type == MANIFEST_DIR || s->state == SLOT_SAME)
			continue;
		if (s->leader != i) {
			w->links[w->links_n++] = i;
			continue;
		}
		w->files[w->files_n++] = i;
		if (s->state == SLOT_PRESENT)
			w->old[w->old_n++] = (struct apply_inode){s->dev, s->ino};
		if (s->another != 0)
			w->linked[w->linked_n++] = i;
	}
	qsort_r(w->files, w->files_n, sizeof(*w->files), by_size, (void *)j->want->v);
}

static int one_file(struct job *j, size_t i, struct err *e)
{
	return j->want->v[i].type == MANIFEST_FILE ? job_file(j, i, e) : job_special(j, i, e);
}

/* Links made to a file changed its ctime after it was remembered. */
static int again(struct job *j, size_t i, struct err *e)
{
	int path SCOPED(fd_closep) = -1;

	if (j->o->dry_run)
		return 0;
	path = job_open(j, i, O_PATH, 0);
	return path >= 0 ? job_remember(j, i, path, e) : job_err(j, i, "open", e);
}

static int do_work(struct job *j, struct err *e)
{
	struct work w SCOPED(work_release) = {0};

	list_work(j, &w);
	if (!j->o->dry_run && memory_intend(j->memory, w.old, w.old_n, e) != 0)
		return -1;
	fault_point("intended");
	if (job_each(j, w.files, w.files_n, one_file, e) != 0 ||
	    job_each(j, w.links, w.links_n, job_link, e) != 0 ||
	    job_each(j, w.linked, w.linked_n, again, e) != 0)
		return -1;
	return job_levels(j, false, job_dir, e);
}

/* Two things at a time: the disk is written to, and what is written is looked at. */
struct settling {
	struct job *j;
	int sync_errno;
	int looked;
	struct err err;
};

static void settle_part(void *ctx, size_t n)
{
	struct settling *s = ctx;

	if (n == 0 && syncfs(s->j->root) != 0)
		s->sync_errno = errno;
	if (n == 1)
		s->looked = s->j->o->meanwhile(s->j->o->ctx, &s->err);
}

static int sync_all(struct job *j, bool whole, struct err *e)
{
	struct settling s = {.j = j, .err = ERR_INIT};

	par_each(whole && j->o->meanwhile != NULL ? 2 : 1, 2, settle_part, &s);
	errno = s.sync_errno;
	if (errno != 0)
		return err_sys(e, "sync the target");
	if (s.looked != 0)
		*e = s.err;
	return s.looked;
}

/* What is remembered must be on disk before the memory is, also of a run that failed; and whatever
 * happens to it later must have another time. */
static int settle(struct job *j, bool whole, struct err *e)
{
	const struct timespec tick = {0, TICK_NS};

	if (j->o->dry_run)
		return 0;
	memory_take(j->memory, j->records, j->want->n, whole);
	job_release(j); /* who looks meanwhile needs room */
	if (sync_all(j, whole, e) != 0)
		return -1;
	fault_point("synced");
	(void)nanosleep(&tick, NULL);
	return 0;
}

static void count_same(struct job *j)
{
	uint64_t other = j->result.made + j->result.changed;

	j->result.same = j->want->n > other ? j->want->n - other : 0;
}

static int run(struct job *j, struct err *e)
{
	struct err after = ERR_INIT;
	int rc;

	if (job_plan(j, e) != 0 || memory_begin(j->memory, j->root, e) != 0)
		return -1;
	rc = job_look(j, e) == 0 ? do_work(j, e) : -1;
	if (settle(j, rc == 0, rc == 0 ? e : &after) != 0)
		return -1;
	count_same(j);
	return rc;
}

static int run_named(struct job *j, struct err *e)
{
	struct manifest_names *host = NULL;
	int rc;

	if (j->names != NULL)
		return run(j, e);
	if (manifest_names_host(&host, e) != 0)
		return -1;
	j->names = host;
	rc = run(j, e);
	manifest_names_free(host);
	return rc;
}

int apply_tree(const struct manifest *want, const struct apply_content *c, int dirfd,
	       const struct apply_opts *o, struct apply_result *ret, struct err *e)
{
	struct apply_memory *mine = o->memory == NULL ? memory_new() : NULL;
	struct job j SCOPED(job_release) = {
	    .want = want,
	    .content = c,
	    .o = o,
	    .names = o->names,
	    .root = dirfd,
	    .threads = o->threads > 0 ? o->threads : par_disk(),
	    .mighty = geteuid() == 0,
	    .memory = o->memory != NULL ? o->memory : mine,
	    .err = ERR_INIT,
	};
	int rc = run_named(&j, e);

	apply_memory_free(mine);
	if (rc == 0)
		*ret = j.result;
	return rc;
}
