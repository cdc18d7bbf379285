#include "base/num.h"
#include "sandbox/priv.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char *const devices[] = {"/dev/null",   "/dev/zero",    "/dev/full",
				      "/dev/random", "/dev/urandom", "/dev/tty"};

static const struct {
	const char *target, *path;
} dev_links[] = {
    {"/proc/self/fd", "/dev/fd"},       {"/proc/self/fd/0", "/dev/stdin"},
    {"/proc/self/fd/1", "/dev/stdout"}, {"/proc/self/fd/2", "/dev/stderr"},
    {"pts/ptmx", "/dev/ptmx"},
};

/* What root of the machine may write below /proc, also without any capability: proc(5). */
static const char *const proc_read_only[] = {"/proc/sys", "/proc/sysrq-trigger", "/proc/irq",
					     "/proc/bus", "/proc/fs"};
/* What tells about the machine or other users of it. */
static const char *const proc_hidden[] = {
    "/proc/kcore", "/proc/keys", "/proc/timer_list",    "/proc/kmsg",     "/proc/sched_debug",
    "/proc/acpi",  "/proc/scsi", "/proc/latency_stats", "/proc/kallsyms", "/proc/key-users"};

/* Detached copies of mounts, taken while the outside can still be named. */
struct taken {
	int devices[COUNT(devices)];
	int proc;
	int *binds; /* spec.binds_n */
	size_t binds_n;
};

static void taken_release(struct taken *t)
{
	for (size_t i = 0; i < COUNT(devices); i++)
		fd_closep(&t->devices[i]);
	fd_closep(&t->proc);
	for (size_t i = 0; i < t->binds_n; i++)
		fd_closep(&t->binds[i]);
	free(t->binds);
}

static int take(const char *path, uint64_t attributes, int *ret, struct err *e)
{
	int fd SCOPED(fd_closep) = open_tree(
	    AT_FDCWD, path, OPEN_TREE_CLONE | (unsigned)(OPEN_TREE_CLOEXEC | AT_RECURSIVE));

	if (fd < 0)
		return err_sys(e, "bind %s", path);
	if (mounts_restrict(fd, attributes, path, e) != 0)
		return -1;
	*ret = STEAL_FD(fd);
	return 0;
}

/* The /proc of our own process namespace. An ordinary user gets one only while another whole one
 * is in sight, hence so early. */
static int take_proc(int *ret, struct err *e)
{
	int fs SCOPED(fd_closep) = fsopen("proc", FSOPEN_CLOEXEC);

	if (fs < 0 || fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) != 0)
		return err_sys(e, "make /proc");
	*ret =
	    fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	return *ret >= 0 ? 0 : err_sys(e, "make /proc");
}

static int take_all(const struct sandbox_spec *s, struct taken *t, struct err *e)
{
	for (size_t i = 0; i < COUNT(devices); i++)
		if (take(devices[i], MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, &t->devices[i], e) != 0)
			return -1;
	if (take_proc(&t->proc, e) != 0)
		return -1;
	for (size_t i = 0; i < s->binds_n; i++) {
		uint64_t attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;

		if (!s->binds[i].writable)
			attributes |= MOUNT_ATTR_RDONLY;
		if (take(s->binds[i].from, attributes, &t->binds[i], e) != 0)
			return -1;
	}
	return 0;
}

static int put(int fd, const char *path, struct err *e)
{
	if (move_mount(fd, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) != 0)
		return err_sys(e, "mount %s", path);
	return 0;
}

static int make_file(const char *path, struct err *e)
{
	int fd SCOPED(fd_closep) = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	return fd >= 0 ? 0 : err_sys(e, "make mount point %s", path);
}

static int make_dir(const char *path, struct err *e)
{
	if (fs_mkdirs(AT_FDCWD, path, 0755, e) == 0)
		return 0;
	(void)err_in(e, "make mount point %s", path);
	return e->sys != EROFS ? -1 : err_hint(e, "make %s in the tree before", path);
}

static int fs_at(const char *type, const char *path, unsigned long flags, const char *opts,
		 struct err *e)
{
	if (make_dir(path, e) != 0)
		return -1;
	if (mount(type, path, type, flags, opts) != 0)
		return err_sys(e, "mount %s", path);
	return 0;
}

static int hide(const char *path, struct err *e)
{
	int null SCOPED(fd_closep) = -1;
	struct stat st;

	if (lstat(path, &st) != 0)
		return 0;
	if (S_ISDIR(st.st_mode))
		return fs_at("tmpfs", path, MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
			     "size=4k,nr_inodes=2,mode=0555", e);
	if (take("/dev/null", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, &null, e) != 0)
		return -1;
	return put(null, path, e);
}

static int freeze(const char *path, struct err *e)
{
	int fd SCOPED(fd_closep) = -1;

	if (access(path, F_OK) != 0)
		return 0;
	if (take(path, MOUNT_ATTR_RDONLY, &fd, e) != 0)
		return -1;
	return put(fd, path, e);
}

/* "6.18.4-rc1" is at least major.minor. */
static bool kernel_is(uint64_t major, uint64_t minor)
{
	struct utsname u;
	char *at = u.release, *word;
	uint64_t v[2];

	if (uname(&u) != 0)
		return false;
	for (size_t i = 0; i < 2; i++) {
		word = strsep(&at, ".-+");
		if (word == NULL || num_u64(word, UINT32_MAX, &v[i]) != 0)
			return false;
	}
	return v[0] > major || (v[0] == major && v[1] >= minor);
}

/* Since Linux 6.14 pid_max belongs to the process namespace; before, it is the machine's and must
 * not be touched. It is the one limit that also holds for the machine's root, whom RLIMIT_NPROC
 * exempts. The first 300 numbers are not used twice. */
static int limit_pids(uint64_t max, struct err *e)
{
	const uint64_t reserved = 301, most = 1 << 22;
	int fd SCOPED(fd_closep) = -1;

	if (!kernel_is(6, 14))
		return 0;
	max = max < most - reserved ? max + reserved : most;
	fd = open("/proc/sys/kernel/pid_max", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || dprintf(fd, "%llu", (unsigned long long)max) < 0)
		return err_sys(e, "limit the number of processes");
	return 0;
}

static int make_proc(const struct sandbox_spec *s, int proc, struct err *e)
{
	if (make_dir("/proc", e) != 0 || put(proc, "/proc", e) != 0)
		return -1;
	if (limit_pids(s->processes_max != 0 ? s->processes_max : SANDBOX_PROCESSES, e) != 0)
		return -1;
	for (size_t i = 0; i < COUNT(proc_read_only); i++)
		if (freeze(proc_read_only[i], e) != 0)
			return -1;
	for (size_t i = 0; i < COUNT(proc_hidden); i++)
		if (hide(proc_hidden[i], e) != 0)
			return -1;
	return 0;
}

/* A file system in memory of the size that the spec allows. */
static int make_tmpfs(const struct sandbox_spec *s, const char *path, const char *mode,
		      struct err *e)
{
	char *opts SCOPED(mem_freep) =
	    s->tmp_max == 0 ? mem_format("mode=%s", mode)
			    : mem_format("mode=%s,size=%llu", mode, (unsigned long long)s->tmp_max);

	return fs_at("tmpfs", path, MS_NOSUID | MS_NODEV, opts, e);
}

static int make_dev(const struct sandbox_spec *s, const struct taken *t, struct err *e)
{
	if (fs_at("tmpfs", "/dev", MS_NOSUID | MS_NOEXEC, "mode=0755,size=16m", e) != 0)
		return -1;
	for (size_t i = 0; i < COUNT(devices); i++)
		if (make_file(devices[i], e) != 0 || put(t->devices[i], devices[i], e) != 0)
			return -1;
	for (size_t i = 0; i < COUNT(dev_links); i++)
		if (symlink(dev_links[i].target, dev_links[i].path) != 0)
			return err_sys(e, "make %s", dev_links[i].path);
	if (fs_at("devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC,
		  "newinstance,ptmxmode=0666,mode=0620,gid=5", e) != 0)
		return -1;
	return make_tmpfs(s, "/dev/shm", "1777", e);
}

static int make_tmp(const struct sandbox_spec *s, struct err *e)
{
	if (make_tmpfs(s, "/tmp", "1777", e) != 0 || make_tmpfs(s, "/run", "0755", e) != 0)
		return -1;
	if (mkdir("/run/lock", 01777) != 0)
		return err_sys(e, "make /run/lock");
	return secrets_put(s, e);
}

static int put_bind(const struct sandbox_bind *b, int fd, struct err *e)
{
	char *parent SCOPED(mem_freep) = fs_dirname(b->to);
	struct stat from, to;

	if (b->to[0] != '/')
		return err_set(e, ERR_FAIL, "bind %s: not an absolute path", b->to);
	if (fstat(fd, &from) != 0)
		return err_sys(e, "bind %s", b->from);
	if (stat(b->to, &to) == 0) {
		if (S_ISDIR(from.st_mode) != S_ISDIR(to.st_mode))
			return err_set(e, ERR_FAIL, "bind %s: one is a directory, %s is not",
				       b->from, b->to);
		return put(fd, b->to, e);
	}
	if (S_ISDIR(from.st_mode) ? make_dir(b->to, e) != 0
				  : make_dir(parent, e) != 0 || make_file(b->to, e) != 0)
		return -1;
	return put(fd, b->to, e);
}

static int build(const struct sandbox_spec *s, struct taken *t, struct err *e)
{
	if (mounts_private(e) != 0 || take_all(s, t, e) != 0 ||
	    mounts_pivot(s->root, s->read_only, e) != 0 || make_dev(s, t, e) != 0 ||
	    make_proc(s, t->proc, e) != 0 || make_tmp(s, e) != 0)
		return -1;
	for (size_t i = 0; i < s->binds_n; i++)
		if (put_bind(&s->binds[i], t->binds[i], e) != 0)
			return -1;
	return 0;
}

int mounts_build(const struct sandbox_spec *s, struct err *e)
{
	struct taken t SCOPED(taken_release) = {.proc = -1, .binds_n = s->binds_n};
	mode_t before = umask(0);
	int rc;

	t.binds = mem_zalloc((s->binds_n + 1) * sizeof(*t.binds));
	for (size_t i = 0; i < COUNT(devices); i++)
		t.devices[i] = -1;
	for (size_t i = 0; i < s->binds_n; i++)
		t.binds[i] = -1;
	rc = build(s, &t, e);
	(void)umask(before);
	return rc;
}
