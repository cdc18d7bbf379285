#include "form/digest.h"
#include "sandbox/priv.h"
#include "sys/fs.h"
#include <errno.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
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

/* Managing the machine: EPERM, as without the privilege. */
static const char *const run_refused[] = {
    "acct",
    "add_key",
    "adjtimex",
    "bpf",
    "clock_adjtime",
    "clock_adjtime64",
    "clock_settime",
    "clock_settime64",
    "create_module",
    "delete_module",
    "fanotify_init",
    "finit_module",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "get_kernel_syms",
    "init_module",
    "ioperm",
    "iopl",
    "kcmp",
    "kexec_file_load",
    "kexec_load",
    "keyctl",
    "lookup_dcookie",
    "mbind",
    "migrate_pages",
    "modify_ldt",
    "mount",
    "mount_setattr",
    "move_mount",
    "move_pages",
    "nfsservctl",
    "open_by_handle_at",
    "open_tree",
    "perf_event_open",
    "pidfd_getfd",
    "pivot_root",
    "process_madvise",
    "process_vm_readv",
    "process_vm_writev",
    "ptrace",
    "query_module",
    "quotactl",
    "quotactl_fd",
    "reboot",
    "request_key",
    "set_mempolicy",
    "set_mempolicy_home_node",
    "setdomainname",
    "sethostname",
    "setns",
    "settimeofday",
    "stime",
    "swapoff",
    "swapon",
    "syslog",
    "umount",
    "umount2",
    "unshare",
    "uselib",
    "userfaultfd",
    "vhangup",
    "vm86",
    "vm86old",
};

/* As if this kernel did not have them, so that programs take the older way. */
static const char *const run_unknown[] = {
    "_sysctl", "clone3", "io_uring_enter", "io_uring_register", "io_uring_setup", "sysfs", "ustat",
};

static const char *const run_syncs[] = {
    "fdatasync", "fsync", "msync", "sync", "sync_file_range", "sync_file_range2", "syncfs",
};

static const int run_families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};

static const unsigned long run_namespaces[] = {CLONE_NEWNS,    CLONE_NEWUTS, CLONE_NEWIPC,
					       CLONE_NEWPID,   CLONE_NEWNET, CLONE_NEWUSER,
					       CLONE_NEWCGROUP};

/* typing into a terminal, and its console's copy and paste */
static const unsigned long run_ioctls[] = {TIOCSTI, TIOCLINUX};

static bool is_in(const char *const *list, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i], name) == 0)
			return true;
	return false;
}

/* The numbers that calls have. */
enum { NUMBERS = 1024 };

/* Programs of 32 bits of the same make of processor. */
static int with_old(scmp_filter_ctx ctx, struct err *e)
{
	int rc = seccomp_arch_native() == SCMP_ARCH_X86_64 ? seccomp_arch_add(ctx, SCMP_ARCH_X86)
							   : -EDOM;

	if (rc == 0)
		return 0;
	(void)err_scmp(e, rc, "32-bit programs");
	return err_hint(e, "only x86-64 has them");
}

static int add_known(scmp_filter_ctx ctx, int nr, const char *name, bool no_sync, struct err *e)
{
	uint32_t action = SCMP_ACT_ALLOW;
	int rc;

	if (is_in(run_unknown, COUNT(run_unknown), name))
		return 0;
	if (is_in(run_refused, COUNT(run_refused), name))
		action = SCMP_ACT_ERRNO(EPERM);
	if (no_sync && is_in(run_syncs, COUNT(run_syncs), name))
		action = SCMP_ACT_ERRNO(0);
	rc = seccomp_rule_add_array(ctx, action, nr, 0, NULL);
	return rc == 0 ? 0 : err_scmp(e, rc, name);
}

/* A filter as the kernel takes it. */
struct program {
	struct sock_filter *v;
	unsigned short n;
};

static int take_bytes(int fd, struct program *ret, struct err *e)
{
	struct sock_filter *v SCOPED(mem_freep) = NULL;
	struct stat st;

	if (fstat(fd, &st) != 0 || lseek(fd, 0, SEEK_SET) != 0)
		return err_sys(e, "seccomp: export");
	v = mem_zalloc((size_t)st.st_size);
	if (fs_read_all(fd, v, (size_t)st.st_size, e) != 0)
		return -1;
	ret->n = (unsigned short)((size_t)st.st_size / sizeof(*v));
	ret->v = STEAL(v);
	return 0;
}

static int compile(scmp_filter_ctx ctx, struct program *ret, struct err *e)
{
	int fd SCOPED(fd_closep) = memfd_create("filter", MFD_CLOEXEC);
	int rc;

	if (fd < 0)
		return err_sys(e, "seccomp: export");
	rc = seccomp_export_bpf(ctx, fd);
	return rc == 0 ? take_bytes(fd, ret, e) : err_scmp(e, rc, "export");
}

static int load_program(const struct program *p, struct err *e)
{
	const struct sock_fprog prog = {.len = p->n, .filter = p->v};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0UL, &prog) != 0)
		return err_sys(e, "seccomp: load");
	return 0;
}

/* What programs of 32 bits have beside the calls of this machine and does several things, by
 * arguments that no filter could see. */
static const char *const old_unknown[] = {"socketcall", "ipc"};

/* Calls that only the machine's 32-bit side has. */
static int add_old_calls(scmp_filter_ctx ctx, struct err *e)
{
	for (int nr = 0; nr < NUMBERS; nr++) {
		char *name SCOPED(mem_freep) = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86, nr);
		int own = name != NULL ? seccomp_syscall_resolve_name(name) : 0;
		uint32_t action = SCMP_ACT_ALLOW;
		int rc;

		if (name == NULL || own >= 0 || is_in(old_unknown, COUNT(old_unknown), name))
			continue;
		if (is_in(run_refused, COUNT(run_refused), name))
			action = SCMP_ACT_ERRNO(EPERM);
		rc = seccomp_rule_add_array(ctx, action, own, 0, NULL);
		if (rc != 0)
			return err_scmp(e, rc, name);
	}
	return 0;
}

/* Calls by number: what the library has no name for is newer than this policy. */
static int make_calls(bool no_sync, bool old, struct program *ret, struct err *e)
{
	scmp_filter_ctx ctx SCOPED(filter_freep) = NULL;

	if (start(SCMP_ACT_ERRNO(ENOSYS), &ctx, e) != 0 || (old && with_old(ctx, e) != 0))
		return -1;
	for (int nr = 0; nr < NUMBERS; nr++) {
		char *name SCOPED(mem_freep) =
		    seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, nr);

		if (name != NULL && add_known(ctx, nr, name, no_sync, e) != 0)
			return -1;
	}
	if (old && add_old_calls(ctx, e) != 0)
		return -1;
	return compile(ctx, ret, e);
}

static int refuse_families(scmp_filter_ctx ctx, struct err *e)
{
	enum { FAMILIES = 64 };

	for (int f = 0; f < FAMILIES; f++) {
		bool allowed = false;

		for (size_t i = 0; i < COUNT(run_families); i++)
			allowed = allowed || run_families[i] == f;
		if (!allowed && add_if(ctx, SCMP_ACT_ERRNO(EAFNOSUPPORT), "socket",
				       arg_bits(0, UINT32_MAX, (scmp_datum_t)f), e) != 0)
			return -1;
	}
	return 0;
}

/* Arguments, in a second filter: the kernel takes the stricter answer of the two. */
static int make_arguments(bool old, struct program *ret, struct err *e)
{
	scmp_filter_ctx ctx SCOPED(filter_freep) = NULL;

	if (start(SCMP_ACT_ALLOW, &ctx, e) != 0 || (old && with_old(ctx, e) != 0))
		return -1;
	for (size_t i = 0; i < COUNT(run_namespaces); i++)
		if (add_if(ctx, SCMP_ACT_ERRNO(EPERM), "clone",
			   arg_bits(0, run_namespaces[i], run_namespaces[i]), e) != 0)
			return -1;
	for (size_t i = 0; i < COUNT(run_ioctls); i++)
		if (add_if(ctx, SCMP_ACT_ERRNO(EPERM), "ioctl",
			   arg_bits(1, UINT32_MAX, run_ioctls[i]), e) != 0)
			return -1;
	if (refuse_families(ctx, e) != 0)
		return -1;
	return compile(ctx, ret, e);
}

/* Compiling takes longer than many a program that then runs: once a process is enough. */
static struct program arguments[2], calls[2][2];

int filter_prepare(bool no_sync, bool bits_32, struct err *e)
{
	if (arguments[bits_32].v == NULL && make_arguments(bits_32, &arguments[bits_32], e) != 0)
		return -1;
	return calls[bits_32][no_sync].v != NULL
		   ? 0
		   : make_calls(no_sync, bits_32, &calls[bits_32][no_sync], e);
}

int filter_run(bool no_sync, bool bits_32, struct err *e)
{
	if (filter_prepare(no_sync, bits_32, e) != 0 || load_program(&arguments[bits_32], e) != 0)
		return -1;
	return load_program(&calls[bits_32][no_sync], e);
}

static void hash_names(struct hash *h, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		hash_add(h, names[i], strlen(names[i]) + 1);
	hash_add(h, "", 1);
}

const char *sandbox_policy_id(void)
{
	static const char version[] = "namespaces+pivot_root 1";
	static struct digest_text id;
	struct hash *h SCOPED(hash_freep) = hash_new();
	uint64_t caps = CAPS_RUN;
	struct digest d;

	hash_add(h, version, sizeof(version));
	hash_add(h, &caps, sizeof(caps));
	hash_names(h, run_refused, COUNT(run_refused));
	hash_names(h, run_unknown, COUNT(run_unknown));
	hash_names(h, run_syncs, COUNT(run_syncs));
	hash_add(h, run_families, sizeof(run_families));
	hash_add(h, run_namespaces, sizeof(run_namespaces));
	hash_add(h, run_ioctls, sizeof(run_ioctls));
	d = hash_final(h);
	id = digest_text(&d);
	return id.s;
}
