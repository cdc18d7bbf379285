#include "sandbox/priv.h"
#include "sys/clock.h"
#include "sys/intr.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Debian's ids end at 65535; more would let files be owned by ids that an image cannot have. */
enum { IDS = 65536, CHUNK = 1 << 16 };

struct run {
	const struct sandbox_spec *s;
	pid_t pid;
	int pidfd;
	int up, down, out; /* our ends */
	char *chunk;       /* CHUNK bytes */
	bool granted;      /* it has its ids: the way down is free for what is typed */
	bool exited;       /* UP_EXIT came */
	int status;        /* of the main program, with `exited` */
	bool failed;       /* *e is set */
};

static void run_release(struct run *r)
{
	fd_closep(&r->pidfd);
	fd_closep(&r->up);
	fd_closep(&r->down);
	fd_closep(&r->out);
	free(r->chunk);
}

static void stop(struct run *r)
{
	if (r->pid > 0)
		(void)kill(r->pid, SIGKILL);
}

/* Takes one piece of output. Returns 0 at the end of it or when there is none now. */
static int take_output(struct run *r, struct err *e)
{
	ssize_t n = read(r->out, r->chunk, CHUNK);

	if (n < 0 && errno == EINTR)
		return 1;
	if (n == 0)
		fd_closep(&r->out);
	if (n <= 0)
		return 0;
	if (!r->failed && r->s->out != NULL && sink_write(r->s->out, r->chunk, (size_t)n, e) != 0) {
		r->failed = true;
		stop(r);
	}
	return 1;
}

/* Takes one message of init. Returns 0 when there is none. */
static int take_message(struct run *r, struct err *e)
{
	struct up u;
	ssize_t n = read(r->up, &u, sizeof(u));

	if (n < 0 && errno == EINTR)
		return 1;
	if (n == 0)
		fd_closep(&r->up);
	if (n != (ssize_t)sizeof(u))
		return 0;
	if (u.what == UP_EXIT) {
		r->exited = true;
		r->status = u.status;
	} else if (u.what == UP_ERROR && !r->failed) {
		*e = u.e;
		r->failed = true;
	} else if (u.what == UP_UNSHARED && idmap_give(r->pid, IDS, e) == 0) {
		r->granted = write(r->down, "", 1) == 1;
	} else if (!r->failed) {
		r->failed = true;
		(void)err_in(e, "sandbox");
		stop(r);
	}
	return 1;
}

/* Why it was killed. */
enum cause { NOTHING, TIME, INTERRUPT };

static enum cause must_stop(uint64_t end)
{
	if (intr_pending())
		return INTERRUPT;
	return clock_mono_ms() >= end ? TIME : NOTHING;
}

/* Waits at most until `end`, and so often that an interrupt is not overlooked. */
static int wait_until(const struct run *r, uint64_t end, struct pollfd p[3])
{
	uint64_t now = clock_mono_ms(), most = r->s->watch != NULL ? 50 : 200;
	uint64_t left = end > now ? end - now : 0;

	return poll(p, 3, (int)(left < most ? left : most));
}

/* Never waits for room: whoever waits here minds no timeout. */
static int type(const struct run *r, const struct buf *b, struct err *e)
{
	ssize_t n = b->len > 0 ? write(r->down, b->data, b->len) : 0;

	if (n == (ssize_t)b->len || (n < 0 && errno == EPIPE)) /* or it is ending */
		return 0;
	return err_set(e, ERR_STEP, "sandbox: the program does not read what is typed");
}

/* Lets the caller look at the running program, and types what he wants typed. */
static void look(struct run *r, struct err *e)
{
	struct buf b = BUF_INIT(1 << 14);

	if (r->s->watch == NULL || r->failed || r->exited || !r->granted)
		return;
	if (r->s->watch->look(r->s->watch->ctx, r->pid, &b, e) != 0 || type(r, &b, e) != 0) {
		r->failed = true;
		stop(r);
	}
	explicit_bzero(b.data, b.len);
	buf_release(&b);
}

/* Serves the pipes until process 1 is dead, which is when all are. */
static enum cause serve(struct run *r, struct err *e)
{
	uint64_t end = r->s->timeout_ms != 0 ? clock_mono_ms() + r->s->timeout_ms : UINT64_MAX;
	enum cause why = NOTHING;
	bool dead = false;

	while (!dead) {
		struct pollfd p[] = {
		    {r->out, POLLIN, 0}, {r->up, POLLIN, 0}, {r->pidfd, POLLIN, 0}};

		if (why == NOTHING && (why = must_stop(end)) != NOTHING) {
			end = UINT64_MAX;
			stop(r);
		}
		if (why == NOTHING)
			look(r, e);
		if (wait_until(r, end, p) <= 0)
			continue;
		if (p[1].revents != 0)
			(void)take_message(r, e);
		if (p[0].revents != 0)
			(void)take_output(r, e);
		dead = p[2].revents != 0;
	}
	while (r->up >= 0 && take_message(r, e) != 0)
		;
	while (r->out >= 0 && take_output(r, e) != 0)
		;
	return why;
}

static int follow(struct run *r, struct sandbox_result *ret, struct err *e)
{
	enum cause why;
	int status = 0;

	r->pidfd = pidfd_open(r->pid, 0);
	if (r->pidfd < 0) {
		(void)err_sys(e, "sandbox: watch process 1");
		r->failed = true;
		stop(r);
	}
	why = r->pidfd >= 0 ? serve(r, e) : NOTHING;
	while (waitpid(r->pid, &status, 0) < 0 && errno == EINTR)
		;
	if (why == INTERRUPT)
		return intr_err(e);
	if (r->failed)
		return -1;
	if (why == TIME) {
		*ret = (struct sandbox_result){-1, SIGKILL, true};
		return 0;
	}
	if (!r->exited)
		return err_set(e, ERR_FAIL, "sandbox: process 1 died (wait status %d)", status);
	*ret = (struct sandbox_result){
	    .status = WIFEXITED(r->status) ? WEXITSTATUS(r->status) : -1,
	    .signal = WIFSIGNALED(r->status) ? WTERMSIG(r->status) : 0,
	};
	return 0;
}

static int check(const struct sandbox_spec *s, struct err *e)
{
	if (s->root == NULL || s->root[0] != '/')
		return err_set(e, ERR_FAIL, "sandbox: the root is not an absolute path");
	if (s->argv == NULL || s->argv[0] == NULL || s->env == NULL)
		return err_set(e, ERR_FAIL, "sandbox: no program or no environment");
	if (s->net_admin && s->net != SANDBOX_NET_NONE)
		return err_set(e, ERR_FAIL, "sandbox: the machine's network is not configured");
	return 0;
}

int sandbox_prepare(const struct sandbox_spec *spec, struct err *e)
{
	return filter_prepare(spec->no_sync, spec->bits_32, e);
}

int sandbox_run(const struct sandbox_spec *spec, struct sandbox_result *ret, struct err *e)
{
	struct run r SCOPED(run_release) = {
	    .s = spec, .pidfd = -1, .up = -1, .down = -1, .out = -1};
	int up[2], down[2], out[2];

	if (check(spec, e) != 0 || sandbox_prepare(spec, e) != 0)
		return -1;
	if (pipe2(up, O_CLOEXEC) != 0)
		return err_sys(e, "make a pipe");
	r.up = up[0];
	if (pipe2(down, O_CLOEXEC) != 0 || (r.down = down[1], pipe2(out, O_CLOEXEC)) != 0)
		return err_sys(e, "make a pipe");
	r.out = out[0];
	if (fcntl(r.down, F_SETFL, O_NONBLOCK) != 0)
		return err_sys(e, "make a pipe");
	r.chunk = mem_zalloc(CHUNK);
	/* fork(2) cannot make a process namespace of which only the child is a member */
	r.pid = (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, NULL);
	if (r.pid == 0)
		init_main(spec, up[1], down[0], out[1]);
	fd_closep(&up[1]);
	fd_closep(&down[0]);
	fd_closep(&out[1]);
	if (r.pid < 0)
		return err_sys(e, "sandbox: make a process namespace");
	return follow(&r, ret, e);
}
