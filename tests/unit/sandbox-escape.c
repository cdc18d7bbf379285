/* What hostile code, as uid 0 in the sandbox, tries in order to get out of it. The program under
 * test is this one: bound into the sandbox and run as `/self --deed NAME`. */
#include "sandbox-root.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>

static uint16_t port; /* of the listener outside, and the abstract socket's number */

static int setup(void **state)
{
	(void)state;
	return make_root();
}

static int teardown(void **state)
{
	(void)state;
	return drop_root();
}

/* Deeds return negative with errno set when refused. */
static int do_mount(void)
{
	return mount("tmpfs", "/work", "tmpfs", 0, NULL);
}

static int do_fsopen(void)
{
	return (int)syscall(SYS_fsopen, "tmpfs", 0);
}

static int do_open_tree(void)
{
	return (int)syscall(SYS_open_tree, AT_FDCWD, "/", 1);
}

static int do_setattr(void)
{
	char attr[32] = {0};

	return (int)syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, attr, sizeof(attr));
}

static int do_umount(void)
{
	return umount2("/proc/sys", MNT_DETACH);
}

static int do_pivot(void)
{
	return (int)syscall(SYS_pivot_root, "/", "/tmp");
}

static int do_unshare(void)
{
	return (int)syscall(SYS_unshare, CLONE_NEWUSER | CLONE_NEWNS);
}

static int do_clone(void)
{
	pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);

	if (pid == 0)
		_exit(0);
	return pid;
}

static int do_clone3(void)
{
	struct clone_args a = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
	pid_t pid = (pid_t)syscall(SYS_clone3, &a, sizeof(a));

	if (pid == 0)
		_exit(0);
	return pid;
}

static int do_setns(void)
{
	int fd = open("/proc/1/ns/user", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? fd : (int)syscall(SYS_setns, fd, 0);
}

static int do_device(void)
{
	return mknod("/work/disk", S_IFBLK | 0600, makedev(8, 0));
}

static int do_memory(void)
{
	return mknod("/tmp/mem", S_IFCHR | 0600, makedev(1, 1));
}

static int do_ptrace(void)
{
	return (int)ptrace(PTRACE_ATTACH, 1, 0, 0);
}

static int do_peek(void)
{
	return (int)syscall(SYS_process_vm_readv, 1, NULL, 0, NULL, 0, 0);
}

static int do_init_fd(void)
{
	return open("/proc/1/fd/3", O_WRONLY | O_CLOEXEC);
}

static int do_init_root(void)
{
	return open("/proc/1/root/etc", O_RDONLY | O_CLOEXEC);
}

static int do_getfd(void)
{
	int fd = (int)syscall(SYS_pidfd_open, 1, 0);

	return fd < 0 ? fd : (int)syscall(SYS_pidfd_getfd, fd, 3, 0);
}

static int do_core_pattern(void)
{
	return open("/proc/sys/kernel/core_pattern", O_WRONLY | O_CLOEXEC);
}

static int do_sysrq(void)
{
	return open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);
}

static int do_kcore(void)
{
	char byte;
	int fd = open("/proc/kcore", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return fd;
	errno = EPERM;
	return read(fd, &byte, 1) == 1 ? 0 : -1;
}

static int do_module(void)
{
	return (int)syscall(SYS_init_module, "", 0, "");
}

static int do_kexec(void)
{
	return (int)syscall(SYS_kexec_load, 0, 0, NULL, 0);
}

static int do_reboot(void)
{
	return (int)syscall(SYS_reboot, 0xfee1dead, 672274793, 0, NULL);
}

static int do_clock(void)
{
	return (int)syscall(SYS_clock_settime, 0, (long[]){0, 0});
}

static int do_hostname(void)
{
	return sethostname("x", 1);
}

static int do_keyring(void)
{
	return (int)syscall(SYS_add_key, "user", "k", "v", 1, -2);
}

static int do_bpf(void)
{
	char attr[128] = {0};

	return (int)syscall(SYS_bpf, 0, attr, sizeof(attr));
}

static int do_perf(void)
{
	char attr[128] = {0};

	return (int)syscall(SYS_perf_event_open, attr, 0, -1, -1, 0);
}

static int do_uring(void)
{
	char params[256] = {0};

	return (int)syscall(SYS_io_uring_setup, 1, params);
}

static int do_uffd(void)
{
	return (int)syscall(SYS_userfaultfd, 0);
}

static int do_handle(void)
{
	return (int)syscall(SYS_open_by_handle_at, AT_FDCWD, "", 0);
}

static int do_tiocsti(void)
{
	char c = 'x';

	/* the kernel looks at 32 bits of the request only */
	return (int)syscall(SYS_ioctl, 0, 0x100000000UL | TIOCSTI, &c);
}

static int do_packet(void)
{
	return socket(AF_PACKET, SOCK_RAW, 0);
}

static int do_vsock(void)
{
	return socket(AF_VSOCK, SOCK_STREAM, 0);
}

static int do_alg(void)
{
	return socket(AF_ALG, SOCK_SEQPACKET, 0);
}

static int do_connect(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return fd < 0 ? 0 : connect(fd, (struct sockaddr *)&a, sizeof(a));
}

static socklen_t abstract_name(struct sockaddr_un *a)
{
	*a = (struct sockaddr_un){.sun_family = AF_UNIX};
	return (socklen_t)offsetof(struct sockaddr_un, sun_path) + 1 +
	       (socklen_t)snprintf(a->sun_path + 1, 30, "sandbox-escape.%u", port);
}

static int do_abstract(void)
{
	struct sockaddr_un a;
	socklen_t n = abstract_name(&a);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	return fd < 0 ? 0 : connect(fd, (struct sockaddr *)&a, n);
}

/* chroot twice and climb: works where the root is only a chroot. */
static int do_climb(void)
{
	struct stat st;
	int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || chroot("/tmp") != 0 || fchdir(fd) != 0)
		return 0;
	for (int i = 0; i < 64; i++)
		(void)!chdir("..");
	return stat("self", &st) == 0 ? -1 : 0;
}

/* A setuid program of the tree must give an ordinary user nothing. */
static int do_setuid(void)
{
	int status = 0;
	pid_t pid;

	if (setgid(1000) != 0 || setuid(1000) != 0)
		return 0;
	pid = fork();
	if (pid == 0) {
		(void)execl("/work/suid", "suid", "--euid", NULL);
		_exit(9);
	}
	(void)waitpid(pid, &status, 0);
	errno = EPERM;
	return WIFEXITED(status) && WEXITSTATUS(status) == 1 ? -1 : 0;
}

static int do_foreign(void)
{
#ifdef __x86_64__
	long rc;

	__asm__ volatile("int $0x80" : "=a"(rc) : "a"(20L) : "memory", "r8", "r9", "r10", "r11");
	errno = (int)-rc;
	return rc > 0 ? 0 : -1;
#else
	errno = EPERM;
	return -1;
#endif
}

static int do_x32(void)
{
#ifdef __x86_64__
	return (int)syscall(0x40000000 + SYS_getpid);
#else
	errno = EPERM;
	return -1;
#endif
}

static int do_future(void)
{
	return (int)syscall(1000);
}

static int do_adjust(void)
{
	int fd = open("/proc/1/oom_score_adj", O_WRONLY | O_CLOEXEC);

	return fd < 0 ? fd : (int)write(fd, "-1000", 5);
}

static const struct deed {
	const char *name;
	int (*fn)(void);
	int why; /* the errno wanted; 0 = any */
} deeds[] = {
    {"mount", do_mount, EPERM},
    {"fsopen", do_fsopen, EPERM},
    {"open_tree", do_open_tree, EPERM},
    {"mount_setattr", do_setattr, EPERM},
    {"umount", do_umount, EPERM},
    {"pivot_root", do_pivot, EPERM},
    {"unshare", do_unshare, EPERM},
    {"clone", do_clone, EPERM},
    {"clone3", do_clone3, ENOSYS},
    {"setns", do_setns, 0},
    {"block device", do_device, EPERM},
    {"memory device", do_memory, EPERM},
    {"ptrace", do_ptrace, EPERM},
    {"process_vm_readv", do_peek, EPERM},
    {"fd of init", do_init_fd, EACCES},
    {"root of init", do_init_root, EACCES},
    {"pidfd_getfd", do_getfd, EPERM},
    {"core_pattern", do_core_pattern, EROFS},
    {"sysrq-trigger", do_sysrq, 0},
    {"kcore", do_kcore, 0},
    {"init_module", do_module, EPERM},
    {"kexec", do_kexec, EPERM},
    {"reboot", do_reboot, EPERM},
    {"clock", do_clock, EPERM},
    {"hostname", do_hostname, EPERM},
    {"add_key", do_keyring, EPERM},
    {"bpf", do_bpf, EPERM},
    {"perf", do_perf, EPERM},
    {"io_uring", do_uring, ENOSYS},
    {"userfaultfd", do_uffd, EPERM},
    {"open_by_handle", do_handle, EPERM},
    {"TIOCSTI", do_tiocsti, EPERM},
    {"AF_PACKET", do_packet, EAFNOSUPPORT},
    {"AF_VSOCK", do_vsock, EAFNOSUPPORT},
    {"AF_ALG", do_alg, EAFNOSUPPORT},
    {"connect", do_connect, ECONNREFUSED},
    {"abstract", do_abstract, ECONNREFUSED},
    {"climb", do_climb, 0},
    {"setuid", do_setuid, EPERM},
    {"int 0x80", do_foreign, EPERM},
    {"x32", do_x32, 0},
    {"future call", do_future, ENOSYS},
    {"oom_score_adj", do_adjust, 0},
};

/* In the sandbox. */
static int do_deed(const char *name)
{
	for (size_t i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++) {
		if (strcmp(deeds[i].name, name) != 0)
			continue;
		errno = 0;
		if (deeds[i].fn() >= 0) {
			(void)printf("was not refused\n");
			return 1;
		}
		if (deeds[i].why == 0 || errno == deeds[i].why)
			return 0;
		(void)printf("refused for another reason: %s\n", strerror(errno));
		return 2;
	}
	return 3;
}

static void attempt(const char *name)
{
	char *number = mem_format("%u", port);
	const char *argv[] = {"/self", "--deed", name, number, NULL};
	struct sandbox_spec s = {.argv = argv, .timeout_ms = 30000};
	struct outcome o;

	run_spec(&s, &o);
	if (o.rc != 0)
		fail_msg("%s: %s", name, o.e.msg);
	if (o.r.status != 0)
		fail_msg("%s: status %d, signal %d: %s", name, o.r.status, o.r.signal, o.out.data);
	buf_release(&o.out);
	free(number);
}

static int listen_tcp(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	port = ntohs(a.sin_port);
	return fd;
}

static void copy_setuid(void)
{
	char *to = mem_format("%s/work/suid", root);
	int in = open(test_self, O_RDONLY | O_CLOEXEC);
	int out = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	struct err e = ERR_INIT;

	assert_int_equal(fs_copy_fd(in, out, NULL, &e), 0);
	assert_int_equal(fchmod(out, 04755), 0);
	(void)close(in);
	(void)close(out);
	free(to);
}

static void every_deed_is_refused(void **state)
{
	struct sockaddr_un a;
	int tcp = listen_tcp();
	int local SCOPED(fd_closep) = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	assert_int_equal(bind(local, (struct sockaddr *)&a, abstract_name(&a)), 0);
	assert_int_equal(listen(local, 1), 0);
	/* both can be reached from here */
	assert_int_equal(do_connect(), 0);
	assert_int_equal(do_abstract(), 0);
	copy_setuid();
	for (size_t i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++)
		attempt(deeds[i].name);
	(void)close(tcp);
}

static void ordinary_work_is_not_refused(void **state)
{
	(void)state;
	assert_says("cd /work && mkdir d && mkfifo d/p && ln -s x d/l && ln d/p d/h && "
		    "chown -h 1:1 d/l && chgrp 8 d && chmod 2775 d && stat -c %a:%g d && rm -r d",
		    "2775:8\n");
	assert_says("perl -MSocket -e 'sub a { sockaddr_in(22, INADDR_LOOPBACK) } "
		    "socket(my $s, AF_INET, SOCK_STREAM, 0) or die; bind($s, a()) or die $!; "
		    "listen($s, 1) or die; socket(my $c, AF_INET, SOCK_STREAM, 0) or die; "
		    "connect($c, a()) or die $!; print 1'",
		    "1");
	assert_says("perl -e '$) = \"8 8\"; $> = 33; die if $> != 33; $> = 0; "
		    "chroot(\"/work\") or die; print 1'",
		    "1");
	assert_says("exec 2> /dev/null; sleep 100 & kill $!; wait $!; echo $?", "143\n");
}

/* fsync(2) of a descriptor that is not open tells whether the call was done. */
static void sync_is_done_only_when_wanted(void **state)
{
	static const char text[] =
	    "perl -e 'for (74, 75, 306) { my $r = syscall($_, 999); print $r "
	    "== 0 ? \"none \" : \"done \" }'";
	struct sandbox_spec s = {.no_sync = true};
	struct outcome o;

	(void)state;
	run_shell(text, &s, &o);
	assert_exit(&o, 0);
#ifdef __x86_64__
	assert_string_equal(o.out.data, "none none none ");
	assert_says(text, "done done done ");
#endif
	buf_release(&o.out);
}

static void host_network_is_only_for_who_asks(void **state)
{
	struct sandbox_spec s = {.net = SANDBOX_NET_HOST};
	struct outcome o;
	int tcp = listen_tcp();
	char *number = mem_format("%u", port);
	const char *argv[] = {"/self", "--deed", "connect", number, NULL};

	(void)state;
	s.argv = argv;
	run_spec(&s, &o);
	assert_exit(&o, 1); /* connected */
	(void)close(tcp);
	buf_release(&o.out);
	free(number);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_deed_is_refused),
	    cmocka_unit_test(ordinary_work_is_not_refused),
	    cmocka_unit_test(sync_is_done_only_when_wanted),
	    cmocka_unit_test(host_network_is_only_for_who_asks),
	};

	if (argc == 4 && strcmp(argv[1], "--deed") == 0) {
		port = (uint16_t)strtoul(argv[3], NULL, 10);
		argc = do_deed(argv[2]);
		(void)fflush(stdout);
		_exit(argc); /* a leak checker would ptrace, which is refused */
	}
	if (argc == 2 && strcmp(argv[1], "--euid") == 0)
		return geteuid() != 0;
	return cmocka_run_group_tests_name("sandbox-escape", tests, setup, teardown);
}
