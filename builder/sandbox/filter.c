#include "sandbox/priv.h"
#include <errno.h>
#include <linux/fs.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void filter_freep(scmp_filter_ctx *ctx)
{
	if (*ctx != NULL)
		seccomp_release(*ctx);
}

static int err_scmp(struct err *e, int rc, const char *what)
{
	errno = -rc;
	return err_sys(e, "seccomp: %s", what);
}

/* A filter whose answer to anything not named by a rule is `otherwise`. */
static int start(uint32_t otherwise, scmp_filter_ctx *ret, struct err *e)
{
	scmp_filter_ctx ctx = seccomp_init(otherwise);
	int rc;

	if (ctx == NULL)
		return err_set(e, ERR_FAIL, "seccomp: no filter");
	rc = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(EPERM));
	if (rc == 0)
		rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_NNP, 1);
	if (rc != 0) {
		seccomp_release(ctx);
		return err_scmp(e, rc, "set up");
	}
	*ret = ctx;
	return 0;
}

/* A call that this machine's architecture does not have needs no rule. */
static int add(scmp_filter_ctx ctx, uint32_t action, const char *name, struct err *e)
{
	int nr = seccomp_syscall_resolve_name(name);
	int rc = nr < 0 ? 0 : seccomp_rule_add_array(ctx, action, nr, 0, NULL);

	return rc == 0 ? 0 : err_scmp(e, rc, name);
}

static int add_if(scmp_filter_ctx ctx, uint32_t action, const char *name, struct scmp_arg_cmp when,
		  struct err *e)
{
	int nr = seccomp_syscall_resolve_name(name);
	int rc = nr < 0 ? 0 : seccomp_rule_add_array(ctx, action, nr, 1, &when);

	return rc == 0 ? 0 : err_scmp(e, rc, name);
}

static struct scmp_arg_cmp arg_is(unsigned arg, scmp_datum_t value)
{
	return (struct scmp_arg_cmp){arg, SCMP_CMP_EQ, value, 0};
}

static struct scmp_arg_cmp arg_bits(unsigned arg, scmp_datum_t mask, scmp_datum_t value)
{
	return (struct scmp_arg_cmp){arg, SCMP_CMP_MASKED_EQ, mask, value};
}

static int load(scmp_filter_ctx ctx, struct err *e)
{
	int rc = seccomp_load(ctx);

	return rc == 0 ? 0 : err_scmp(e, rc, "load");
}

/* What reading, writing and naming files, memory, time and threads need. */
static const char *const worker_calls[] = {
    "access",
    "arch_prctl",
    "brk",
    "chdir",
    "chmod",
    "chown",
    "clock_getres",
    "clock_gettime",
    "clock_nanosleep",
    "close",
    "close_range",
    "copy_file_range",
    "creat",
    "dup",
    "dup2",
    "dup3",
    "exit",
    "exit_group",
    "faccessat",
    "faccessat2",
    "fadvise64",
    "fallocate",
    "fchdir",
    "fchmod",
    "fchmodat",
    "fchown",
    "fchownat",
    "fcntl",
    "fdatasync",
    "fgetxattr",
    "flistxattr",
    "flock",
    "fremovexattr",
    "fsetxattr",
    "fstat",
    "fstatfs",
    "fsync",
    "ftruncate",
    "futex",
    "futimesat",
    "getcpu",
    "getcwd",
    "getdents",
    "getdents64",
    "getegid",
    "geteuid",
    "getgid",
    "getgroups",
    "getpid",
    "getppid",
    "getrandom",
    "getresgid",
    "getresuid",
    "getrlimit",
    "getrusage",
    "gettid",
    "gettimeofday",
    "getuid",
    "getxattr",
    "get_robust_list",
    "lchown",
    "lgetxattr",
    "link",
    "linkat",
    "listxattr",
    "llistxattr",
    "lremovexattr",
    "lseek",
    "lsetxattr",
    "lstat",
    "madvise",
    "membarrier",
    "memfd_create",
    "mkdir",
    "mkdirat",
    "mmap",
    "mprotect",
    "mremap",
    "munmap",
    "nanosleep",
    "newfstatat",
    "open",
    "openat",
    "openat2",
    "pipe",
    "pipe2",
    "poll",
    "ppoll",
    "pread64",
    "preadv",
    "preadv2",
    "pselect6",
    "pwrite64",
    "pwritev",
    "pwritev2",
    "read",
    "readlink",
    "readlinkat",
    "readv",
    "removexattr",
    "rename",
    "renameat",
    "renameat2",
    "restart_syscall",
    "rmdir",
    "rseq",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sched_getaffinity",
    "sched_yield",
    "select",
    "sendfile",
    "setxattr",
    "set_robust_list",
    "set_tid_address",
    "sigaltstack",
    "stat",
    "statfs",
    "statx",
    "symlink",
    "symlinkat",
    "sync_file_range",
    "sysinfo",
    "time",
    "times",
    "truncate",
    "umask",
    "uname",
    "unlink",
    "unlinkat",
    "utime",
    "utimensat",
    "utimes",
    "write",
    "writev",
};

/* ioctl: only what copies files and asks whether something is a terminal. */
static const unsigned long worker_ioctls[] = {FICLONE, FICLONERANGE, FIONREAD, TCGETS};

static int worker_conditions(scmp_filter_ctx ctx, struct err *e)
{
	for (size_t i = 0; i < COUNT(worker_ioctls); i++)
		if (add_if(ctx, SCMP_ACT_ALLOW, "ioctl", arg_bits(1, UINT32_MAX, worker_ioctls[i]),
			   e) != 0)
			return -1;
	/* threads, not processes; glibc falls back from clone3 when told ENOSYS */
	if (add_if(ctx, SCMP_ACT_ALLOW, "clone", arg_bits(0, CLONE_THREAD, CLONE_THREAD), e) != 0)
		return -1;
	/* abort(3) signals itself */
	if (add_if(ctx, SCMP_ACT_ALLOW, "tgkill", arg_is(0, (scmp_datum_t)getpid()), e) != 0)
		return -1;
	/* reading limits, not setting them */
	return add_if(ctx, SCMP_ACT_ALLOW, "prlimit64", arg_is(2, 0), e);
}

int filter_worker(struct err *e)
{
	scmp_filter_ctx ctx SCOPED(filter_freep) = NULL;

	if (start(SCMP_ACT_ERRNO(ENOSYS), &ctx, e) != 0)
		return -1;
	for (size_t i = 0; i < COUNT(worker_calls); i++)
		if (add(ctx, SCMP_ACT_ALLOW, worker_calls[i], e) != 0)
			return -1;
	if (worker_conditions(ctx, e) != 0)
		return -1;
	return load(ctx, e);
}
