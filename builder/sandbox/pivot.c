#include "sandbox/priv.h"
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

int mounts_private(struct err *e)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		return err_sys(e, "make mounts private");
	return 0;
}

/* A mount point is needed for a moment only; every Linux system has /tmp. */
static int attach_empty(struct err *e)
{
	if (mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY,
		  "size=4k,nr_inodes=2,mode=0555") != 0)
		return err_sys(e, "mount an empty root");
	return chdir("/tmp") == 0 ? 0 : err_sys(e, "enter the empty root");
}

int mounts_restrict(int fd, uint64_t attributes, const char *path, struct err *e)
{
	struct mount_attr a = {.attr_set = attributes};

	if (mount_setattr(fd, "", (unsigned)(AT_EMPTY_PATH | AT_RECURSIVE), &a, sizeof(a)) != 0)
		return err_sys(e, "restrict mount %s", path);
	return 0;
}

static int attach_tree(const char *root, bool read_only, struct err *e)
{
	uint64_t attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
	int fd SCOPED(fd_closep) =
	    open_tree(AT_FDCWD, root, OPEN_TREE_CLONE | (unsigned)OPEN_TREE_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "open tree %s", root);
	if (read_only)
		attributes |= MOUNT_ATTR_RDONLY;
	if (mounts_restrict(fd, attributes, root, e) != 0)
		return -1;
	if (move_mount(fd, "", AT_FDCWD, root, MOVE_MOUNT_F_EMPTY_PATH) != 0)
		return err_sys(e, "mount %s", root);
	return fchdir(fd) == 0 ? 0 : err_sys(e, "enter %s", root);
}

int mounts_pivot(const char *root, bool read_only, struct err *e)
{
	if ((root == NULL ? attach_empty(e) : attach_tree(root, read_only, e)) != 0)
		return -1;
	/* the old root ends up on top of the new one, where it can be taken off: pivot_root(2) */
	if (syscall(SYS_pivot_root, ".", ".") != 0)
		return err_sys(e, "pivot_root");
	if (umount2(".", MNT_DETACH) != 0)
		return err_sys(e, "detach the old root");
	if (chdir("/") != 0)
		return err_sys(e, "enter the new root");
	return 0;
}
