/* trees.c - what the engine has unpacked, and what an instance that runs has, as this machine sees
 * it: without an archive in between. Whoever finds nothing to see asks the engine for one. */
#include "stage/parts.h"

#include "base/log.h"
#include "sandbox/sandbox.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAP_MAX = 1 << 16 };

/* Where an engine gives its containers other numbers of users, its directories are of its group of
 * that root. */
static bool is_roots(const char *layer)
{
	char *dir SCOPED(mem_freep) = fs_dirname(layer);
	struct stat st;

	return lstat(dir, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == 0 && st.st_gid == 0;
}

int stage_image_tree(const struct stage *st)
{
	const char *const *layers = (const char *const *)st->layers.v;
	struct strv names SCOPED(strv_release) = {0};
	int fd SCOPED(fd_closep) = -1;
	struct err quiet = ERR_INIT;

	/* an engine with mounts of its own may leave empty directories here */
	if (st->layers.n == 0 || !is_roots(layers[0]) ||
	    sandbox_overlay_view(layers, st->layers.n, &fd, &quiet) != 0 ||
	    fs_list(fd, ".", &names, &quiet) != 0 || names.n == 0)
		return -1;
	return STEAL_FD(fd);
}

/* Whether its users have the numbers that they have here: user_namespaces(7). */
static bool has_our_users(int pid)
{
	struct buf ours SCOPED(buf_release) = BUF_INIT(MAP_MAX);
	struct buf theirs SCOPED(buf_release) = BUF_INIT(MAP_MAX);
	char *path SCOPED(mem_freep) = mem_format("/proc/%d/uid_map", pid);
	struct err quiet = ERR_INIT;

	return fs_get(AT_FDCWD, "/proc/self/uid_map", &ours, &quiet) == 0 &&
	       fs_get(AT_FDCWD, path, &theirs, &quiet) == 0 && strcmp(ours.data, theirs.data) == 0;
}

/* A process on its way into its container still has the root of the host. */
static bool is_hosts(int fd)
{
	struct stat st, host;

	return fstat(fd, &st) != 0 || stat("/", &host) != 0 ||
	       (st.st_dev == host.st_dev && st.st_ino == host.st_ino);
}

int stage_instance_tree(const struct engine_state *s)
{
	char *path SCOPED(mem_freep) = mem_format("/proc/%d/root", s->pid);
	int fd SCOPED(fd_closep) = -1;
	struct err quiet = ERR_INIT;
	bool is = false;

	if (!s->running || s->pid <= 0)
		return -1;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* the question comes last: the number may have become another's before */
	if (fd < 0 || is_hosts(fd) || !has_our_users(s->pid) ||
	    stage_process_is(s, &is, &quiet) != 0 || !is)
		return -1;
	return STEAL_FD(fd);
}

/* Something is mounted there that we see too, and its root is the root that we know. */
static bool is_seen(int fd)
{
	struct statx s;

	return statx(fd, "", AT_EMPTY_PATH, STATX_UID | STATX_GID, &s) == 0 &&
	       (s.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0 && s.stx_uid == 0 && s.stx_gid == 0;
}

int stage_still_tree(struct stage *st, const struct stage_one *one)
{
	char *path SCOPED(mem_freep) = NULL;
	struct err why = ERR_INIT;
	int fd SCOPED(fd_closep) = -1;

	/* whoever asks for archives then is told why */
	if (engine_mount(st->en, one->container, &path, &why) != 0 || path == NULL)
		return -1;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && is_seen(fd))
		return STEAL_FD(fd);
	if (engine_unmount(st->en, one->container, &why) != 0)
		log_warn("%s", why.msg);
	return -1;
}

void stage_still_done(struct stage *st, const struct stage_one *one, int *tree)
{
	struct err why = ERR_INIT;

	if (*tree < 0)
		return;
	/* while it is open the engine cannot unmount it */
	fd_closep(tree);
	if (engine_unmount(st->en, one->container, &why) != 0)
		log_warn("%s", why.msg);
}
