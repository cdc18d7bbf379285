#include "build/job.h"

#include "build/disk.h"
#include "build/loader.h"
#include "build/shim.h"
#include "proxy/proxy.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct mounts {
	struct sandbox_bind *binds;
	struct strv made; /* mount points that the tree did not have, deepest last */
};

static void mounts_release(struct mounts *m)
{
	free(m->binds);
	strv_release(&m->made);
}

/* Opens the directory that holds root/path, with links as the step will see them: an absolute one
 * in the tree must not lead to the machine's own directories. */
static int open_parent(const char *root, const char *path, int *ret, struct err *e)
{
	char *dir SCOPED(mem_freep) = fs_dirname(path);
	int fd SCOPED(fd_closep) = -1;

	if (fs_open_dir(AT_FDCWD, root, &fd, e) != 0)
		return -1;
	return fs_open_in_root(fd, dir, O_RDONLY | O_DIRECTORY, ret, e);
}

/* Makes a mount point and remembers what of it was missing. */
static int mount_point(const char *root, const char *at, struct mounts *m, struct err *e)
{
	int fd SCOPED(fd_closep) = -1;

	if (fs_open_dir(AT_FDCWD, root, &fd, e) != 0 ||
	    fs_mkdirs_in_root(fd, at, 0755, &m->made, e) != 0)
		return err_in(e, "mount point %s", at);
	return 0;
}

static int prepare(const struct shim *shim, const char *root, struct mounts *m, struct err *e)
{
	const struct recipe_step *st = shim->st;
	struct job *j = shim->j;

	/* one for the network */
	m->binds = mem_zalloc((st->mounts_n + 1 + shim_binds(shim, NULL)) * sizeof(*m->binds));
	for (size_t i = 0; i < st->mounts_n; i++) {
		const struct recipe_media *media = recipe_media_find(j->r, st->mounts[i].media);
		const char *tree = NULL;

		if (media == NULL)
			return recipe_err(&st->pos, e, "no medium %s", st->mounts[i].media);
		if (job_medium(j, media, &tree, e) != 0 ||
		    mount_point(root, st->mounts[i].at, m, e) != 0)
			return -1;
		m->binds[i] = (struct sandbox_bind){.from = tree, .to = st->mounts[i].at};
	}
	return 0;
}

/* Takes the mount points away again: media never leave a trace in a layer. */
static void tidy(const char *root, const struct mounts *m)
{
	for (size_t i = m->made.n; i-- > 0;) {
		char *name SCOPED(mem_freep) = fs_basename(m->made.v[i]);
		int fd SCOPED(fd_closep) = -1;
		struct err e = ERR_INIT;

		if (open_parent(root, m->made.v[i], &fd, &e) == 0)
			(void)unlinkat(fd, name, AT_REMOVEDIR);
	}
}

static const uint64_t memory_default = UINT64_C(4) << 30, disk_default = UINT64_C(8) << 30,
		      output_default = UINT64_C(256) << 20;
enum { PROCESSES_DEFAULT = 1000 };

/* A running step: who listens and who looks. */
struct running {
	struct job *j;
	const struct recipe_step *st;
	struct dialogue dialogue;
	struct disk disk;
	struct shim shim;
};

static int look(void *ctx, pid_t init, struct buf *type, struct err *e)
{
	struct running *r = ctx;

	if (disk_look(&r->disk, e) != 0 || shim_answer(&r->shim, init, e) != 0)
		return -1;
	if (r->st->dialogue == NULL)
		return 0;
	return dialogue_look(&r->dialogue, sandbox_waits, init, type, e);
}

static uint64_t or_default(uint64_t value, uint64_t otherwise)
{
	return value != 0 ? value : otherwise;
}

static void set_limits(const struct recipe_step *st, struct sandbox_spec *spec)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t quarter = (uint64_t)sysconf(_SC_PHYS_PAGES) / 4 * page;
	uint64_t disk = or_default(st->limits.disk, disk_default);

	spec->memory_max = or_default(st->limits.memory, memory_default);
	spec->processes_max = or_default(st->limits.processes, PROCESSES_DEFAULT);
	spec->file_max = or_default(st->limits.file, disk);
	spec->tmp_max = disk < quarter ? disk : quarter;
}

/* The secrets that the step wants, borrowed; all were given (vault_check). */
static struct sandbox_secret *step_secrets(const struct job *j, const struct recipe_step *st)
{
	struct sandbox_secret *v = mem_zalloc((st->secrets.n + 1) * sizeof(*v));

	for (size_t i = 0; i < st->secrets.n; i++)
		v[i] = *vault_find(&j->secrets, st->secrets.v[i]);
	return v;
}

/* Runs it, then looks at what it left to be said: prompts that did not come, a full disk. */
static int run_step(struct running *r, const char *what, struct sandbox_spec *spec, struct err *e)
{
	const struct sandbox_watch watch = {look, r};
	struct job *j = r->j;
	int rc;

	spec->watch = &watch;
	j->log.total_max = or_default(r->st->limits.output, output_default);
	j->log.dialogue = r->st->dialogue != NULL ? &r->dialogue : NULL;
	rc = job_sandbox(j, what, spec, e);
	j->log.dialogue = NULL;
	j->log.total_max = 0;
	if (rc != 0)
		return -1;
	if (disk_count(&r->disk, e) != 0 ||
	    (r->st->dialogue != NULL && dialogue_end(&r->dialogue, e) != 0)) {
		(void)err_in(e, "%s", what);
		return job_said(j, e);
	}
	return 0;
}

/* With everything in its place: the spec, the run, and the end of what listens. */
static int run_prepared(struct running *r, const char *what, const char *root, struct mounts *m,
			struct err *e)
{
	const struct recipe_step *st = r->st;
	struct sandbox_secret *secrets SCOPED(mem_freep) = step_secrets(r->j, st);
	const struct strv *argv = shim_on(&r->shim) ? &r->shim.argv : &st->run;
	struct job_net net SCOPED(job_net_release) = {0};
	struct sandbox_spec spec = {.root = root,
				    .argv = (const char *const *)argv->v,
				    .hostname = st->expects.hostname,
				    .address = st->expects.address,
				    .timeout_ms = st->timeout_ms,
				    .secrets = secrets,
				    .secrets_n = st->secrets.n,
				    .binds = m->binds,
				    .terminal = st->dialogue != NULL,
				    .bits_32 = st->expects.bits_32,
				    .alone = true,
				    .no_sync = true};

	if (job_proxy_begin(r->j, st, &net, e) != 0)
		return err_in(e, "%s", what);
	spec.binds_n = st->mounts_n;
	spec.binds_n += shim_binds(&r->shim, m->binds + spec.binds_n);
	if (net.proxy != NULL) {
		m->binds[spec.binds_n++] = net.bind;
		spec.listen_port = PROXY_PORT;
		spec.listen_to = net.listen_to;
	}
	set_limits(st, &spec);
	return job_proxy_end(r->j, st, &net, run_step(r, what, &spec, e), e);
}

static void running_release(struct running *r)
{
	if (r->st->dialogue != NULL)
		dialogue_release(&r->dialogue);
	shim_release(&r->shim);
}

static int in_step(const struct recipe_step *st, struct err *e)
{
	char *at SCOPED(mem_freep) = recipe_pos_text(&st->pos);

	return err_in(e, "%s", at);
}

int job_step(struct job *j, const struct recipe_step *st, const char *root, const char *upper,
	     struct err *e)
{
	char *what SCOPED(mem_freep) = mem_format("step %s", st->name);
	struct mounts m SCOPED(mounts_release) = {0};
	struct running r SCOPED(running_release) = {.j = j, .st = st};
	int rc;

	if (st->dialogue != NULL)
		dialogue_init(&r.dialogue, st->dialogue, &j->secrets);
	disk_init(&r.disk, upper, or_default(st->limits.disk, disk_default));
	if (vault_check(&j->secrets, st, e) != 0)
		return -1;
	if (loader_check(j, st, root, e) != 0) {
		(void)err_in(e, "%s", what);
		return in_step(st, e);
	}
	if (expects_lay(st, root, &j->laid, e) != 0 || shim_prepare(j, st, root, &r.shim, e) != 0 ||
	    prepare(&r.shim, root, &m, e) != 0)
		return err_in(e, "%s", what);
	r.disk.also[0] = r.shim.ask;
	r.disk.also[1] = r.shim.own;
	r.shim.disk = &r.disk;
	rc = run_prepared(&r, what, root, &m, e);
	tidy(root, &m);
	if (rc == 0)
		rc = expects_check(st, root, &j->laid, e);
	return rc == 0 ? 0 : in_step(st, e);
}
