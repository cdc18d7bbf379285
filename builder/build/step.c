#include "build/job.h"

#include "archive/unpack.h"
#include "base/log.h"
#include "proxy/proxy.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Media unpack to about their own size; a few bytes that claim to be many are a trap. */
enum { MEDIUM_GROWTH = 20, MEDIUM_SPARE = 64 << 20 };

/* A medium's tree under the build's scratch, unpacked once a build; the caller owns the path. */
static int medium_tree(struct job *j, const struct recipe_media *m, char **ret, struct err *e)
{
	char *dir SCOPED(mem_freep) = mem_format("%s/medium.%s", j->scratch, m->name);
	struct unpack_opts o = {.what = m->name, .read_only = true};
	int fd SCOPED(fd_closep) = -1;
	uint64_t size = 0;

	if (store_has(j->s, &m->digest, &size))
		o.bytes_max = size * MEDIUM_GROWTH + MEDIUM_SPARE;

	if (mkdir(dir, 0755) == 0) {
		if (store_get(j->s, &m->digest, &fd, e) != 0 || unpack(fd, dir, &o, e) != 0) {
			char *at SCOPED(mem_freep) = recipe_pos_text(&m->pos);

			return err_in(e, "%s: medium %s", at, m->name);
		}
	} else if (errno != EEXIST) {
		return err_sys(e, "make directory %s", dir);
	}
	*ret = STEAL(dir);
	return 0;
}

struct mounts {
	struct sandbox_bind *binds;
	struct strv from; /* keeps the binds' paths alive */
	struct strv made; /* mount points that the tree did not have, deepest last */
};

static void mounts_release(struct mounts *m)
{
	free(m->binds);
	strv_release(&m->from);
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

static int prepare(struct job *j, const struct recipe_step *st, const char *root, struct mounts *m,
		   struct err *e)
{
	m->binds = mem_zalloc((st->mounts_n + 1) * sizeof(*m->binds)); /* one for the network */
	for (size_t i = 0; i < st->mounts_n; i++) {
		const struct recipe_media *media = recipe_media_find(j->r, st->mounts[i].media);
		char *tree = NULL;

		if (media == NULL)
			return recipe_err(&st->pos, e, "no medium %s", st->mounts[i].media);
		if (medium_tree(j, media, &tree, e) != 0 ||
		    mount_point(root, st->mounts[i].at, m, e) != 0) {
			free(tree);
			return -1;
		}
		strv_take(&m->from, tree);
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

int job_step(struct job *j, const struct recipe_step *st, const char *root, struct err *e)
{
	char *what SCOPED(mem_freep) = mem_format("step %s", st->name);
	struct mounts m SCOPED(mounts_release) = {0};
	struct job_net net SCOPED(job_net_release) = {0};
	struct sandbox_spec spec = {.root = root,
				    .argv = (const char *const *)st->run.v,
				    .timeout_ms = st->timeout_ms,
				    .no_sync = true};
	int rc;

	if (prepare(j, st, root, &m, e) != 0 || job_proxy_begin(j, st, &net, e) != 0)
		return err_in(e, "%s", what);
	spec.binds = m.binds;
	spec.binds_n = st->mounts_n;
	if (net.proxy != NULL) {
		m.binds[spec.binds_n++] = net.bind;
		spec.listen_port = PROXY_PORT;
		spec.listen_to = net.listen_to;
	}
	rc = job_proxy_end(j, st, &net, job_sandbox(j, what, &spec, e), e);
	tidy(root, &m);
	if (rc != 0) {
		char *at SCOPED(mem_freep) = recipe_pos_text(&st->pos);

		return err_in(e, "%s", at);
	}
	return 0;
}
