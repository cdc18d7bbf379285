/* mountin.c - a mount in a running sandbox, made from outside: nobody inside may make one. */
#include "sandbox/priv.h"
#include "sys/fs.h"
#include "sys/proc.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
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

static int attach(int ns, int tree, const char *at, struct err *e)
{
	if (setns(ns, CLONE_NEWNS) != 0)
		return err_sys(e, "enter the sandbox");
	if (tree < 0)
		return umount2(at, MNT_DETACH | UMOUNT_NOFOLLOW) == 0
			   ? 0
			   : err_sys(e, "unmount %s", at);
	if (move_mount(tree, "", AT_FDCWD, at, MOVE_MOUNT_F_EMPTY_PATH) != 0)
		return err_sys(e, "mount at %s", at);
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

int sandbox_mount_in(pid_t init, const char *from, const char *to, struct err *e)
{
	int ns SCOPED(fd_closep) = open_mounts(init, e), tree SCOPED(fd_closep) = -1;
	int report[2] = {-1, -1}, rc;
	struct err said = ERR_INIT;
	pid_t pid;

	if (ns < 0 || (from != NULL && open_from(from, &tree, e) != 0))
		return -1;
	if (pipe2(report, O_CLOEXEC) != 0)
		return err_sys(e, "make a pipe");
	pid = fork();
	if (pid == 0) {
		if (attach(ns, tree, to, &said) == 0)
			_exit(0);
		report_send(report[1], &said);
		_exit(1);
	}
	fd_closep(&report[1]);
	rc = conclude(pid, report[0], e);
	fd_closep(&report[0]);
	return rc;
}
