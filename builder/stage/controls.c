/* controls.c - what an image cannot hold by itself, and the engine and the site have to: looked at
 * where it runs. What the kernel says counts, not what the engine was asked for. */
#include "stage/look.h"

#include "base/num.h"
#include "form/capability.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PROC_MAX = 16 << 20, ASKED_FIRST = 32768 };

/* An instance that is looked at. */
struct controls {
	struct look *l;
	const struct stage *st;
	int pid;
	struct jval *v;     /* the instance's */
	struct jval *found; /* array */
	struct jval *said;  /* by the engine; or NULL */
};

static void judge(struct controls *c, const char *id, bool passes, const char *fmt, ...)
    PRINTF(4, 5);

static void judge(struct controls *c, const char *id, bool passes, const char *fmt, ...)
{
	struct jval *one = jval_object();
	char *text SCOPED(mem_freep) = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = mem_vformat(fmt, ap);
	va_end(ap);
	jval_put_text(one, "control", id);
	jval_put(one, "passes", jval_bool(passes));
	jval_put_text(one, "found", text);
	jval_push(c->found, one);
	if (!passes)
		look_trouble(c->l, c->v, "%s: %s", id, text);
}

/* A file of the process, "" when it is gone. */
static void read_proc(const struct controls *c, const char *name, struct buf *ret)
{
	char *path SCOPED(mem_freep) = mem_format("/proc/%d/%s", c->pid, name);
	struct err quiet = ERR_INIT;

	if (fs_get(AT_FDCWD, path, ret, &quiet) != 0)
		buf_cut(ret, 0);
}

/* The value of "\nKEY:\tVALUE\n", or "". The caller owns it. */
static char *field(const char *text, const char *key)
{
	char *head SCOPED(mem_freep) = mem_format("\n%s:", key);
	const char *at = strstr(text, head);

	if (at == NULL)
		return mem_strdup("");
	at += strlen(head);
	at += strspn(at, " \t");
	return mem_strndup(at, strcspn(at, "\n"));
}

static void check_process(struct controls *c)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(PROC_MAX);
	char *filter SCOPED(mem_freep) = NULL, *fresh SCOPED(mem_freep) = NULL;
	char *caps SCOPED(mem_freep) = NULL;
	struct buf more SCOPED(buf_release) = BUF_INIT(4096);
	uint64_t set;

	read_proc(c, "status", &text);
	filter = field(text.data, "Seccomp");
	fresh = field(text.data, "NoNewPrivs");
	caps = field(text.data, "CapBnd");
	judge(c, "OCI-05b", strcmp(filter, "2") == 0, "system calls are %s",
	      strcmp(filter, "2") == 0 ? "filtered" : "not filtered");
	set = strtoull(caps, NULL, 16);
	for (unsigned i = 0; i < 64; i++)
		if ((set >> i & 1) != 0 && !stage_capability_ok(i))
			buf_addf(&more, " %u", i);
	if (caps[0] == '\0' || more.len > 0)
		judge(c, "OCI-05b", false, "capabilities beyond those of the instance:%s",
		      caps[0] == '\0' ? " not known" : more.data);
	else
		judge(c, "OCI-05b", true, "capabilities %s and no more", caps);
	judge(c, "OCI-05", strcmp(fresh, "1") == 0, "programs %s new privileges",
	      strcmp(fresh, "1") == 0 ? "gain no" : "may gain");
}

/* Whether it is not in our namespace of that kind. */
static bool is_apart(const struct controls *c, const char *kind)
{
	char *ours SCOPED(mem_freep) = mem_format("/proc/self/ns/%s", kind);
	char *its SCOPED(mem_freep) = mem_format("/proc/%d/ns/%s", c->pid, kind);
	char a[64] = "", b[64] = "";

	return readlink(ours, a, sizeof(a) - 1) > 0 && readlink(its, b, sizeof(b) - 1) > 0 &&
	       strcmp(a, b) != 0;
}

static void check_namespaces(struct controls *c)
{
	static const char *const kinds[] = {"pid", "net", "mnt", "ipc", "uts"};
	struct buf shared SCOPED(buf_release) = BUF_INIT(4096);

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!is_apart(c, kinds[i]))
			buf_addf(&shared, " %s", kinds[i]);
	if (shared.len == 0)
		judge(c, "OCI-05", true, "processes, network, mounts and names are its own");
	else
		judge(c, "OCI-05", false, "it has the host's:%s", shared.data);
}

/* "... - cgroup cgroup rw,memory": what may be written limits nothing any more. systemd's own
 * hierarchy of cgroup v1 limits nothing anyway, and of a namespace of its own in v2 the limits are
 * not the instance's to write. */
static void check_cgroup(struct controls *c)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(PROC_MAX);
	struct buf open_ones SCOPED(buf_release) = BUF_INIT(4096);
	char *rest, *line;

	read_proc(c, "mountinfo", &text);
	rest = text.data;
	while ((line = strsep(&rest, "\n")) != NULL) {
		const char *kind = strstr(line, " - cgroup");
		struct strv words SCOPED(strv_release) = {0};
		char *word;

		if (kind == NULL ||
		    (strncmp(kind, " - cgroup2 ", 11) == 0 && is_apart(c, "cgroup")))
			continue;
		while ((word = strsep(&line, " ")) != NULL && words.n < 6)
			strv_add(&words, word);
		if (words.n == 6 && strncmp(words.v[5], "rw", 2) == 0 &&
		    strcmp(words.v[4], "/sys/fs/cgroup/systemd") != 0)
			buf_addf(&open_ones, " %s", words.v[4]);
	}
	if (open_ones.len == 0)
		judge(c, "OCI-05", text.len > 0, "its limits are read-only");
	else
		judge(c, "OCI-05", false, "it may write to its limits:%s", open_ones.data);
}

static void check_files(struct controls *c)
{
	const struct site_limits *want = &c->st->s->limits;
	struct buf text SCOPED(buf_release) = BUF_INIT(PROC_MAX);
	static const char head[] = "Max open files";
	uint64_t most = want->files != 0 ? want->files : STAGE_NOFILE, is = 0;
	const char *at;

	read_proc(c, "limits", &text);
	at = strstr(text.data, head);
	if (at != NULL)
		is = strtoull(at + sizeof(head) - 1, NULL, 10);
	judge(c, "OCI-05", is > 0 && is <= most, "a process may open %llu files, of %llu",
	      (unsigned long long)is, (unsigned long long)most);
}

static void check_limit(struct controls *c, const char *key, uint64_t want)
{
	int64_t is = 0;

	if (want == 0)
		return;
	if (jval_get_int(jval_get(c->said, "HostConfig"), key, &is) != 0)
		is = 0;
	judge(c, "OCI-05", is > 0 && (uint64_t)is <= want, "%s is %lld, of %llu", key,
	      (long long)is, (unsigned long long)want);
}

static void check_engine(struct controls *c)
{
	const struct jval *host = jval_get(c->said, "HostConfig");
	const struct site_limits *want = &c->st->s->limits;
	bool privileged = host == NULL || jval_get_bool(host, "Privileged");

	judge(c, "OCI-05", !privileged, "it is %sprivileged", privileged ? "" : "not ");
	check_limit(c, "Memory", want->memory);
	check_limit(c, "PidsLimit", want->processes);
	check_limit(c, "NanoCpus", want->cpu_milli * 1000000);
}

static bool is_loopback(const char *hex, size_t n)
{
	static const char six[] = "00000000000000000000000001000000";

	return n == 8 ? strncmp(hex + 6, "7F", 2) == 0 : strncmp(hex, six, n) == 0;
}

/* "  0: 00000000:0016 00000000:0000 0A ..." (proc(5)): 0A is LISTEN, 07 a socket of UDP that takes
 * from anybody. */
static void look_at_port(struct controls *c, const char *kind, char *line, struct strv *ret)
{
	const struct jval *ports = jval_get(jval_get(c->said, "Config"), "ExposedPorts");
	struct strv words SCOPED(strv_release) = {0};
	char *key SCOPED(mem_freep) = NULL, *word;
	const char *colon;
	unsigned long port;

	while ((word = strsep(&line, " ")) != NULL && words.n < 4)
		if (word[0] != '\0')
			strv_add(&words, word);
	colon = words.n == 4 ? strchr(words.v[1], ':') : NULL;
	if (colon == NULL || strcmp(words.v[3], kind[0] == 'u' ? "07" : "0A") != 0 ||
	    is_loopback(words.v[1], (size_t)(colon - words.v[1])))
		return;
	port = strtoul(colon + 1, NULL, 16);
	if (kind[0] == 'u' && port >= ASKED_FIRST)
		return;
	key = mem_format("%lu/%.3s", port, kind);
	if (jval_get(ports, key) == NULL)
		strv_add(ret, key);
}

static void check_ports(struct controls *c)
{
	static const char *const kinds[] = {"tcp", "tcp6", "udp", "udp6"};
	struct strv others SCOPED(strv_release) = {0};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct buf text SCOPED(buf_release) = BUF_INIT(PROC_MAX);
		char *name SCOPED(mem_freep) = mem_format("net/%s", kinds[i]);
		char *rest, *line;

		read_proc(c, name, &text);
		rest = text.data;
		while ((line = strsep(&rest, "\n")) != NULL)
			look_at_port(c, kinds[i], line, &others);
	}
	strv_sort(&others);
	strv_uniq(&others);
	for (size_t i = 0; i < others.n; i++)
		judge(c, "NET-11", false, "%s listens, and the image does not declare it",
		      others.v[i]);
	if (others.n == 0)
		judge(c, "NET-11", true, "only declared ports listen");
}

void look_controls(struct look *l, struct stage *st, int pid, struct jval *v)
{
	struct controls c = {.l = l, .st = st, .pid = pid, .v = v, .found = jval_array()};
	struct err why = ERR_INIT;

	if (engine_inspect(l->en, st->r.current.container, &c.said, &why) != 0)
		look_trouble(l, v, "%s", why.msg);
	check_process(&c);
	check_namespaces(&c);
	check_cgroup(&c);
	check_files(&c);
	check_engine(&c);
	check_ports(&c);
	jval_put(v, "controls", c.found);
	jval_free(c.said);
}
