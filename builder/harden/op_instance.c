/* op_instance.c - what runs, not what lies there: ports that listen, and what the kernel lets the
 * processes of a running instance do. Read from /proc of the machine that it runs on, proc(5). */
#include "harden/lines.h"
#include "harden/op.h"

#include "base/num.h"
#include "form/capability.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SOCKETS_MAX = 16 << 20, STATUS_MAX = 1 << 16, LISTEN = 0x0a, UNCONNECTED = 0x07 };

/* From these the kernel picks ports for those who only ask, ip_local_port_range of ip(7); a new
 * network namespace has these. */
enum { ASKED_FIRST = 32768, ASKED_LAST = 60999, PORT_MAX = 65535 };

struct asked {
	uint64_t first, last;
	bool known; /* the instance's own, and not what a new one has */
};

struct listening {
	struct strv except; /* "tcp 631": ports that may listen beside the recipe's */
};

static const struct field listening_fields[] = {
    {"except", FIELD_LIST, offsetof(struct listening, except), false},
    {0},
};

static bool is_declared(const struct op_run *r, const struct listening *w, bool udp,
			unsigned long port)
{
	char *text SCOPED(mem_freep) = mem_format("%s %lu", udp ? "udp" : "tcp", port);

	for (size_t i = 0; i < r->c->recipe->ports_n; i++) {
		const struct recipe_port *p = &r->c->recipe->ports[i];

		if (p->udp == udp && port >= p->first && port <= p->last)
			return true;
	}
	return strv_has(&w->except, text);
}

/* The address is hexadecimal in words of the machine's byte order. */
static bool is_loopback(const char *hex)
{
	static const char loopback6[] = "00000000000000000000000000000001";
	uint32_t word[4] = {0};
	char octets[16 * 2 + 1];
	size_t n = strlen(hex) / 8;

	for (size_t i = 0; i < n && i < 4; i++) {
		char part[9] = {0};

		memcpy(part, hex + i * 8, 8);
		word[i] = (uint32_t)strtoul(part, NULL, 16);
	}
	for (size_t i = 0; i < n * 4 && i < 16; i++)
		(void)snprintf(octets + 2 * i, 3, "%02x", ((const unsigned char *)word)[i]);
	if (n == 1)
		return strncmp(octets, "7f", 2) == 0;
	return strcmp(octets, loopback6) == 0 ||
	       strncmp(octets, "00000000000000000000ffff7f", 26) == 0;
}

/* One line of /proc/PID/net/tcp and its like: "0: ADDRESS:PORT REMOTE:PORT STATE ...". */
static void look_at_socket(const struct op_run *r, const struct listening *w,
			   const struct asked *asked, bool udp, const char *line)
{
	struct strv words SCOPED(strv_release) = {0};
	unsigned long port, state;
	char *colon, *text SCOPED(mem_freep) = NULL;

	line_words(line, &words);
	colon = words.n > 3 ? strchr(words.v[1], ':') : NULL;
	if (colon == NULL)
		return; /* the head */
	*colon = '\0';
	port = strtoul(colon + 1, NULL, 16);
	state = strtoul(words.v[3], NULL, 16);
	if (state != (udp ? UNCONNECTED : LISTEN) ||
	    (udp && port >= asked->first && port <= asked->last) || is_loopback(words.v[1]))
		return;
	text = mem_format("%s %lu", udp ? "udp" : "tcp", port);
	if (!is_declared(r, w, udp, port))
		strv_addf(r->found, "%s listens and is none of the recipe's ports", text);
	else if (r->held != NULL)
		strv_addf(r->held, "%s listens", text);
}

static int look_at_sockets(const struct op_run *r, const struct listening *w,
			   const struct asked *asked, const char *name, struct err *e)
{
	char *path SCOPED(mem_freep) = mem_format("net/%s", name);
	struct buf b SCOPED(buf_release) = BUF_INIT(SOCKETS_MAX);
	char *rest, *line;

	if (faccessat(r->c->instance->proc, path, F_OK, 0) != 0)
		return 0; /* a kernel without IPv6 */
	if (fs_get(r->c->instance->proc, path, &b, e) != 0)
		return -1;
	rest = b.data;
	while ((line = strsep(&rest, "\n")) != NULL)
		look_at_socket(r, w, asked, name[0] == 'u', line);
	return 0;
}

/* What a process is in: "pid:[4026531836]"; "" with errno when it is gone, or not for us to see. */
static void namespace_of(int dirfd, const char *path, char ret[64])
{
	ssize_t n = readlinkat(dirfd, path, ret, 63);

	ret[n > 0 ? n : 0] = '\0';
}

/* The kernel shows the range of whoever reads it: it is the instance's when its network is ours. */
static struct asked asked_by(const struct op_run *r)
{
	static const char file[] = "/proc/sys/net/ipv4/ip_local_port_range";
	struct asked a = {ASKED_FIRST, ASKED_LAST, false};
	struct buf b SCOPED(buf_release) = BUF_INIT(100);
	struct strv words SCOPED(strv_release) = {0};
	struct err quiet = ERR_INIT;
	char ours[64], its[64];
	uint64_t first, last;

	namespace_of(AT_FDCWD, "/proc/self/ns/net", ours);
	namespace_of(r->c->instance->proc, "ns/net", its);
	if (*ours == '\0' || strcmp(ours, its) != 0 || fs_get(AT_FDCWD, file, &b, &quiet) != 0)
		return a;
	b.data[strcspn(b.data, "\n")] = '\0';
	line_words(b.data, &words);
	if (words.n == 2 && num_u64(words.v[0], PORT_MAX, &first) == 0 &&
	    num_u64(words.v[1], PORT_MAX, &last) == 0)
		a = (struct asked){first, last, true};
	return a;
}

static int listening_check(const struct op_run *r, const void *want, struct err *e)
{
	static const char *const names[] = {"tcp", "tcp6", "udp", "udp6"};
	struct asked asked;

	if (r->c->instance == NULL)
		return err_set(e, ERR_FAIL, "only a running instance listens");
	if (r->c->recipe == NULL)
		return err_set(e, ERR_FAIL, "which ports may listen is not known: give --recipe");
	asked = asked_by(r);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (look_at_sockets(r, want, &asked, names[i], e) != 0)
			return -1;
	if (r->held != NULL)
		strv_addf(
		    r->held,
		    "udp %llu to %llu%s: whether a service or a client has them cannot be told",
		    (unsigned long long)asked.first, (unsigned long long)asked.last,
		    asked.known ? "" : " (as in a new network)");
	strv_sort(r->found);
	strv_uniq(r->found);
	return 0;
}

const struct op_kind op_listening = {
    .name = "listening",
    .size = sizeof(struct listening),
    .fields = listening_fields,
    .check = listening_check,
};

struct confined {
	bool seccomp, no_new_privileges;
	struct strv capabilities; /* that the bounding set may have */
	uint64_t allowed;
};

static const struct field confined_fields[] = {
    {"seccomp", FIELD_BOOL, offsetof(struct confined, seccomp), false},
    {"no-new-privileges", FIELD_BOOL, offsetof(struct confined, no_new_privileges), false},
    {"capabilities", FIELD_LIST, offsetof(struct confined, capabilities), true},
    {0},
};

static int confined_finish(void *want, const struct yaml *at, struct err *e)
{
	struct confined *w = want;

	for (size_t i = 0; i < w->capabilities.n; i++) {
		struct yaml word = {.kind = YAML_SCALAR, .file = at->file};
		int bit;

		word.text = w->capabilities.v[i];
		word.line = at->line;
		word.col = at->col;
		bit = spec_word(&word, capability_names, e);
		if (bit < 0)
			return -1;
		w->allowed |= UINT64_C(1) << bit;
	}
	return 0;
}

/* The text after "NAME:\t" in /proc/PID/status; NULL when there is none. The caller owns it. */
static char *status_of(const char *text, const char *name)
{
	char *key SCOPED(mem_freep) = mem_format("\n%s:\t", name);
	const char *at = strstr(text, key);

	if (at == NULL)
		return NULL;
	at += strlen(key);
	return mem_strndup(at, strcspn(at, "\n"));
}

static bool is(const char *text, const char *name, const char *wanted)
{
	char *value SCOPED(mem_freep) = status_of(text, name);

	return value != NULL && strcmp(value, wanted) == 0;
}

static void add_capabilities(const struct op_run *r, const char *who, uint64_t more)
{
	for (unsigned i = 0; i < CAPABILITIES; i++)
		if ((more >> i & 1) != 0)
			strv_addf(r->found, "%s may get the capability %s", who,
				  capability_names[i]);
	if (more >> CAPABILITIES != 0)
		strv_addf(r->found, "%s may get capabilities that have no name here", who);
}

static void judge(const struct op_run *r, const struct confined *w, const char *text)
{
	const char *name = strncmp(text, "Name:\t", 6) == 0 ? text + 6 : "?";
	char *who SCOPED(mem_freep) =
	    mem_format("a process (%.*s)", (int)strcspn(name, "\n"), name);
	char *bound SCOPED(mem_freep) = status_of(text, "CapBnd");

	if (w->seccomp && !is(text, "Seccomp", "2"))
		strv_addf(r->found, "%s has no filter of system calls", who);
	if (w->no_new_privileges && !is(text, "NoNewPrivs", "1"))
		strv_addf(r->found, "%s may get new privileges", who);
	add_capabilities(r, who,
			 bound == NULL ? UINT64_MAX : strtoull(bound, NULL, 16) & ~w->allowed);
}

/* The instance's namespace, how deep it lies below that of /proc, and how many processes are in
 * it, or may be. */
struct sight {
	char of[64];
	size_t depth;
	size_t seen, hidden;
};

/* How many process ids a process has: one, and one more for each namespace below that of /proc
 * (proc_pid_status(5), NSpid); SIZE_MAX when that cannot be told. */
static size_t depth_of(int proc, const char *status)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(STATUS_MAX);
	struct err quiet = ERR_INIT;
	char *ids = fs_get(proc, status, &b, &quiet) == 0 ? status_of(b.data, "NSpid") : NULL;
	size_t n = 0;

	for (const char *p = ids; p != NULL && *p != '\0'; p += strspn(p, " \t")) {
		n++;
		p += strcspn(p, " \t");
	}
	free(ids);
	return n > 0 ? n : SIZE_MAX;
}

static void look_at_process(const struct op_run *r, const struct confined *w, int proc,
			    const char *name, struct sight *s)
{
	char *ns SCOPED(mem_freep) = mem_format("%s/ns/pid", name);
	char *status SCOPED(mem_freep) = mem_format("%s/status", name);
	struct buf b SCOPED(buf_release) = BUF_INIT(STATUS_MAX);
	struct err quiet = ERR_INIT;
	char in[64];

	errno = 0;
	namespace_of(proc, ns, in);
	if (*in == '\0') {
		/* of one that ends meanwhile the kernel may say EACCES, too */
		s->hidden += errno != ENOENT && errno != ESRCH &&
			     faccessat(proc, name, F_OK, 0) == 0 &&
			     depth_of(proc, status) >= s->depth;
		return;
	}
	if (strcmp(in, s->of) != 0 || fs_get(proc, status, &b, &quiet) != 0)
		return; /* another's, or it has ended */
	judge(r, w, b.data);
	s->seen++;
}

static int confined_check(const struct op_run *r, const void *want, struct err *e)
{
	struct strv names SCOPED(strv_release) = {0};
	int proc SCOPED(fd_closep) = -1;
	struct sight s = {.seen = 0};
	uint64_t id;

	if (r->c->instance == NULL)
		return err_set(e, ERR_FAIL, "only a running instance has processes");
	namespace_of(r->c->instance->proc, "ns/pid", s.of);
	if (*s.of == '\0')
		return err_sys(e, "look at the processes of the instance");
	s.depth = depth_of(r->c->instance->proc, "status");
	if (s.depth == SIZE_MAX)
		s.depth = 0; /* then whoever hides counts */
	if (fs_open_dir(AT_FDCWD, "/proc", &proc, e) != 0 || fs_list(proc, ".", &names, e) != 0)
		return -1;
	for (size_t i = 0; i < names.n; i++)
		if (num_u64(names.v[i], INT32_MAX, &id) == 0)
			look_at_process(r, want, proc, names.v[i], &s);
	if (s.hidden > 0)
		strv_addf(r->found,
			  "%zu processes may not be looked at: some may be the instance's",
			  s.hidden);
	else if (s.seen == 0)
		return err_set(e, ERR_FAIL, "no process of the instance is in sight");
	strv_sort(r->found);
	strv_uniq(r->found);
	if (r->held != NULL)
		strv_addf(r->held, "every process is confined as wanted");
	return 0;
}

const struct op_kind op_confined = {
    .name = "confined",
    .size = sizeof(struct confined),
    .fields = confined_fields,
    .finish = confined_finish,
    .check = confined_check,
};
