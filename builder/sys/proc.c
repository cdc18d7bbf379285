#include "sys/proc.h"

#include "sys/clock.h"
#include "sys/fs.h"
#include "sys/intr.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static const char *const default_env[] = {"PATH=" DEFAULT_PATH, "LC_ALL=C", "TZ=UTC", NULL};

struct pipes {
	int in[2], out[2], err[2]; /* [0] reads; -1 where unused */
	int report[2];             /* the child's errno when exec failed */
};

static void pipes_release(struct pipes *p)
{
	int *all[] = {p->in, p->out, p->err, p->report};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		fd_closep(&all[i][0]);
		fd_closep(&all[i][1]);
	}
}

static int pipes_open(struct pipes *p, const struct proc_spec *s, struct err *e)
{
	bool ok = pipe2(p->report, O_CLOEXEC) == 0;

	if (ok && s->input != NULL)
		ok = pipe2(p->in, O_CLOEXEC) == 0;
	if (ok && s->out != NULL && s->out_fd <= 0)
		ok = pipe2(p->out, O_CLOEXEC) == 0;
	if (ok && s->err != NULL && s->err != s->out)
		ok = pipe2(p->err, O_CLOEXEC) == 0;
	return ok ? 0 : err_sys(e, "make a pipe");
}

static int or_null(int fd)
{
	return fd >= 0 ? fd : open("/dev/null", O_RDWR | O_CLOEXEC);
}

/* By system call: the C library does not let anyone reset the two signals that it keeps to itself,
 * and its posix_spawn (make's way to start us) hands them on ignored. */
void proc_plain_signals(void)
{
	static const uint64_t by_default[4]; /* the kernel's struct sigaction: SIG_DFL is 0 */
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		(void)syscall(SYS_rt_sigaction, sig, by_default, NULL, sizeof(uint64_t));
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static void child(const struct proc_spec *s, const struct pipes *p, pid_t parent)
{
	const char *const *env = s->env != NULL ? s->env : default_env;
	int out = s->out_fd > 0 ? s->out_fd : p->out[1];
	int errfd = s->err != NULL && s->err == s->out ? out : p->err[1];
	int why;

	if (s->err_fd > 0)
		errfd = s->err_fd;
	(void)setpgid(0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	proc_plain_signals();
	if (dup2(or_null(p->in[0]), 0) >= 0 && dup2(or_null(out), 1) >= 0 &&
	    dup2(or_null(errfd), 2) >= 0 && (s->cwd == NULL || chdir(s->cwd) == 0)) {
		(void)close_range(3, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */);
		environ = (char **)(uintptr_t)env; /* whose PATH is searched */
		(void)execvp(s->argv[0], (char *const *)(uintptr_t)s->argv);
	}
	why = errno;
	(void)!write(p->report[1], &why, sizeof(why));
	_exit(127);
}

struct pump {
	const struct proc_spec *s;
	size_t sent;     /* bytes of input written */
	uint64_t end_ms; /* monotonic; 0 = never */
};

static void feed(struct pump *pu, int *fd)
{
	ssize_t w = write(*fd, (const char *)pu->s->input + pu->sent, pu->s->input_len - pu->sent);

	if (w > 0)
		pu->sent += (size_t)w;
	if ((w < 0 && errno != EAGAIN && errno != EINTR) || pu->sent == pu->s->input_len)
		fd_closep(fd);
}

static void drain(int *fd, struct buf *b)
{
	char chunk[16384];
	ssize_t r = read(*fd, chunk, sizeof(chunk));

	if (r > 0)
		buf_add(b, chunk, (size_t)r);
	else if (r == 0 || (errno != EAGAIN && errno != EINTR))
		fd_closep(fd);
}

/* Moves bytes until the outputs are closed. Returns 1 when time ran out, 2 on an interrupt. */
static int pump(struct pump *pu, struct pipes *p)
{
	while (p->in[1] >= 0 || p->out[0] >= 0 || p->err[0] >= 0) {
		struct pollfd fds[] = {
		    {p->in[1], POLLOUT, 0}, {p->out[0], POLLIN, 0}, {p->err[0], POLLIN, 0}};
		uint64_t now = clock_mono_ms();

		if (intr_pending())
			return 2;
		if (pu->end_ms != 0 && now >= pu->end_ms)
			return 1;
		if (poll(fds, 3, 200) <= 0)
			continue;
		if (fds[0].revents != 0)
			feed(pu, &p->in[1]);
		if (fds[1].revents != 0)
			drain(&p->out[0], pu->s->out);
		if (fds[2].revents != 0)
			drain(&p->err[0], pu->s->err);
	}
	return 0;
}

/* Reaps pid, killing its group when time runs out or an interrupt comes. */
static int reap(pid_t pid, int why, const struct pump *pu, int *ret_status)
{
	unsigned nap_us = 200;

	for (;;) {
		pid_t got = waitpid(pid, ret_status, why != 0 ? 0 : WNOHANG);

		if (got == pid)
			return why;
		if (got < 0 && errno != EINTR)
			return why;
		if (why == 0 && intr_pending())
			why = 2;
		if (why == 0 && pu->end_ms != 0 && clock_mono_ms() >= pu->end_ms)
			why = 1;
		if (why != 0) {
			(void)kill(-pid, SIGKILL);
			(void)kill(pid, SIGKILL);
		} else {
			(void)usleep(nap_us);
			nap_us = nap_us < 10000 ? nap_us * 2 : nap_us;
		}
	}
}

static int follow(pid_t pid, const struct proc_spec *s, struct pipes *p, struct proc_result *ret,
		  struct err *e)
{
	struct pump pu = {.s = s};
	int status = 0, why = 0, cause;

	fd_closep(&p->in[0]);
	fd_closep(&p->out[1]);
	fd_closep(&p->err[1]);
	fd_closep(&p->report[1]);
	if (s->timeout_ms != 0)
		pu.end_ms = clock_mono_ms() + s->timeout_ms;
	if (p->in[1] >= 0)
		(void)fcntl(p->in[1], F_SETFL, O_NONBLOCK);
	cause = pump(&pu, p);
	if (cause != 0) {
		(void)kill(-pid, SIGKILL);
		(void)kill(pid, SIGKILL);
	}
	cause = reap(pid, cause, &pu, &status);
	if (read(p->report[0], &why, sizeof(why)) == (ssize_t)sizeof(why)) {
		errno = why;
		return err_sys(e, "run %s", s->argv[0]);
	}
	if (cause == 2)
		return intr_err(e);
	ret->timed_out = cause == 1;
	ret->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	ret->status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	return 0;
}

int proc_run(const struct proc_spec *spec, struct proc_result *ret, struct err *e)
{
	struct pipes p SCOPED(pipes_release) = {{-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}};
	pid_t self = getpid(), pid;

	if (pipes_open(&p, spec, e) != 0)
		return -1;
	pid = fork();
	if (pid < 0)
		return err_sys(e, "fork");
	if (pid == 0)
		child(spec, &p, self);
	return follow(pid, spec, &p, ret, e);
}

/* The last few hundred bytes, without the trailing newline, newlines as " | ". */
static char *tail(const struct buf *b)
{
	size_t n = b->len;
	struct buf o = BUF_INIT(2048);

	while (n > 0 && b->data[n - 1] == '\n')
		n--;
	for (size_t i = n > 500 ? n - 500 : 0; i < n; i++)
		if (b->data[i] == '\n')
			buf_add(&o, " | ", 3);
		else
			buf_add(&o, &b->data[i], 1);
	return buf_take(&o);
}

int proc_ok(const struct proc_spec *spec, enum err_kind kind, struct err *e)
{
	struct buf own SCOPED(buf_release) = BUF_INIT(1 << 16);
	struct proc_spec s = *spec;
	struct proc_result r = {0};
	char *said SCOPED(mem_freep) = NULL;

	if (s.err == NULL)
		s.err = &own;
	if (proc_run(&s, &r, e) != 0)
		return -1;
	if (r.status == 0 && !r.timed_out)
		return 0;
	said = tail(s.err);
	if (r.timed_out)
		return err_set(e, kind, "%s: took longer than %llu ms", s.argv[0],
			       (unsigned long long)s.timeout_ms);
	if (r.signal != 0)
		return err_set(e, kind, "%s: killed by signal %d: %s", s.argv[0], r.signal, said);
	return err_set(e, kind, "%s: exit %d: %s", s.argv[0], r.status, said);
}

bool proc_has(const char *name)
{
	char *path SCOPED(mem_freep) = mem_strdup(DEFAULT_PATH);
	char *save = NULL;

	for (char *d = strtok_r(path, ":", &save); d != NULL; d = strtok_r(NULL, ":", &save)) {
		char *full SCOPED(mem_freep) = mem_format("%s/%s", d, name);

		if (access(full, X_OK) == 0)
			return true;
	}
	return false;
}

pid_t proc_parent(const char *pid)
{
	char *path SCOPED(mem_freep) = mem_format("/proc/%s/stat", pid);
	struct buf b SCOPED(buf_release) = BUF_INIT(4096);
	struct err quiet = ERR_INIT;
	const char *at;

	/* "PID (NAME) STATE PARENT ...", and a name may have blanks and brackets */
	if (fs_get(AT_FDCWD, path, &b, &quiet) != 0 || (at = strrchr(b.data, ')')) == NULL ||
	    strlen(at) < 5)
		return 0;
	return (pid_t)strtol(at + 4, NULL, 10);
}
