#include "base/num.h"
#include "base/strv.h"
#include "sandbox/priv.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include "sys/intr.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* The address space that a sanitizer reserves has nothing to do with what the program uses. */
#if defined(__SANITIZE_ADDRESS__)
#define HAS_SHADOW 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_SHADOW 1
#endif
#endif
#ifndef HAS_SHADOW
#define HAS_SHADOW 0
#endif

static const uint64_t default_memory = UINT64_C(1) << 30;

static bool is_kept(const struct sandbox_worker_spec *s, int fd)
{
	for (size_t i = 0; i < s->dirs_n; i++)
		if (s->dirs[i] == fd)
			return true;
	return false;
}

/* An open directory is a way out of any root. */
static int close_directories(const struct sandbox_worker_spec *s, struct err *e)
{
	struct strv fds SCOPED(strv_release) = {0};
	struct stat st;

	if (fs_list(AT_FDCWD, "/proc/self/fd", &fds, e) != 0)
		return -1;
	for (size_t i = 0; i < fds.n; i++) {
		uint64_t fd;

		if (num_u64(fds.v[i], INT32_MAX, &fd) == 0 && fstat((int)fd, &st) == 0 &&
		    S_ISDIR(st.st_mode) && !is_kept(s, (int)fd))
			(void)close((int)fd);
	}
	return 0;
}

static int write_line(const char *path, const char *text, struct err *e)
{
	int fd SCOPED(fd_closep) = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		return err_sys(e, "write %s", path);
	return 0;
}

/* An ordinary user who did not come through sandbox_enter: alone in a user namespace, as itself. */
static int own_user_namespace(struct err *e)
{
	char *uid SCOPED(mem_freep) =
	    mem_format("%u %u 1", (unsigned)geteuid(), (unsigned)geteuid());
	char *gid SCOPED(mem_freep) =
	    mem_format("%u %u 1", (unsigned)getegid(), (unsigned)getegid());

	if (unshare(CLONE_NEWUSER) != 0) {
		(void)err_sys(e, "make a user namespace");
		return err_hint(e, "run as root, or allow unprivileged user namespaces");
	}
	if (write_line("/proc/self/setgroups", "deny", e) != 0 ||
	    write_line("/proc/self/gid_map", gid, e) != 0)
		return -1;
	return write_line("/proc/self/uid_map", uid, e);
}

static int limits(const struct sandbox_worker_spec *s, struct err *e)
{
	uint64_t memory = s->memory_max != 0 ? s->memory_max : default_memory;

	/* past its limit a write fails with EFBIG, which fn can report, instead of killing it */
	(void)signal(SIGXFSZ, SIG_IGN);
	if (limit_lower(RLIMIT_CORE, 0, e) != 0 || limit_lower(RLIMIT_NOFILE, 1024, e) != 0)
		return -1;
	if (s->file_max != 0 && limit_lower(RLIMIT_FSIZE, s->file_max, e) != 0)
		return -1;
	return HAS_SHADOW ? 0 : limit_lower(RLIMIT_AS, memory, e);
}

static int confine(const struct sandbox_worker_spec *s, struct err *e)
{
	if (close_directories(s, e) != 0)
		return -1;
	if (!caps_have(CAP_SYS_ADMIN) && own_user_namespace(e) != 0)
		return -1;
	if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) != 0) {
		(void)err_sys(e, "make namespaces");
		return err_hint(e, "run as root, or allow unprivileged user namespaces");
	}
	if (mounts_private(e) != 0 || mounts_pivot(s->root, false, e) != 0)
		return -1;
	if (limits(s, e) != 0 || caps_limit(CAPS_WORKER, e) != 0)
		return -1;
	return filter_worker(e);
}

static void child(const struct sandbox_worker_spec *s, int report, pid_t parent)
{
	struct err e = ERR_INIT;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
		_exit(1);
	if (confine(s, &e) != 0) {
		(void)err_in(&e, "sandbox");
	} else if (s->fn(s->arg, &e) == 0) {
		_exit(0);
	}
	report_send(report, &e);
	_exit(1);
}

/* Waits for the end of the process. Returns its wait status; *ret_late when it was killed for
 * the time or an interrupt. */
static int wait_for(pid_t pid, int pidfd, uint64_t timeout_ms, bool *ret_late)
{
	uint64_t end = timeout_ms != 0 ? clock_mono_ms() + timeout_ms : UINT64_MAX;
	struct pollfd p = {pidfd, POLLIN, 0};
	int status = 0;

	for (;;) {
		uint64_t now = clock_mono_ms();
		uint64_t left = end > now ? end - now : 0;

		if (intr_pending() || left == 0)
			break;
		if (poll(&p, 1, left < 200 ? (int)left : 200) > 0)
			break;
	}
	if (p.revents == 0) {
		*ret_late = true;
		(void)kill(pid, SIGKILL);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

static int how_it_died(const struct sandbox_worker_spec *s, int status, struct err *e)
{
	uint64_t memory = s->memory_max != 0 ? s->memory_max : default_memory;
	char *limit SCOPED(mem_freep) = num_human(memory);

	if (WIFSIGNALED(status))
		return err_set(e, ERR_FAIL, "worker: killed by signal %d (%s)", WTERMSIG(status),
			       strsignal(WTERMSIG(status)));
	if (WEXITSTATUS(status) == 71)
		return err_set(e, ERR_FAIL, "worker: needs more memory than its limit of %s",
			       limit);
	return err_set(e, ERR_FAIL, "worker: ended with status %d without saying why",
		       WEXITSTATUS(status));
}

static int conclude(const struct sandbox_worker_spec *s, pid_t pid, int report, struct err *e)
{
	int pidfd SCOPED(fd_closep) = pidfd_open(pid, 0);
	bool late = pidfd < 0;
	struct err said;
	int status;

	if (late)
		(void)kill(pid, SIGKILL);
	status = wait_for(pid, pidfd, s->timeout_ms, &late);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (late && intr_pending())
		return intr_err(e);
	if (late)
		return err_set(e, ERR_FAIL, "worker: took longer than %llu ms",
			       (unsigned long long)s->timeout_ms);
	if (!WIFEXITED(status) || report_take(report, &said) == 0)
		return how_it_died(s, status, e);
	*e = said;
	return -1;
}

int sandbox_worker(const struct sandbox_worker_spec *spec, struct err *e)
{
	int report[2] = {-1, -1};
	pid_t self = getpid(), pid;
	int rc;

	if (pipe2(report, O_CLOEXEC) != 0)
		return err_sys(e, "make a pipe");
	pid = fork();
	if (pid == 0) {
		(void)close(report[0]);
		child(spec, report[1], self);
	}
	fd_closep(&report[1]);
	rc = pid < 0 ? err_sys(e, "fork") : conclude(spec, pid, report[0], e);
	fd_closep(&report[0]);
	return rc;
}
