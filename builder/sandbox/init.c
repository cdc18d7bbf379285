#include "sandbox/priv.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include "sys/proc.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct init {
	const struct sandbox_spec *s;
	int up, down, out;
	int port;                 /* where the listening socket goes; -1 = nowhere */
	struct terminal terminal; /* with spec.terminal */
	uint64_t watched_ms;      /* when the limits were last looked at */
};

static void tell(int fd, const struct up *u)
{
	while (write(fd, u, sizeof(*u)) < 0 && errno == EINTR)
		;
}

static _Noreturn void fail(const struct init *in, const struct err *e)
{
	const struct up u = {.what = UP_ERROR, .e = *e};

	tell(in->up, &u);
	_exit(127);
}

/* Keeps the pipes, as 3, 4 and 5, and the socket if there is one, and nothing else of what the
 * process outside has open. */
static int keep_pipes(struct init *in, struct err *e)
{
	int *const fds[] = {&in->up, &in->down, &in->out, &in->port};

	return descriptors_keep(fds, in->port >= 0 ? 4 : 3, e);
}

/* From here on the death of the process outside is ours. Since credentials change on the way (and
 * that may clear it), this is asked for again before the program starts; the answer to
 * UP_UNSHARED shows that the other side still lived after the first time. */
static int die_together(struct err *e)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
		return err_sys(e, "ask for the parent's death signal");
	return 0;
}

/* The mounts belong to the user namespace we leave here: nothing inside can undo them. All else
 * that is made here belongs to the new one. */
static int new_user(const struct init *in, struct err *e)
{
	const char *host = in->s->hostname != NULL ? in->s->hostname : "localhost";
	int flags = CLONE_NEWUSER | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
	const struct up u = {.what = UP_UNSHARED};
	char byte;

	if (in->s->net == SANDBOX_NET_NONE)
		flags |= CLONE_NEWNET;
	if (unshare(flags) != 0)
		return err_sys(e, "make namespaces");
	tell(in->up, &u);
	if (read(in->down, &byte, 1) != 1)
		_exit(127);
	if (setgroups(0, NULL) != 0 || setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0)
		return err_sys(e, "become uid 0");
	if (sethostname(host, strlen(host)) != 0)
		return err_sys(e, "set the host name");
	return in->s->net == SANDBOX_NET_NONE ? net_up(in->s->address, e) : 0;
}

static int limits(const struct sandbox_spec *s, struct err *e)
{
	uint64_t processes = s->processes_max != 0 ? s->processes_max : SANDBOX_PROCESSES;

	if (limit_lower(RLIMIT_CORE, 0, e) != 0 || limit_lower(RLIMIT_NOFILE, 65536, e) != 0)
		return -1;
	if (s->file_max != 0 && limit_lower(RLIMIT_FSIZE, s->file_max, e) != 0)
		return -1;
	return limit_lower(RLIMIT_NPROC, processes, e);
}

static int listen_for(struct init *in, struct err *e)
{
	if (in->port < 0)
		return 0;
	if (sandbox_listen(in->port, in->s->listen_port, e) != 0)
		return -1;
	fd_closep(&in->port);
	return 0;
}

static uint64_t capabilities(const struct sandbox_spec *s)
{
	return s->net_admin ? CAPS_RUN | CAPS_BIT(CAP_NET_ADMIN) : CAPS_RUN;
}

static int set_up(struct init *in, struct err *e)
{
	proc_plain_signals();
	if (die_together(e) != 0 || keep_pipes(in, e) != 0)
		return -1;
	if (setsid() < 0)
		return err_sys(e, "start a session");
	if (unshare(CLONE_NEWNS) != 0)
		return err_sys(e, "make a mount namespace");
	if (mounts_build(in->s, e) != 0 || descriptors_null(e) != 0 || limits(in->s, e) != 0 ||
	    new_user(in, e) != 0 || listen_for(in, e) != 0)
		return -1;
	if (in->s->terminal && terminal_open(&in->terminal, e) != 0)
		return -1;
	/* the program may look at process 1, but not into it: it holds the pipes */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return err_sys(e, "clear dumpable");
	if (caps_limit(capabilities(in->s), e) != 0 || die_together(e) != 0)
		return -1;
	return filter_run(in->s->no_sync, in->s->bits_32, e);
}

/* A file that is in no tree: a pipe would want somebody who fills it. */
static int take_input(const struct sandbox_spec *s, struct err *e)
{
	int fd SCOPED(fd_closep) = -1;

	if (s->input == NULL)
		return 0;
	fd = memfd_create("input", MFD_CLOEXEC);
	if (fd < 0 || fs_write_all(fd, s->input, s->input_len, e) != 0 ||
	    lseek(fd, 0, SEEK_SET) != 0 || dup2(fd, 0) < 0)
		return err_sys(e, "set up the program's input");
	return 0;
}

/* A session of its own, and its standard streams. */
static int take_streams(const struct init *in, struct err *e)
{
	if (setsid() < 0)
		return err_sys(e, "start the program's session");
	if (in->s->terminal)
		return terminal_take(&in->terminal, e);
	if (dup2(in->out, 1) < 0 || dup2(in->out, 2) < 0)
		return err_sys(e, "set up the program's output");
	return take_input(in->s, e);
}

static _Noreturn void program(const struct init *in)
{
	const struct sandbox_spec *s = in->s;
	const char *cwd = s->cwd != NULL ? s->cwd : "/";
	struct err e = ERR_INIT;

	(void)umask(022);
	if (take_streams(in, &e) != 0)
		fail(in, &e);
	if (chdir(cwd) != 0) {
		(void)err_sys(&e, "enter directory %s", cwd);
		fail(in, &e);
	}
	if (s->memory_max != 0 && limit_lower(RLIMIT_DATA, s->memory_max, &e) != 0)
		fail(in, &e);
	environ = (char **)(uintptr_t)s->env; /* whose PATH is searched */
	(void)execvpe(s->argv[0], (char *const *)(uintptr_t)s->argv, environ);
	(void)err_sys(&e, "run %s", s->argv[0]);
	fail(in, &e);
}

/* Sleeps until a child ended, a quarter of a second at most. */
static void doze(void)
{
	const struct timespec most = {0, 250000000};
	sigset_t child;

	(void)sigemptyset(&child);
	(void)sigaddset(&child, SIGCHLD);
	(void)sigtimedwait(&child, NULL, &most);
}

/* What is due between children that end; `idle`: none did, so it waits for something to happen, not
 * long. The limits go by the clock: who lets children end without a pause is watched all the same.
 */
static void attend(struct init *in, bool idle)
{
	struct err e = ERR_INIT;

	if (in->s->terminal)
		terminal_relay(&in->terminal, idle ? 50 : 0);
	else if (idle)
		doze();
	if (clock_mono_ms() - in->watched_ms < 50)
		return;
	if (watch_limits(in->s, &e) != 0)
		fail(in, &e);
	in->watched_ms = clock_mono_ms();
}

/* Reaps whatever ends, until it is the main program. Returns its wait status. */
static int reap_until(struct init *in, pid_t main_child)
{
	for (;;) {
		int status = 0;
		pid_t ended = waitpid(-1, &status, WNOHANG);

		if (ended == main_child)
			return status;
		attend(in, ended <= 0);
	}
}

/* The main program ended: all others shall do so within two seconds. */
static void want_none_left(struct init *in)
{
	uint64_t end = clock_mono_ms() + 2000;
	struct err e = ERR_INIT;

	for (;;) {
		pid_t ended = waitpid(-1, NULL, WNOHANG);

		if (ended < 0 && errno == ECHILD)
			return;
		if (clock_mono_ms() >= end)
			break;
		attend(in, ended <= 0);
	}
	(void)watch_left(&e);
	fail(in, &e);
}

static void block_child_signal(void)
{
	sigset_t child;

	(void)sigemptyset(&child);
	(void)sigaddset(&child, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &child, NULL);
}

_Noreturn void init_main(const struct sandbox_spec *s, int up, int down, int out)
{
	struct init in = {s, up, down, out, s->listen_port != 0 ? s->listen_to : -1, {.master = -1},
			  0};
	struct up u = {.what = UP_EXIT};
	struct err e = ERR_INIT;
	pid_t main_child;

	if (set_up(&in, &e) != 0) {
		(void)err_in(&e, "sandbox");
		fail(&in, &e);
	}
	main_child = fork();
	if (main_child < 0) {
		(void)err_sys(&e, "sandbox: fork");
		fail(&in, &e);
	}
	if (main_child == 0)
		program(&in);
	block_child_signal();
	if (s->terminal)
		in.terminal.down = in.down, in.terminal.out = in.out;
	else
		(void)close(in.out);
	u.status = reap_until(&in, main_child);
	if (s->alone && WIFEXITED(u.status) && WEXITSTATUS(u.status) == 0)
		want_none_left(&in);
	if (s->terminal)
		terminal_drain(&in.terminal);
	tell(in.up, &u);
	_exit(0);
}
