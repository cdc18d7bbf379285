#include "shim/keeper.h"

#include "base/buf.h"
#include "base/num.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include "sys/proc.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	START_MS = 90000,
	SETTLE_MS = 200, /* who says nothing and lives so long has started */
	STOP_MS = 10000,
	LISTS_MAX = 1 << 16,
	TAIL = 2000,
};

static char *state_path(const char *name, const char *what)
{
	return mem_format(SHIM_STATE "/%s.%s", name, what);
}

static pid_t read_pid(const char *path)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(64);
	struct err quiet = ERR_INIT;
	uint64_t v;

	if (fs_get_file(AT_FDCWD, path, &b, &quiet) != 0)
		return 0;
	b.data[strcspn(b.data, " \t\r\n")] = '\0';
	return num_u64(b.data, INT32_MAX, &v) == 0 && v > 0 && kill((pid_t)v, 0) == 0 ? (pid_t)v
										      : 0;
}

static void write_pid(const char *name, const char *what, pid_t pid)
{
	char *path SCOPED(mem_freep) = state_path(name, what);
	int fd SCOPED(fd_closep) = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd >= 0)
		(void)dprintf(fd, "%ld\n", (long)pid);
}

pid_t keeper_pid(const char *name)
{
	char *path SCOPED(mem_freep) = state_path(name, "keeper");

	return read_pid(path);
}

pid_t keeper_main(const char *name)
{
	char *path SCOPED(mem_freep) = state_path(name, "main");

	return keeper_pid(name) > 0 ? read_pid(path) : 0;
}

int keeper_services(struct strv *ret, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(LISTS_MAX);
	char *at;

	if (fs_get_file(AT_FDCWD, SHIM_DIR "/services", &b, e) != 0)
		return -1;
	for (at = b.data; at != NULL;) {
		char *name = NULL;
		const char *line = strsep(&at, "\n");
		struct err quiet = ERR_INIT;

		if (line[0] != '\0' && unit_name(line, &name, &quiet) == 0)
			strv_take(ret, name);
	}
	return 0;
}

bool keeper_expected(const char *name)
{
	struct strv all SCOPED(strv_release) = {0};
	struct err quiet = ERR_INIT;

	return keeper_services(&all, &quiet) == 0 && strv_has(&all, name);
}

struct started {
	char *name;
	int64_t sec, nsec;
};

static int last_first(const void *a, const void *b)
{
	const struct started *x = a, *y = b;

	if (x->sec != y->sec)
		return x->sec > y->sec ? -1 : 1;
	return x->nsec > y->nsec ? -1 : x->nsec < y->nsec;
}

int keeper_running(struct strv *ret, struct err *e)
{
	struct strv names SCOPED(strv_release) = {0};
	struct started *v SCOPED(mem_freep) = NULL;
	size_t n = 0;

	if (fs_list(AT_FDCWD, SHIM_STATE, &names, e) != 0)
		return -1;
	v = mem_zalloc((names.n + 1) * sizeof(*v));
	for (size_t i = 0; i < names.n; i++) {
		char *path SCOPED(mem_freep) = fs_join(SHIM_STATE, names.v[i]);
		char *dot = strrchr(names.v[i], '.');
		struct stat st;

		if (dot == NULL || strcmp(dot, ".keeper") != 0 || stat(path, &st) != 0)
			continue;
		*dot = '\0';
		if (keeper_pid(names.v[i]) > 0)
			v[n++] =
			    (struct started){names.v[i], st.st_mtim.tv_sec, st.st_mtim.tv_nsec};
	}
	qsort(v, n, sizeof(*v), last_first);
	for (size_t i = 0; i < n; i++)
		strv_add(ret, v[i].name);
	return 0;
}

/* ---- in the keeper */

struct keeper {
	const struct unit *u;
	int ready;  /* where 'R' goes when it has started, or what is wrong */
	int notify; /* the socket of Type=notify, or -1 */
	pid_t main; /* 0 = none, or it ended */
	int status; /* of the main process, when it ended */
};

static volatile sig_atomic_t told_to_stop;

static void on_term(int sig)
{
	(void)sig;
	told_to_stop = 1;
}

/* Reaps what ended. Whether there is any child left. */
static bool reap(struct keeper *k)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == k->main) {
			k->main = 0;
			k->status = status;
		}
	return pid == 0;
}

static void nap(void)
{
	(void)poll(NULL, 0, 20);
}

static int open_notify(struct keeper *k, struct err *e)
{
	char *path SCOPED(mem_freep) = state_path(k->u->name, "notify");
	struct sockaddr_un to = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(to.sun_path))
		return err_set(e, ERR_FAIL, "%s: its name is too long", k->u->name);
	memcpy(to.sun_path, path, strlen(path) + 1);
	(void)unlink(path);
	k->notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (k->notify < 0 || bind(k->notify, (struct sockaddr *)&to, sizeof(to)) != 0 ||
	    chmod(path, 0666) != 0)
		return err_sys(e, "%s: its socket", k->u->name);
	return 0;
}

/* Whether READY=1 has come: sd_notify(3). */
static bool said_ready(const struct keeper *k)
{
	char text[4096];
	ssize_t n = recv(k->notify, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return false;
	text[n] = '\0';
	return strstr(text, "READY=1") != NULL;
}

/* Whether it has started, for its type; `since` it has been running. */
static bool started(struct keeper *k, uint64_t since)
{
	if (k->u->type == UNIT_NOTIFY)
		return said_ready(k);
	if (k->u->type == UNIT_FORKING)
		return k->main == 0 && k->status == 0;
	return clock_mono_ms() - since >= SETTLE_MS;
}

static int wait_started(struct keeper *k, struct err *e)
{
	uint64_t since = clock_mono_ms(), most = k->u->start_ms != 0 ? k->u->start_ms : START_MS;

	while (true) {
		(void)reap(k);
		if (started(k, since))
			return 0;
		if (k->main == 0 && (k->status != 0 || k->u->type == UNIT_NOTIFY))
			return err_set(e, ERR_FAIL, "%s: it ended: %s %d", k->u->name,
				       WIFSIGNALED(k->status) ? "signal" : "exit status",
				       WIFSIGNALED(k->status) ? WTERMSIG(k->status)
							      : WEXITSTATUS(k->status));
		if (told_to_stop || clock_mono_ms() - since > most)
			return err_set(e, ERR_FAIL, "%s: it did not start within %llu s",
				       k->u->name, (unsigned long long)(most / 1000));
		nap();
	}
}

/* The daemon that a starting command has left: by its PIDFile, which may come a moment later. */
static void find_daemon(struct keeper *k)
{
	for (int i = 0; k->u->pid_file != NULL && k->main == 0 && i < 50; i++) {
		k->main = read_pid(k->u->pid_file);
		if (k->main == 0)
			nap();
	}
}

static int begin(struct keeper *k, struct err *e)
{
	const struct unit *u = k->u;
	bool may_fail;

	if (keeper_run_all(u, UNIT_START_PRE, 0, e) != 0)
		return -1;
	if (u->type == UNIT_ONESHOT) {
		if (keeper_run_all(u, UNIT_START, 0, e) != 0)
			return -1;
		return keeper_run_all(u, UNIT_START_POST, 0, e);
	}
	if (u->type == UNIT_NOTIFY && open_notify(k, e) != 0)
		return -1;
	if (keeper_spawn(u, u->exec[UNIT_START].v[0], 0, &k->main, &may_fail, e) != 0 ||
	    wait_started(k, e) != 0)
		return -1;
	if (u->type == UNIT_FORKING)
		find_daemon(k);
	if (k->main > 0)
		write_pid(u->name, "main", k->main);
	return keeper_run_all(u, UNIT_START_POST, k->main, e);
}

static bool is_below(pid_t pid, pid_t top)
{
	for (int depth = 0; pid > 1 && depth < 64; depth++) {
		char *text SCOPED(mem_freep) = mem_format("%ld", (long)pid);

		pid = proc_parent(text);
		if (pid == top)
			return true;
	}
	return false;
}

static void signal_all(int sig)
{
	struct strv names SCOPED(strv_release) = {0};
	struct err quiet = ERR_INIT;
	pid_t own = getpid();
	uint64_t v;

	if (fs_list(AT_FDCWD, "/proc", &names, &quiet) != 0)
		return;
	for (size_t i = 0; i < names.n; i++)
		if (num_u64(names.v[i], INT32_MAX, &v) == 0 && is_below((pid_t)v, own))
			(void)kill((pid_t)v, sig);
}

static void end_all(struct keeper *k)
{
	uint64_t since = clock_mono_ms();
	struct err e = ERR_INIT;

	if (keeper_run_all(k->u, UNIT_STOP, k->main, &e) != 0)
		dprintf(2, "%s\n", e.msg);
	signal_all(SIGTERM);
	while (reap(k)) {
		if (clock_mono_ms() - since > STOP_MS)
			signal_all(SIGKILL);
		nap();
	}
	if (keeper_run_all(k->u, UNIT_STOP_POST, 0, &e) != 0)
		dprintf(2, "%s\n", e.msg);
}

static void forget(const char *name)
{
	static const char *const whats[] = {"main", "notify", "keeper"};

	for (size_t i = 0; i < 3; i++) {
		char *path SCOPED(mem_freep) = state_path(name, whats[i]);

		(void)unlink(path);
	}
}

static void take_streams(const struct unit *u)
{
	char *log SCOPED(mem_freep) = state_path(u->name, "log");
	int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int out = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);

	(void)!dup2(in, 0);
	(void)!dup2(out, 1);
	(void)!dup2(out, 2);
}

static _Noreturn void keep(struct keeper *k)
{
	struct sigaction term = {.sa_handler = on_term};
	struct err e = ERR_INIT;

	(void)setsid();
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	(void)sigaction(SIGTERM, &term, NULL);
	take_streams(k->u);
	write_pid(k->u->name, "keeper", getpid());
	if (begin(k, &e) != 0) {
		(void)!write(k->ready, e.msg, strlen(e.msg));
		end_all(k);
		forget(k->u->name);
		_exit(1);
	}
	(void)!write(k->ready, "R", 1);
	fd_closep(&k->ready);
	while (!told_to_stop && (reap(k) || k->u->remains))
		nap();
	end_all(k);
	forget(k->u->name);
	_exit(0);
}

/* ---- outside of it */

/* The last of what the service has said, below the message. */
static int with_log(const struct unit *u)
{
	char *path SCOPED(mem_freep) = state_path(u->name, "log");
	int fd SCOPED(fd_closep) = open(path, O_RDONLY | O_CLOEXEC);
	char text[TAIL + 1];
	off_t end = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0;
	ssize_t n;

	if (end <= 0)
		return -1;
	n = pread(fd, text, TAIL, end > TAIL ? end - TAIL : 0);
	if (n > 0) {
		text[n] = '\0';
		dprintf(2, "%s", text);
	}
	return -1;
}

static int listen_to(const struct unit *u, int from, struct err *e)
{
	char said[400];
	size_t n = 0;
	ssize_t r;

	while (n < sizeof(said) - 1) {
		r = read(from, said + n, sizeof(said) - 1 - n);
		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			break;
		n += (size_t)r;
		if (said[0] == 'R' && n == 1)
			return 0;
	}
	said[n] = '\0';
	(void)err_set(e, ERR_FAIL, "%s", n > 0 ? said : "its keeper died");
	return with_log(u);
}

int keeper_start(const struct unit *u, struct err *e)
{
	struct keeper k = {.u = u, .notify = -1};
	int ready[2], rc;
	pid_t pid;

	if (keeper_pid(u->name) > 0)
		return 0;
	if (pipe2(ready, O_CLOEXEC) != 0)
		return err_sys(e, "make a pipe");
	pid = fork();
	if (pid == 0) {
		(void)close(ready[0]);
		k.ready = ready[1];
		keep(&k);
	}
	fd_closep(&ready[1]);
	rc = pid < 0 ? err_sys(e, "fork") : listen_to(u, ready[0], e);
	fd_closep(&ready[0]);
	return rc;
}

int keeper_stop(const char *name, struct err *e)
{
	pid_t pid = keeper_pid(name);
	uint64_t since = clock_mono_ms();

	if (pid <= 0)
		return 0;
	(void)kill(pid, SIGTERM);
	while (keeper_pid(name) == pid) {
		(void)waitpid(pid, NULL, WNOHANG); /* it may be our own child */
		if (clock_mono_ms() - since > (uint64_t)3 * STOP_MS)
			return err_set(e, ERR_FAIL, "%s: it does not stop", name);
		nap();
	}
	(void)waitpid(pid, NULL, 0);
	return 0;
}

int keeper_reload(const struct unit *u, struct err *e)
{
	if (keeper_pid(u->name) <= 0)
		return err_set(e, ERR_FAIL, "%s is not running", u->name);
	if (u->exec[UNIT_RELOAD].n == 0)
		return err_set(e, ERR_FAIL, "%s.service has no ExecReload", u->name);
	return keeper_run_all(u, UNIT_RELOAD, keeper_main(u->name), e);
}
