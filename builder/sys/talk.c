#include "sys/talk.h"

#include "sys/clock.h"
#include "sys/intr.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SAID_MAX = 2048, TURN_MS = 200, END_MS = 1000, CHUNK = 16384 };

static char *const plain_env[] = {
    (char[]){"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
    (char[]){"LC_ALL=C"}, (char[]){"TZ=UTC"}, NULL};

static void actions_release(posix_spawn_file_actions_t *a)
{
	(void)posix_spawn_file_actions_destroy(a);
}

static void attr_release(posix_spawnattr_t *a)
{
	(void)posix_spawnattr_destroy(a);
}

static int spawn(const char *const *argv, const int theirs[3], pid_t *ret, struct err *e)
{
	posix_spawn_file_actions_t files SCOPED(actions_release);
	posix_spawnattr_t attr SCOPED(attr_release);
	sigset_t all, none;
	int rc = 0;

	(void)sigfillset(&all);
	(void)sigemptyset(&none);
	if (posix_spawn_file_actions_init(&files) != 0 || posix_spawnattr_init(&attr) != 0)
		mem_exhausted();
	for (int i = 0; i < 3 && rc == 0; i++)
		rc = posix_spawn_file_actions_adddup2(&files, theirs[i], i);
	if (rc == 0)
		rc = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF |
							 POSIX_SPAWN_SETSIGMASK);
	(void)posix_spawnattr_setpgroup(&attr, 0);
	(void)posix_spawnattr_setsigdefault(&attr, &all);
	(void)posix_spawnattr_setsigmask(&attr, &none);
	if (rc == 0)
		rc = posix_spawnp(ret, argv[0], &files, &attr, (char *const *)(uintptr_t)argv,
				  plain_env);
	errno = rc;
	return rc == 0 ? 0 : err_sys(e, "start %s", argv[0]);
}

int talk_start(const char *const *argv, size_t line_max, struct talk *ret, struct err *e)
{
	int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1}, rc = -1;

	if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0)
		(void)err_sys(e, "make a pipe");
	else
		rc = spawn(argv, (const int[]){in[0], out[1], err[1]}, &ret->pid, e);
	fd_closep(&in[0]);
	fd_closep(&out[1]);
	fd_closep(&err[1]);
	if (rc != 0) {
		fd_closep(&in[1]);
		fd_closep(&out[0]);
		fd_closep(&err[0]);
		return -1;
	}
	ret->in = in[1];
	ret->out = out[0];
	ret->err = err[0];
	ret->heard.max = line_max + CHUNK;
	ret->said.max = SAID_MAX;
	(void)fcntl(ret->in, F_SETFL, O_NONBLOCK);
	(void)fcntl(ret->err, F_SETFL, O_NONBLOCK);
	return 0;
}

static void hear_error(struct talk *t)
{
	char chunk[512];
	ssize_t r = read(t->err, chunk, sizeof(chunk));

	if (r > 0 && t->said.len + (size_t)r <= t->said.max)
		buf_add(&t->said, chunk, (size_t)r);
	else if (r == 0)
		fd_closep(&t->err);
}

/* False at its end. */
static bool hear(struct talk *t)
{
	char chunk[CHUNK];
	ssize_t r = read(t->out, chunk, sizeof(chunk));

	if (r > 0)
		buf_add(&t->heard, chunk, (size_t)r);
	return r > 0 || (r < 0 && errno == EINTR);
}

static int ended(struct talk *t, struct err *e)
{
	for (char *p = t->said.data; *p != '\0'; p++)
		if ((unsigned char)*p < ' ')
			*p = ' ';
	while (t->said.len > 0 && t->said.data[t->said.len - 1] == ' ')
		buf_cut(&t->said, t->said.len - 1);
	return err_set(e, ERR_REMOTE, "the other side has ended%s%s", t->said.len > 0 ? ": " : "",
		       t->said.data);
}

/* Waits a turn; fds are of input, output and error. */
static int turn(struct talk *t, bool sending, uint64_t end_ms, short *ret_in, short *ret_out,
		struct err *e)
{
	struct pollfd fds[] = {
	    {sending ? t->in : -1, POLLOUT, 0}, {t->out, POLLIN, 0}, {t->err, POLLIN, 0}};

	if (intr_pending())
		return intr_err(e);
	if (clock_mono_ms() >= end_ms)
		return err_set(e, ERR_REMOTE, "the other side does not answer");
	if (poll(fds, 3, TURN_MS) < 0)
		return 0;
	if (fds[2].revents != 0)
		hear_error(t);
	*ret_in = fds[0].revents;
	*ret_out = fds[1].revents;
	return 0;
}

int talk_send(struct talk *t, const void *p, size_t n, uint64_t within_ms, struct err *e)
{
	uint64_t end_ms = clock_mono_ms() + within_ms;
	const char *at = p;

	while (n > 0) {
		short in = 0, out = 0;
		ssize_t w;

		if (turn(t, true, end_ms, &in, &out, e) != 0)
			return -1;
		if (out != 0 && (t->heard.over || !hear(t)))
			return ended(t, e);
		w = in != 0 ? write(t->in, at, n) : 0;
		if (w < 0 && errno != EAGAIN && errno != EINTR)
			return ended(t, e);
		if (w > 0) {
			at += w;
			n -= (size_t)w;
		}
	}
	return 0;
}

/* The first line that has come whole; NULL when there is none. */
static char *whole_line(struct talk *t)
{
	char *end = memchr(t->heard.data, '\n', t->heard.len);
	size_t n, left;
	char *line;

	if (end == NULL)
		return NULL;
	n = (size_t)(end - t->heard.data);
	left = t->heard.len - n - 1;
	line = mem_strndup(t->heard.data, n);
	memmove(t->heard.data, end + 1, left);
	buf_cut(&t->heard, left);
	return line;
}

int talk_line(struct talk *t, uint64_t within_ms, char **ret, struct err *e)
{
	uint64_t end_ms = clock_mono_ms() + within_ms;

	for (;;) {
		short in = 0, out = 0;
		char *line;

		if (t->heard.over)
			return err_set(e, ERR_REMOTE, "the other side sends too long a line");
		if (memchr(t->heard.data, '\0', t->heard.len) != NULL)
			return err_set(e, ERR_REMOTE, "the other side sends a NUL");
		line = whole_line(t);
		if (line != NULL) {
			*ret = line;
			return 0;
		}
		if (turn(t, false, end_ms, &in, &out, e) != 0)
			return -1;
		if (out != 0 && !hear(t)) {
			hear_error(t);
			return ended(t, e);
		}
	}
}

void talk_end(struct talk *t)
{
	uint64_t end_ms = clock_mono_ms() + END_MS;

	fd_closep(&t->in);
	fd_closep(&t->out);
	while (t->pid > 0 && waitpid(t->pid, NULL, WNOHANG) == 0) {
		if (clock_mono_ms() >= end_ms)
			(void)kill(-t->pid, SIGKILL);
		(void)usleep(2000);
	}
	fd_closep(&t->err);
	buf_release(&t->heard);
	buf_release(&t->said);
	*t = TALK_INIT;
}
