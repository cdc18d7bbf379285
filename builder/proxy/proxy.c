#include "proxy/parts.h"

#include "sandbox/sandbox.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include "sys/proc.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { END_MS = 3000, GRACE_MS = 300, NAP_US = 5000, REFUSAL_MAX = 4096 };

struct proxy {
	struct store *s;
	char *dir, *public, *state;
	int control; /* our end; its end is the proxy's */
	pid_t pid;   /* 0 = ended */
};

/* What the child says once: that it is ready, or why it is not. */
struct ready {
	bool ok;
	struct err e;
};

static struct proxy_limits effective(const struct proxy_limits *l)
{
	return (struct proxy_limits){
	    .body_max = l->body_max != 0 ? l->body_max : UINT64_C(4) << 30,
	    .total_max = l->total_max != 0 ? l->total_max : UINT64_C(16) << 30,
	    .requests_max = l->requests_max != 0 ? l->requests_max : 10000,
	    .connections_max = l->connections_max != 0 ? l->connections_max : 32,
	    .idle_ms = l->idle_ms != 0 ? l->idle_ms : 30000,
	    .stall_ms = l->stall_ms != 0 ? l->stall_ms : 60000,
	};
}

/* The first of all processes to come writes "MESSAGE\nHINT\n". */
static int remember(const struct server *sv, const char *name, const struct err *why)
{
	int fd SCOPED(fd_closep) =
	    openat(sv->state, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	char *text SCOPED(mem_freep) = mem_format("%s\n%s\n", why->msg, why->hint);
	struct err quiet = ERR_INIT;

	if (fd >= 0 && fs_write_all(fd, text, strlen(text), &quiet) != 0)
		(void)!ftruncate(fd, 0); /* half a message is none; that there was one stays true */
	return -1;
}

int refuse(const struct server *sv, const struct err *why)
{
	return remember(sv, "refused", why);
}

int note(const struct server *sv, const struct err *why)
{
	return remember(sv, "note", why);
}

/* The processes of the connections that are open. */
struct children {
	pid_t *v; /* limits.connections_max */
	unsigned n;
};

static void begin(const struct server *sv, int port, struct children *ch)
{
	int fd SCOPED(fd_closep) = accept4(port, NULL, NULL, SOCK_CLOEXEC);
	pid_t self = getpid(), pid = fd >= 0 ? fork() : -1;

	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == self)
			connection(sv, fd);
		_exit(0);
	}
	if (pid > 0)
		ch->v[ch->n++] = pid;
}

/* Takes off those that have ended; with `all` they are made to end. Once reaped, what they left in
 * the store counts as left. */
static void reap(struct children *ch, bool all)
{
	unsigned left = 0;

	for (unsigned i = 0; i < ch->n; i++) {
		if (all)
			(void)kill(ch->v[i], SIGKILL);
		if (waitpid(ch->v[i], NULL, all ? 0 : WNOHANG) == 0)
			ch->v[left++] = ch->v[i];
	}
	ch->n = left;
}

/* Serves until the other end of the control socket is closed. */
static void accept_all(const struct server *sv, int port, int control)
{
	struct children ch = {mem_zalloc(sv->limits.connections_max * sizeof(*ch.v)), 0};

	for (;;) {
		bool full = ch.n >= sv->limits.connections_max;
		struct pollfd p[] = {{control, POLLIN, 0}, {full ? -1 : port, POLLIN, 0}};
		int n = poll(p, 2, 50);

		reap(&ch, false);
		if (n > 0 && p[0].revents != 0)
			break;
		if (n > 0 && p[1].revents != 0)
			begin(sv, port, &ch);
	}
	/* the step has ended: what it left open ends by itself, and may have to say why */
	for (int i = 0; i < GRACE_MS && ch.n > 0; i += NAP_US / 1000) {
		(void)usleep(NAP_US);
		reap(&ch, false);
	}
	reap(&ch, true);
	free(ch.v);
}

static int prepare(struct server *sv, struct ca **ca, struct err *e)
{
	static const char wget[] = "ca_certificate = " PROXY_DIR "/ca.pem\n";
	char *wgetrc SCOPED(mem_freep) = mem_format("%s/public/wgetrc", sv->spec->dir);
	char *public SCOPED(mem_freep) = mem_format("%s/public/ca.pem", sv->spec->dir);
	char *state SCOPED(mem_freep) = mem_format("%s/state", sv->spec->dir);
	struct buf pem SCOPED(buf_release) = BUF_INIT(64 << 10);

	http_free(http_new()); /* who is forked for a connection has the library from here */
	sv->counters = mmap(NULL, sizeof(*sv->counters), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (sv->counters == MAP_FAILED)
		return err_sys(e, "map memory");
	if (store_open(store_path(sv->spec->s), &sv->s, e) != 0 ||
	    fs_open_dir(AT_FDCWD, state, &sv->state, e) != 0 || ca_new(ca, e) != 0 ||
	    ca_pem(*ca, &pem, e) != 0)
		return -1;
	sv->ca = *ca;
	if (fs_put_path(wgetrc, wget, sizeof(wget) - 1, 0644, e) != 0)
		return -1;
	return fs_put_path(public, pem.data, pem.len, 0644, e);
}

static _Noreturn void child(const struct proxy_spec *spec, int control)
{
	struct server sv = {
	    .spec = spec, .limits = effective(&spec->limits), .s = NULL, .state = -1};
	int *keep[] = {&control};
	const struct sandbox_confine_spec c = {.writable = store_path(spec->s),
					       .network = spec->recorded_n == 0,
					       .keep = keep,
					       .keep_n = 1};
	struct ready r = {.e = ERR_INIT};
	struct ca *ca = NULL;
	int port = -1;

	proc_plain_signals();
	(void)signal(SIGPIPE, SIG_IGN);
	r.ok = sandbox_confine(&c, &r.e) == 0 && prepare(&sv, &ca, &r.e) == 0;
	if (send(control, &r, sizeof(r), MSG_NOSIGNAL) != (ssize_t)sizeof(r) || !r.ok)
		_exit(1);
	if (sandbox_take_listener(control, &port, &r.e) == 0)
		accept_all(&sv, port, control);
	_exit(0);
}

static int start_child(struct proxy *p, const struct proxy_spec *spec, struct err *e)
{
	pid_t self = getpid();
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return err_sys(e, "make a socket pair");
	p->control = pair[0];
	p->pid = fork();
	if (p->pid == 0) {
		(void)setpgid(0, 0);
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == self)
			child(spec, pair[1]);
		_exit(1);
	}
	fd_closep(&pair[1]);
	if (p->pid > 0)
		return 0;
	p->pid = 0;
	return err_sys(e, "fork");
}

static int wait_ready(const struct proxy *p, struct err *e)
{
	struct ready r;
	ssize_t n;

	do
		n = recv(p->control, &r, sizeof(r), 0);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(r))
		return err_set(e, ERR_FAIL, "the process died before it was ready");
	if (!r.ok)
		*e = r.e;
	return r.ok ? 0 : -1;
}

int proxy_start(const struct proxy_spec *spec, struct proxy **ret, struct err *e)
{
	struct proxy *p SCOPED(proxy_freep) = mem_zalloc(sizeof(*p));

	p->s = spec->s;
	p->control = -1;
	p->dir = mem_strdup(spec->dir);
	p->public = mem_format("%s/public", spec->dir);
	p->state = mem_format("%s/state", spec->dir);
	if (fs_mkdirs(AT_FDCWD, p->public, 0755, e) != 0 ||
	    fs_mkdirs(AT_FDCWD, p->state, 0700, e) != 0 || start_child(p, spec, e) != 0 ||
	    wait_ready(p, e) != 0)
		return err_in(e, "recording proxy");
	*ret = STEAL(p);
	return 0;
}

int proxy_listen_to(const struct proxy *p)
{
	return p->control;
}

const char *proxy_public_dir(const struct proxy *p)
{
	return p->public;
}

void proxy_env(struct strv *env)
{
	static const char *const proxies[] = {"http_proxy", "HTTP_PROXY", "https_proxy",
					      "HTTPS_PROXY"};
	static const char *const trust[] = {
	    "SSL_CERT_FILE",  "CURL_CA_BUNDLE",       "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS",
	    "GIT_SSL_CAINFO", "PERL_LWP_SSL_CA_FILE", "CARGO_HTTP_CAINFO",  "PIP_CERT"};

	for (size_t i = 0; i < sizeof(proxies) / sizeof(proxies[0]); i++)
		strv_addf(env, "%s=http://127.0.0.1:%d", proxies[i], PROXY_PORT);
	strv_add(env, "no_proxy=localhost,127.0.0.1,::1");
	strv_add(env, "NO_PROXY=localhost,127.0.0.1,::1");
	for (size_t i = 0; i < sizeof(trust) / sizeof(trust[0]); i++)
		strv_addf(env, "%s=" PROXY_DIR "/ca.pem", trust[i]);
	strv_add(env, "WGETRC=" PROXY_DIR "/wgetrc"); /* it knows no variable for that */
}

/* Whether the child has ended; it is not reaped yet, so that its number stays its own. */
static bool has_ended(pid_t pid)
{
	siginfo_t info = {0};

	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0
		   ? errno != EINTR
		   : info.si_pid == pid;
}

/* Lets go of the child and ends its connections, which are of its process group. */
static void end(struct proxy *p)
{
	uint64_t last = clock_mono_ms() + END_MS;

	fd_closep(&p->control);
	if (p->pid == 0)
		return;
	while (!has_ended(p->pid) && clock_mono_ms() < last)
		(void)usleep(NAP_US);
	(void)kill(-p->pid, SIGKILL);
	while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
		;
	p->pid = 0;
}

/* Reads "MESSAGE\nHINT\n"; false when there is none. */
static bool recall(const struct proxy *p, const char *name, struct err *ret)
{
	char *path SCOPED(mem_freep) = fs_join(p->state, name);
	struct buf b SCOPED(buf_release) = BUF_INIT(REFUSAL_MAX);
	struct err quiet = ERR_INIT;
	char *hint;

	if (fs_get(AT_FDCWD, path, &b, &quiet) != 0 || b.len == 0)
		return false;
	hint = strchr(b.data, '\n');
	if (hint == NULL)
		return false;
	*hint++ = '\0';
	hint[strcspn(hint, "\n")] = '\0';
	(void)err_set(ret, ERR_STEP, "%s", b.data);
	if (hint[0] != '\0')
		(void)err_hint(ret, "%s", hint);
	return true;
}

/* A process that is killed between making its file and writing it has refused all the same. */
static bool was_refused(const struct proxy *p, struct err *ret)
{
	char *path SCOPED(mem_freep) = fs_join(p->state, "refused");

	if (recall(p, "refused", ret))
		return true;
	if (access(path, F_OK) != 0 && errno == ENOENT)
		return false;
	(void)err_set(ret, ERR_STEP, "something was refused, and there is no telling what");
	return true;
}

static int by_url(const void *a, const void *b)
{
	return lock_recorded_compare(a, b);
}

/* Reads STATE/HEX.json, one entry, to the end of the list. */
static int collect_one(const char *path, struct proxy_result *r, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(64 << 10);
	struct jval *v SCOPED(jval_freep) = NULL;
	struct lock_recorded *one = NULL;
	size_t n = 0;

	if (fs_get(AT_FDCWD, path, &b, e) != 0 || jval_parse(b.data, b.len, path, &v, e) != 0 ||
	    lock_recorded_parse(v, path, &one, &n, e) != 0)
		return -1;
	r->v = mem_resize(r->v, r->n + n + 1, sizeof(*r->v));
	for (size_t i = 0; i < n; i++) {
		r->bytes += one[i].size;
		r->v[r->n++] = one[i];
	}
	free(one);
	return 0;
}

static int collect(const struct proxy *p, struct proxy_result *r, struct err *e)
{
	struct strv names SCOPED(strv_release) = {0};

	if (fs_list(AT_FDCWD, p->state, &names, e) != 0)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		char *path SCOPED(mem_freep) = fs_join(p->state, names.v[i]);
		size_t n = strlen(names.v[i]);

		if (n > 5 && strcmp(names.v[i] + n - 5, ".json") == 0 &&
		    collect_one(path, r, e) != 0)
			return -1;
	}
	if (r->n > 0)
		qsort(r->v, r->n, sizeof(*r->v), by_url);
	return 0;
}

int proxy_stop(struct proxy *p, struct proxy_result *ret, struct err *e)
{
	struct proxy_result r = {0};
	struct err said = ERR_INIT;

	end(p);
	/* what a connection that was cut off has written */
	if (store_sweep(p->s, e) != 0 || collect(p, &r, e) != 0) {
		proxy_result_release(&r);
		return -1;
	}
	if (recall(p, "note", &said))
		r.note = mem_strdup(said.msg);
	*ret = r;
	return was_refused(p, e) ? -1 : 0;
}

void proxy_result_release(struct proxy_result *r)
{
	lock_recorded_free(r->v, r->n);
	free(r->note);
	*r = (struct proxy_result){0};
}

void proxy_free(struct proxy *p)
{
	if (p == NULL)
		return;
	end(p);
	free(p->dir);
	free(p->public);
	free(p->state);
	free(p);
}

void proxy_freep(struct proxy **p)
{
	proxy_free(*p);
	*p = NULL;
}
