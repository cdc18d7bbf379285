/* mountin.c - a mount in a running sandbox, made from outside: nobody inside may make one. */
#include "sandbox/priv.h"
#include "sys/fs.h"
#include "sys/proc.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* The sandbox's mount namespace, by a child of its process 1: that one itself does not let an
 * ordinary user look into it. */
static int open_mounts(pid_t init, struct err *e)
{
	struct strv names SCOPED(strv_release) = {0};

	if (fs_list(AT_FDCWD, "/proc", &names, e) != 0)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		char *path SCOPED(mem_freep) = mem_format("/proc/%s/ns/mnt", names.v[i]);
		int fd;

		if (names.v[i][0] < '0' || names.v[i][0] > '9' || proc_parent(names.v[i]) != init)
			continue;
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0)
			return fd;
	}
	return err_set(e, ERR_STEP, "the sandbox cannot be reached");
}

/* By which a mount is known again, wherever its mount point has been moved to. */
static int mount_id(int fd, const char *path, struct statx *ret, struct err *e)
{
	const unsigned want = STATX_MNT_ID;

	if (statx(fd, "", AT_EMPTY_PATH, want, ret) != 0)
		return err_sys(e, "look at %s", path);
	if ((ret->stx_mask & want) == 0)
		return err_set(e, ERR_FAIL, "%s: this kernel does not tell which mount it is on",
			       path);
	return 0;
}

/* A directory of the sandbox that we are in. No link is followed: the step makes them, and may swap
 * a directory for one at any time. */
static int open_at(const char *at, int *ret, struct statx *ret_on, struct err *e)
{
	const struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
				     .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
	int fd SCOPED(fd_closep) = (int)syscall(SYS_openat2, AT_FDCWD, at, &how, sizeof(how));

	if (fd < 0)
		return err_sys(e, "open %s", at);
	if (mount_id(fd, at, ret_on, e) != 0)
		return -1;
	*ret = STEAL_FD(fd);
	return 0;
}

/* Whether it lies on the file system that is mounted at `top`, and is not the whole of it. */
static bool lies_on(const struct statx *x, const char *top)
{
	int fd SCOPED(fd_closep) = -1;
	struct err quiet = ERR_INIT;
	struct statx on;

	return open_at(top, &fd, &on, &quiet) == 0 && on.stx_mnt_id == x->stx_mnt_id &&
	       (x->stx_attributes & STATX_ATTR_MOUNT_ROOT) == 0;
}

/* Only on the step's own tree and its /tmp: the sandbox's /proc, /dev and /run and what is bound
 * into it are what keeps the step inside, and what we ourselves look at. */
static int attach(int tree, const char *at, struct err *e)
{
	int fd SCOPED(fd_closep) = -1;
	struct statx x;

	if (open_at(at, &fd, &x, e) != 0)
		return -1;
	if (!lies_on(&x, "/") && !lies_on(&x, "/tmp"))
		return err_set(e, ERR_STEP, "%s: nothing can be mounted there", at);
	if (move_mount(tree, "", fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0)
		return err_sys(e, "mount at %s", at);
	return 0;
}

/* By "." and not by its path, which may be another's by now. */
static int detach(const char *at, uint64_t id, struct err *e)
{
	int fd SCOPED(fd_closep) = -1;
	struct statx x;

	if (open_at(at, &fd, &x, e) != 0)
		return -1;
	if (x.stx_mnt_id != id || (x.stx_attributes & STATX_ATTR_MOUNT_ROOT) == 0)
		return err_set(e, ERR_STEP, "%s: no image is mounted there", at);
	if (fchdir(fd) != 0 || umount2(".", MNT_DETACH) != 0)
		return err_sys(e, "unmount %s", at);
	return 0;
}

static int open_from(const char *from, int *ret, struct err *e)
{
	int fd SCOPED(fd_closep) =
	    open_tree(AT_FDCWD, from, OPEN_TREE_CLONE | (unsigned)OPEN_TREE_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "open tree %s", from);
	if (mounts_restrict(fd, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, from,
			    e) != 0)
		return -1;
	*ret = STEAL_FD(fd);
	return 0;
}

/* How the child ended that was there. */
static int conclude(pid_t pid, int report, struct err *e)
{
	struct err said = ERR_INIT;
	int status = 0;

	if (pid < 0)
		return err_sys(e, "fork");
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (status == 0)
		return 0;
	if (report_take(report, &said) == 0)
		return err_set(e, ERR_FAIL, "mounting in the sandbox failed");
	*e = said;
	return -1;
}

/* In a child, which goes into the sandbox: mounts the tree there, or takes away the mount `id`. */
static int change(pid_t init, int tree, const char *at, uint64_t id, struct err *e)
{
	int ns SCOPED(fd_closep) = open_mounts(init, e);
	int report[2] = {-1, -1}, rc;
	struct err said = ERR_INIT;
	pid_t pid;

	if (ns < 0)
		return -1;
	if (pipe2(report, O_CLOEXEC) != 0)
		return err_sys(e, "make a pipe");
	pid = fork();
	if (pid == 0) {
		if (setns(ns, CLONE_NEWNS) != 0)
			(void)err_sys(&said, "enter the sandbox");
		else if ((tree < 0 ? detach(at, id, &said) : attach(tree, at, &said)) == 0)
			_exit(0);
		report_send(report[1], &said);
		_exit(1);
	}
	fd_closep(&report[1]);
	rc = conclude(pid, report[0], e);
	fd_closep(&report[0]);
	return rc;
}

int sandbox_mount_in(pid_t init, const char *from, const char *to, uint64_t *ret_id, struct err *e)
{
	int tree SCOPED(fd_closep) = -1;
	struct statx x;

	if (open_from(from, &tree, e) != 0 || mount_id(tree, from, &x, e) != 0 ||
	    change(init, tree, to, 0, e) != 0)
		return -1;
	*ret_id = x.stx_mnt_id;
	return 0;
}

int sandbox_unmount_in(pid_t init, const char *at, uint64_t id, struct err *e)
{
	return change(init, -1, at, id, e);
}
