/* confine.c - for a process of ours that talks to a program in the sandbox and to the network. */
#include "sandbox/priv.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

/* Everything read-only but for one directory. */
static int freeze(const char *writable, struct err *e)
{
	int tree SCOPED(fd_closep) = -1;
	struct mount_attr a = {.attr_set = MOUNT_ATTR_RDONLY};

	if (mounts_private(e) != 0)
		return -1;
	tree = open_tree(AT_FDCWD, writable, OPEN_TREE_CLONE | (unsigned)OPEN_TREE_CLOEXEC);
	if (tree < 0)
		return err_sys(e, "open tree %s", writable);
	if (mounts_restrict(tree, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
			    writable, e) != 0)
		return -1;
	if (mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &a, sizeof(a)) != 0)
		return err_sys(e, "make the file systems read-only");
	if (move_mount(tree, "", AT_FDCWD, writable, MOVE_MOUNT_F_EMPTY_PATH) != 0)
		return err_sys(e, "mount %s", writable);
	return chdir("/") == 0 ? 0 : err_sys(e, "enter /");
}

int sandbox_confine(const struct sandbox_confine_spec *s, struct err *e)
{
	int flags = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | (s->network ? 0 : CLONE_NEWNET);

	if (descriptors_keep(s->keep, s->keep_n, e) != 0 || descriptors_null(e) != 0)
		return -1;
	if (unshare(flags) != 0)
		return err_sys(e, "make namespaces");
	if (freeze(s->writable, e) != 0 || limit_lower(RLIMIT_CORE, 0, e) != 0 ||
	    limit_lower(RLIMIT_NOFILE, 1024, e) != 0)
		return -1;
	/* it holds keys: nobody looks into it */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return err_sys(e, "clear dumpable");
	if (caps_limit(0, e) != 0)
		return -1;
	return filter_run(false, false, e);
}
