/* What a worker can do, and what hostile code in it cannot. */
#include "base/mem.h"
#include "sandbox/sandbox.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

static char scratch[] = "/tmp/sandbox-worker.XXXXXX";
static char root[PATH_MAX];

static int setup(void **state)
{
	(void)state;
	if (mkdtemp(scratch) == NULL)
		return -1;
	(void)snprintf(root, sizeof(root), "%s/root", scratch);
	return mkdir(root, 0755);
}

static int teardown(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	return fs_rmtree(AT_FDCWD, scratch, &e);
}

static int run(int (*fn)(void *, struct err *), void *arg, struct err *e)
{
	const struct sandbox_worker_spec s = {
	    .fn = fn, .arg = arg, .root = root, .timeout_ms = 20000};

	return sandbox_worker(&s, e);
}

static int put_file(void *arg, struct err *e)
{
	static const char cap[20] = {1, 0, 0, 2, 0, 4};
	int fd SCOPED(fd_closep) = open("/made", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);

	if (fd < 0 || fs_write_all(fd, arg, strlen(arg), e) != 0)
		return err_sys(e, "made");
	if (fchown(fd, 12, 34) != 0 || fchmod(fd, 06755) != 0)
		return err_sys(e, "owner");
	if (fsetxattr(fd, "security.capability", cap, sizeof(cap), 0) != 0)
		return err_sys(e, "capability");
	return 0;
}

static void writes_with_foreign_owners(void **state)
{
	struct err e = ERR_INIT;
	char path[PATH_MAX + 8], text[] = "hello";
	struct stat st;

	(void)state;
	if (run(put_file, text, &e) != 0)
		fail_msg("%s", e.msg);
	(void)snprintf(path, sizeof(path), "%s/made", root);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_uid, 12);
	assert_int_equal(st.st_gid, 34);
	assert_int_equal(st.st_mode & 07777, 06755);
	assert_int_equal(getxattr(path, "security.capability", NULL, 0), 20);
}

static int speak(void *arg, struct err *e)
{
	(void)arg;
	(void)err_set(e, ERR_RECIPE, "a.tar: entry ../x\n\033[31mleaves");
	return err_hint(e, "use another archive");
}

static void error_comes_back_without_control_characters(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(run(speak, NULL, &e), -1);
	assert_int_equal(e.kind, ERR_RECIPE);
	assert_string_equal(e.msg, "a.tar: entry ../x??[31mleaves");
	assert_string_equal(e.hint, "use another archive");
}

static int input(void *arg, struct err *e)
{
	char text[6] = "";

	if (fs_read_all(*(int *)arg, text, 5, e) != 0)
		return -1;
	return strcmp(text, "input") == 0 ? 0 : err_set(e, ERR_FAIL, "got %s", text);
}

static void open_files_are_the_way_in(void **state)
{
	struct err e = ERR_INIT;
	int p[2];

	(void)state;
	assert_int_equal(pipe(p), 0);
	assert_int_equal(write(p[1], "input", 5), 5);
	if (run(input, &p[0], &e) != 0)
		fail_msg("%s", e.msg);
	(void)close(p[0]);
	(void)close(p[1]);
}

static int through_dirfd(void *arg, struct err *e)
{
	int fd = openat(*(int *)arg, "etc/passwd", O_RDONLY | O_CLOEXEC);

	return fd >= 0 ? 0 : err_sys(e, "etc/passwd");
}

static void directories_only_when_named(void **state)
{
	struct err e = ERR_INIT;
	int dir = open("/", O_RDONLY | O_DIRECTORY);
	const struct sandbox_worker_spec named = {
	    .fn = through_dirfd, .arg = &dir, .root = root, .dirs = &dir, .dirs_n = 1};

	(void)state;
	assert_int_equal(run(through_dirfd, &dir, &e), -1);
	assert_int_equal(e.sys, EBADF);
	assert_int_equal(sandbox_worker(&named, &e), 0);
	(void)close(dir);
}

static int root_is(void *arg, struct err *e)
{
	DIR *d = opendir("/");
	struct dirent *de;
	int n = 0;

	while (d != NULL && (de = readdir(d)) != NULL)
		n += de->d_name[0] != '.';
	if (d != NULL)
		(void)closedir(d);
	if (n != *(int *)arg)
		return err_set(e, ERR_FAIL, "%d entries", n);
	if (open("/x", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) >= 0)
		return err_set(e, ERR_FAIL, "the empty root can be written to");
	return 0;
}

static void without_a_root_there_is_nothing(void **state)
{
	struct err e = ERR_INIT;
	int none = 0;
	const struct sandbox_worker_spec s = {.fn = root_is, .arg = &none};

	(void)state;
	if (sandbox_worker(&s, &e) != 0)
		fail_msg("%s", e.msg);
}

static void missing_root_is_named(void **state)
{
	struct err e = ERR_INIT;
	const struct sandbox_worker_spec s = {.fn = root_is, .root = "/nonexistent/root"};

	(void)state;
	assert_int_equal(sandbox_worker(&s, &e), -1);
	assert_non_null(strstr(e.msg, "/nonexistent/root: No such file or directory"));
}

static int mount_it(void)
{
	return mount("tmpfs", "/", "tmpfs", 0, NULL);
}

static int mount_new(void)
{
	return (int)syscall(SYS_fsopen, "tmpfs", 0);
}

static int node(void)
{
	return mknod("/null", S_IFCHR | 0666, 0x103);
}

static int fork_it(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid;
}

static int fork_raw(void)
{
	pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);

	if (pid == 0)
		_exit(0);
	return pid;
}

static int exec_it(void)
{
	return execl("/proc/self/exe", "x", NULL);
}

static int trace_parent(void)
{
	return (int)ptrace(PTRACE_ATTACH, getppid(), 0, 0);
}

static int kill_parent(void)
{
	return kill(getppid(), 0);
}

static int tgkill_parent(void)
{
	return (int)syscall(SYS_tgkill, getppid(), getppid(), 0);
}

static int socket_inet(void)
{
	return socket(AF_INET, SOCK_STREAM, 0);
}

static int socket_unix(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0);
}

static int new_user(void)
{
	return (int)syscall(SYS_unshare, 0x10000000 /* CLONE_NEWUSER */);
}

static int go_root(void)
{
	return chroot("/");
}

static int uring(void)
{
	char params[256] = {0};

	return (int)syscall(425 /* io_uring_setup */, 1, params);
}

static int bpf_it(void)
{
	char attr[128] = {0};

	return (int)syscall(SYS_bpf, 0, attr, sizeof(attr));
}

static int set_id(void)
{
	return setuid(1000);
}

static int raise_limit(void)
{
	return (int)syscall(SYS_prlimit64, 0, 7 /* RLIMIT_NOFILE */, (unsigned long[]){9, 9}, NULL);
}

static int type_for_others(void)
{
	char c = 'x';

	errno = 0;
	(void)syscall(SYS_ioctl, 0, 0x5412 /* TIOCSTI */, &c);
	return errno == ENOSYS ? -1 : 0;
}

static int by_handle(void)
{
	errno = 0;
	(void)syscall(SYS_open_by_handle_at, 0, "", 0);
	return errno == ENOSYS ? -1 : 0;
}

static int dumpable(void)
{
	return (int)syscall(SYS_prctl, 4 /* PR_SET_DUMPABLE */, 1, 0, 0, 0);
}

static int outside(void)
{
	return open("/../../../../etc/passwd", O_RDONLY | O_CLOEXEC);
}

static int foreign_abi(void)
{
#ifdef __x86_64__
	long rc;

	/* int 0x80 is the 32-bit table, where 20 is getpid */
	__asm__ volatile("int $0x80" : "=a"(rc) : "a"(20L) : "memory", "r8", "r9", "r10", "r11");
	return rc > 0 ? 0 : -1;
#else
	return -1;
#endif
}

static int trusted(void)
{
	return setxattr("/", "trusted.mark", "1", 1, 0);
}

static const struct deed {
	const char *name;
	int (*fn)(void); /* negative: refused */
} deeds[] = {
    {"mount", mount_it},
    {"fsopen", mount_new},
    {"mknod", node},
    {"fork", fork_it},
    {"clone", fork_raw},
    {"execve", exec_it},
    {"ptrace", trace_parent},
    {"kill", kill_parent},
    {"tgkill", tgkill_parent},
    {"inet", socket_inet},
    {"unix", socket_unix},
    {"unshare", new_user},
    {"chroot", go_root},
    {"io_uring", uring},
    {"bpf", bpf_it},
    {"setuid", set_id},
    {"prlimit", raise_limit},
    {"TIOCSTI", type_for_others},
    {"open_by_handle", by_handle},
    {"prctl", dumpable},
    {"outside", outside},
    {"int 0x80", foreign_abi},
    {"trusted xattr", trusted},
};

static int try_it(void *arg, struct err *e)
{
	const struct deed *d = arg;

	return d->fn() < 0 ? 0 : err_set(e, ERR_FAIL, "%s was not refused", d->name);
}

static void hostile_code_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++) {
		struct err e = ERR_INIT;
		struct deed d = deeds[i];

		if (run(try_it, &d, &e) != 0)
			fail_msg("%s: %s", d.name, e.msg);
	}
}

static void *threaded(void *arg)
{
	*(int *)arg = 7;
	return NULL;
}

static int start_thread(void *arg, struct err *e)
{
	pthread_t t;
	int got = 0, rc = pthread_create(&t, NULL, threaded, &got);

	(void)arg;
	if (rc != 0)
		return err_set(e, ERR_FAIL, "pthread_create: %s", strerror(rc));
	(void)pthread_join(t, NULL);
	return got == 7 ? 0 : err_set(e, ERR_FAIL, "thread did nothing");
}

static void threads_work(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	if (run(start_thread, NULL, &e) != 0)
		fail_msg("%s", e.msg);
}

static int eat(void *arg, struct err *e)
{
	size_t n = *(size_t *)arg;
	volatile char *p = mem_zalloc(n);

	(void)e;
	for (size_t i = 0; i < n; i += 4096)
		p[i] = 1;
	free((void *)(uintptr_t)p);
	return 0;
}

static void memory_has_a_limit(void **state)
{
	struct err e = ERR_INIT;
	size_t n = (size_t)512 << 20;
	struct sandbox_worker_spec s = {
	    .fn = eat, .arg = &n, .root = root, .memory_max = 128 << 20};

	(void)state;
#if !defined(__SANITIZE_ADDRESS__) /* which needs terabytes of address space itself */
	assert_int_equal(sandbox_worker(&s, &e), -1);
	assert_string_equal(e.msg, "worker: needs more memory than its limit of 134.2 MB");
#endif
	n = 16 << 20;
	assert_int_equal(sandbox_worker(&s, &e), 0);
}

static int fill(void *arg, struct err *e)
{
	int fd SCOPED(fd_closep) = open("/big", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	static const char block[65536];

	(void)arg;
	for (int i = 0; i < 64; i++)
		if (fs_write_all(fd, block, sizeof(block), e) != 0)
			return -1;
	return 0;
}

static void files_have_a_limit(void **state)
{
	struct err e = ERR_INIT;
	struct sandbox_worker_spec s = {.fn = fill, .root = root, .file_max = 1 << 20};

	(void)state;
	assert_int_equal(sandbox_worker(&s, &e), -1);
	assert_int_equal(e.sys, EFBIG);
	s.file_max = 0;
	assert_int_equal(sandbox_worker(&s, &e), 0);
}

static int loop(void *arg, struct err *e)
{
	while (clock_mono_ms() != 0)
		(void)arg;
	return err_set(e, ERR_FAIL, "the clock stands still");
}

static void time_has_a_limit(void **state)
{
	struct err e = ERR_INIT;
	const struct sandbox_worker_spec s = {.fn = loop, .root = root, .timeout_ms = 150};
	uint64_t before = clock_mono_ms();

	(void)state;
	assert_int_equal(sandbox_worker(&s, &e), -1);
	assert_string_equal(e.msg, "worker: took longer than 150 ms");
	assert_true(clock_mono_ms() - before < 5000);
}

static int crash(void *arg, struct err *e)
{
	(void)arg;
	(void)e;
	(void)signal(SIGSEGV, SIG_DFL);
	(void)raise(SIGSEGV);
	return 0;
}

static int quit(void *arg, struct err *e)
{
	(void)e;
	_exit(*(int *)arg);
}

static void deaths_are_explained(void **state)
{
	struct err e = ERR_INIT;
	int status = 3;

	(void)state;
	assert_int_equal(run(crash, NULL, &e), -1);
	assert_string_equal(e.msg, "worker: killed by signal 11 (Segmentation fault)");
	assert_int_equal(run(quit, &status, &e), -1);
	assert_string_equal(e.msg, "worker: ended with status 3 without saying why");
}

static void nothing_is_left(void **state)
{
	(void)state;
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void works_after_enter(void **state)
{
	struct err e = ERR_INIT;
	int none = 0;
	const struct sandbox_worker_spec s = {.fn = root_is, .arg = &none};

	(void)state;
	if (sandbox_enter(&e) != 0 || sandbox_worker(&s, &e) != 0)
		fail_msg("%s", e.msg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(writes_with_foreign_owners),
	    cmocka_unit_test(error_comes_back_without_control_characters),
	    cmocka_unit_test(open_files_are_the_way_in),
	    cmocka_unit_test(directories_only_when_named),
	    cmocka_unit_test(without_a_root_there_is_nothing),
	    cmocka_unit_test(missing_root_is_named),
	    cmocka_unit_test(hostile_code_is_refused),
	    cmocka_unit_test(threads_work),
	    cmocka_unit_test(memory_has_a_limit),
	    cmocka_unit_test(files_have_a_limit),
	    cmocka_unit_test(time_has_a_limit),
	    cmocka_unit_test(deaths_are_explained),
	    cmocka_unit_test(nothing_is_left),
	    cmocka_unit_test(works_after_enter),
	};

	return cmocka_run_group_tests_name("sandbox-worker", tests, setup, teardown);
}
